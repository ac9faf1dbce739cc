"""Settings of cameras that GStreamer reads, and their text form `gstreamer:...`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from device.cameras.opencv.config import YuvMatrix, YuvRange
from device.cameras.settings import CameraSettings, build_settings, parse_settings
from device.errors import SettingRefused
from device.schemes import shown_source

_PREFIX = "gstreamer:"
_EXAMPLES = "gstreamer:csi,width=1920,height=1080,fps=30 or gstreamer:usb,device=/dev/video0,width=1280,height=720"


class _Sized(CameraSettings):
    width: int = Field(default=1920, ge=16, le=16384)
    """Pixels across."""
    height: int = Field(default=1080, ge=16, le=16384)
    """Pixels down."""
    fps: int = Field(default=30, ge=1, le=1000)
    """Frames a second."""
    read_timeout_s: float = Field(default=3.0, gt=0, le=120)
    """Seconds within which the next frame must come."""


class CsiConfig(_Sized):
    """A CSI camera of a Jetson, through the image processor of the board (Argus)."""

    sensor: int = Field(default=0, ge=0, le=15)
    """Which of the board's sensors, from 0."""
    exposure_ms: float | None = Field(default=None, gt=0, le=1000)
    """Exposure in milliseconds; None leaves it to the camera's automatic."""


class UsbConfig(_Sized):
    """A USB camera, or a frame grabber, that sends JPEG or YUV."""

    device: str = Field(default="/dev/video0", pattern=r"^/dev/[\w./:+-]+$")
    """Path of the device."""
    format: Literal["JPEG", "NV12", "YUY2", "UYVY"] = "JPEG"
    """How it sends its pictures, in GStreamer's words."""
    matrix: YuvMatrix | None = None
    """Of YUV, which needs it: a guess would shift every colour."""
    range: YuvRange | None = None
    """Of YUV, which needs it: what black and white are."""

    @model_validator(mode="after")
    def _named(self) -> UsbConfig:
        if (self.format == "JPEG") is not (self.matrix is None and self.range is None):
            raise ValueError("matrix and range: expected both with NV12, YUY2 and UYVY, none with JPEG")
        if (self.matrix is None) is not (self.range is None):
            raise ValueError("matrix and range: expected both, as the camera's maker says")
        return self


class PipelineConfig(CameraSettings):
    """A pipeline in GStreamer's own words, as `gst-launch-1.0` takes it."""

    pipeline: str = Field(min_length=1)
    """Ends in `appsink drop=true max-buffers=1 sync=false`; before it stands what it gives: `video/x-raw,format=BGR`,
    or RGBx, RGBA, BGRx, BGRA, or NV12, YUY2, UYVY with their `colorimetry` (`bt601`, `bt709`, `1:4:0:0` ...), or
    `image/jpeg`.
    """
    read_timeout_s: float = Field(default=3.0, gt=0, le=120)
    """Seconds within which the next frame must come."""


GStreamerConfig = CsiConfig | UsbConfig | PipelineConfig


def parse_gstreamer(spec: str) -> GStreamerConfig:
    """The settings in `gstreamer:csi,sensor=0,...`, `gstreamer:usb,device=...` or `gstreamer:SOURCE ! ... ! appsink`.

    Raises `SettingRefused`.
    """
    text = spec.removeprefix(_PREFIX)
    if "!" in text:
        return build_settings(PipelineConfig, {"pipeline": text.strip()}, spec=spec)
    kind, _, rest = text.partition(",")
    if kind == "csi":
        return parse_settings(CsiConfig, rest, spec=spec)
    if kind == "usb":
        return parse_settings(UsbConfig, rest, spec=spec)
    raise SettingRefused(
        f"{shown_source(spec)!r}: got {shown_source(kind)!r}; expected csi, usb or a whole pipeline, as in {_EXAMPLES}"
    )
