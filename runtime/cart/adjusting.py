"""The camera's own settings (exposure, focus, gain) as the screen shows and turns them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from device.cameras.controls import Control
from device.errors import CameraError, DeviceError
from device.live import LiveReader
from runtime.cart.errors import NotNow
from runtime.cart.kept import Supervised

FLASHED = "pictures are taken by a flash that is timed for this exposure; both are set in cart.toml, [light.timing]"
TIMED = (
    "the exposure cannot be turned here: it is timed for the flash; "
    "leave it, or have it set in cart.toml, [light.timing]"
)
EXPOSURE = "exposure"


class Turned:
    """What was turned since the cart started, for a camera that comes back after it was lost."""

    def __init__(self, open_camera: Callable[[], LiveReader]) -> None:
        self._open_camera = open_camera
        self._values: dict[str, float | None] = {}

    def open(self) -> LiveReader:
        """The camera, turned as the one before was; where it is another one, what it has is what is shown."""
        reader = self._open_camera()
        for name, value in self._values.copy().items():
            with suppress(DeviceError):
                reader.adjust(name, value)
        return reader

    def turn(self, camera: Supervised[LiveReader], name: str, value: float | None, *, flashed: bool) -> Control:
        """Set one, None: by the camera itself. Raises `NotNow` for what a flash forbids, `CameraError`."""
        if flashed and name == EXPOSURE:
            raise NotNow(TIMED)
        control = _reader(camera).adjust(name, value)
        self._values[name] = value
        return control


def shown_controls(camera: Supervised[LiveReader], *, flashed: bool) -> list[dict[str, Any]]:
    """Each control for the screen; `fixed` says why it cannot be turned there, empty where it can."""
    return [
        {**asdict(control), "fixed": FLASHED if flashed and control.name == EXPOSURE else ""}
        for control in _reader(camera).controls()
    ]


def said_of(control: Control) -> str:
    """For the trail."""
    return f"{control.name} {'by itself' if control.automatic else control.shown(control.value)}"


def _reader(camera: Supervised[LiveReader]) -> LiveReader:
    reader = camera.part
    if reader is None:
        raise CameraError(f"the camera is not there: {camera.problem}")
    return reader
