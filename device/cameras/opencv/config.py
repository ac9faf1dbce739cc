"""Settings of cameras that OpenCV reads: V4L2 devices, and streams over the network."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from device.cameras.settings import CameraSettings, parse_settings
from device.errors import SettingRefused
from device.schemes import shown_source
from device.secrets import hide_secrets, shortened

YuvMatrix = Literal["bt601", "bt709"]
YuvRange = Literal["limited", "full"]
_STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")


class V4L2Config(CameraSettings):
    """A UVC camera or frame grabber at `/dev/video*`; what is not set stays as the camera has it."""

    device: str = Field(pattern=r"^/.")
    """Path of the device, `/dev/video0` or a lasting name below `/dev/v4l/by-id/`."""
    width: int | None = Field(default=None, ge=16, le=16384)
    """Pixels across."""
    height: int | None = Field(default=None, ge=16, le=16384)
    """Pixels down."""
    fps: float | None = Field(default=None, gt=0, le=1000)
    """Frames a second."""
    fourcc: str | None = Field(default=None, pattern=r"^[A-Z0-9 ]{4}$")
    """Pixel format on the wire, `MJPG`, `YUYV`, ...; large pictures need `MJPG` to be quick enough over USB 2."""
    matrix: YuvMatrix | None = None
    """Of `YUYV`, `UYVY` and `NV12`, where the driver does not say it, or says it wrongly."""
    range: YuvRange | None = None
    """Of these: what black and white are."""
    exposure_ms: float | None = Field(default=None, ge=0.1, le=10_000)
    """Exposure in milliseconds, in steps of 0.1; setting it ends automatic exposure."""

    @classmethod
    def parse(cls, spec: str) -> V4L2Config:
        """The settings in `camera:0`, `camera:/dev/video0,width=1920,fourcc=MJPG`; raises `SettingRefused`."""
        device, _, rest = spec.removeprefix("camera:").partition(",")
        if re.fullmatch(r"[0-9]{1,3}", device):
            device = f"/dev/video{int(device)}"
        elif not device.startswith("/"):
            raise SettingRefused(
                f"{shown_source(spec)!r}: got {shortened(device)!r} as the camera; expected its number or path first, "
                "as in camera:0 or camera:/dev/video0,width=1280,height=960"
            )
        return parse_settings(cls, rest, spec=spec, device=device)


class StreamConfig(CameraSettings):
    """A camera on the network: RTSP, or MJPEG (or anything else that FFmpeg knows) over HTTP."""

    url: str = Field(pattern=r"^(rtsps?|https?)://.")
    """Address; it may hold a user's name and password, which appear in no message and no record."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries pictures; over `udp` each lost packet costs all frames up to the next key frame."""
    open_timeout_s: float = Field(default=5.0, gt=0, le=120)
    """Seconds within which the stream must be open."""
    read_timeout_s: float = Field(default=3.0, gt=0, le=120)
    """Seconds within which the next frame must come."""

    @classmethod
    def parse(cls, spec: str) -> StreamConfig:
        """The settings in a URL; those after `#` are ours: `rtsp://cart/eye#transport=udp,read_timeout_s=1`.

        All up to the last `@` is user and password, which may hold any sign; an `@` in the path is written `%40`.

        Raises `SettingRefused`.
        """
        secret, at, public = spec.rpartition("@")
        public, _, settings = public.partition("#")
        scheme, _, user = (secret if at else public).partition("://")
        address = quote(user, safe="%!$&'()*+,;=:~") + at + public if at else user
        if not address.rpartition("@")[2].strip("/"):
            raise SettingRefused(f"{shown_source(spec)!r}: no host in it; expected an address as in rtsp://cart/eye")
        try:
            return parse_settings(cls, settings, spec=hide_secrets(spec), url=f"{scheme.lower()}://{address}")
        except SettingRefused as error:
            raise SettingRefused(f"{error}; a # of the address itself is written %23") from None

    @property
    def shown(self) -> str:
        """The address without user and password, shortened."""
        return shown_source(self.url)
