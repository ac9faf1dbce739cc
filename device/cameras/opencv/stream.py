"""`open_stream`: a camera on the network, over RTSP or HTTP, with as little delay as FFmpeg allows."""

from __future__ import annotations

import os
import socket
import threading
from urllib.parse import urlsplit

import cv2

from device.cameras.opencv.camera import CaptureCamera
from device.cameras.opencv.config import StreamConfig
from device.cameras.quiet import quiet
from device.errors import CameraError, Disconnected, FrameTimeout, SourceNotFound

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_PROBE_S = 1.0
_opening = threading.Lock()
"""FFmpeg's options can only be given through an environment variable, which is one for the process."""


def open_stream(config: StreamConfig) -> CaptureCamera:
    """Connect and wait for the stream to be known.

    Raises `SourceNotFound` when nothing answers or no video comes in time.
    """
    host, port = _address(config)
    with _opening, quiet():
        before = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = before or _ffmpeg_options(config)
        try:
            capture = cv2.VideoCapture(
                config.url,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    int(config.open_timeout_s * 1000),
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    int(config.read_timeout_s * 1000),
                    cv2.CAP_PROP_N_THREADS,
                    1,  # decoding on several threads holds back a frame for each
                ],
            )
        finally:
            if before is None:
                del os.environ[_OPTIONS]
    if not capture.isOpened():
        capture.release()
        raise SourceNotFound(f"{config.shown}: {_why_not(config, host, port)}")
    return CaptureCamera(
        capture,
        name=config.shown,
        label=urlsplit(config.url).scheme,
        size=None,
        lost=lambda waited_s: _lost(config, waited_s),
    )


def _ffmpeg_options(config: StreamConfig) -> str:
    # Without `fpsprobesize`, FFmpeg collects a second of frames to learn a rate that nobody asks for, and gives them as
    # new. `nobuffer` would drop them, but with them the first whole picture of H.264: black until the next one.
    options = {"flags": "low_delay", "fpsprobesize": "0"}
    if config.url.startswith("rtsp"):
        options |= {"rtsp_transport": config.transport}
    return "|".join(f"{name};{value}" for name, value in options.items())


def _address(config: StreamConfig) -> tuple[str, int]:
    """Host and port."""
    try:
        parts = urlsplit(config.url)
        port = parts.port or _PORTS[parts.scheme.lower()]
    except ValueError as error:
        raise SourceNotFound(f"{config.shown}: no address that can be used ({error})") from None
    return parts.hostname or "", port


def _why_not(config: StreamConfig, host: str, port: int) -> str:
    """FFmpeg does not tell a wrong name from a closed port or a wrong path; a plain connection does.

    It is made afterwards only, since small servers take one connection at a time.
    """
    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except OSError as error:
        return (
            f"nothing answers at {host} port {port} ({error.strerror or error}); "
            "check the address and that the camera is on"
        )
    return f"{host} answers, but gives no video; check the path, user and password"


def _lost(config: StreamConfig, waited_s: float) -> CameraError:
    if waited_s > 0.9 * config.read_timeout_s:
        return FrameTimeout(f"{config.shown}: no frame came in {waited_s:.1f} s; check the network")
    return Disconnected(f"{config.shown}: the other side ended the stream; open it again")
