"""Settings of GigE Vision and USB3 Vision cameras."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from device.cameras.settings import CameraSettings, parse_settings

PixelFormat = Literal["RGB8", "BGR8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8", "Mono8"]
"""Those that can be made RGB without loss, in the order in which they are chosen when none is set."""


class AravisConfig(CameraSettings):
    """A camera that libaravis finds; what is not set stays as the camera has it."""

    camera: str = ""
    """Its name, serial number or IP address; empty for the first that is found."""
    pixel_format: PixelFormat | None = None
    """None takes the first of `RGB8`, `BGR8`, the Bayer patterns and `Mono8` that the camera has."""
    width: int | None = Field(default=None, ge=1)
    """Pixels across."""
    height: int | None = Field(default=None, ge=1)
    """Pixels down."""
    fps: float | None = Field(default=None, gt=0)
    """Frames a second."""
    exposure_us: float | None = Field(default=None, gt=0)
    """Exposure in microseconds."""
    gain: float | None = Field(default=None, ge=0)
    """Gain in the camera's own unit, mostly dB."""
    focus_feature: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
    """The whole-number feature that moves its lens, where it has one: GenICam's own is `FocusStepper`, makers have
    others. It can then be turned while the camera runs."""
    packet_size: int | None = Field(default=None, ge=576, le=16_260)
    """Bytes a packet, GigE Vision only; 8000 and more need jumbo frames in the whole network."""
    buffers: int = Field(default=8, ge=2, le=256)
    """Frames that may wait in memory before new ones are lost."""
    timeout_s: float = Field(default=2.0, gt=0, le=60)
    """Seconds within which the next frame must come."""

    @classmethod
    def parse(cls, spec: str) -> AravisConfig:
        """The settings in `aravis:`, `aravis:SERIAL` or `aravis:SERIAL,fps=20,pixel_format=RGB8`.

        Raises `SettingRefused`.
        """
        camera, _, rest = spec.removeprefix("aravis:").partition(",")
        return parse_settings(cls, rest, spec=spec, camera=camera)
