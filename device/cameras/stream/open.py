"""`open_stream`: a camera on the network, over RTSP or HTTP, with as little delay as it allows."""

from __future__ import annotations

import socket
from urllib.error import HTTPError
from urllib.parse import urlsplit

from device.cameras.opencv.config import StreamConfig
from device.cameras.stream.camera import StreamCamera
from device.errors import SourceNotFound
from device.secrets import hide_own_arguments, shortened

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_PROBE_S = 1.0


def open_stream(config: StreamConfig) -> StreamCamera:
    """Connect and wait for the stream to be known.

    Over HTTP the answer decides: `multipart/...` is a stream of pictures, `image/...` a snapshot that is asked for
    again and again, everything else a video.

    Raises `SourceNotFound` when nothing answers or no video comes in time, `DriverMissing` where PyAV is needed and
    not installed.
    """
    hide_own_arguments()
    host, port = _address(config)
    try:
        if config.url.startswith("http"):
            from device.cameras.stream.http import open_http

            return StreamCamera(config, open_http(config))
        from device.cameras.stream.live_video import LiveVideo

        return StreamCamera(config, LiveVideo(config, config.url))
    except (OSError, ValueError) as error:
        said = f" (it says {error.code})" if isinstance(error, HTTPError) else ""
        raise SourceNotFound(f"{config.shown}: {_why_not(host, port)}{said}") from None


def _address(config: StreamConfig) -> tuple[str, int]:
    """Host and port."""
    try:
        parts = urlsplit(config.url)
        port = parts.port or _PORTS[parts.scheme.lower()]
        if parts.hostname:
            return parts.hostname, port
    except ValueError:
        pass
    raise SourceNotFound(f"{config.shown}: no address that can be used; check host and port")


def _why_not(host: str, port: int) -> str:
    """A wrong name from a closed port or a wrong path, by a plain connection.

    It is made afterwards only, since small servers take one connection at a time.
    """
    shown = shortened(host)
    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such address"
        return f"nothing answers at {shown} port {port} ({reason}); check the address and that the camera is on"
    return f"{shown} answers, but gives no video; check the path, user and password"
