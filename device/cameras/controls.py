"""What can be turned on a camera while it runs: exposure, focus, gain, each with its range, as the driver tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

from device.errors import SettingRefused

ControlName = Literal["exposure", "focus", "gain"]


@dataclass(frozen=True)
class Control:
    """One of them, as the camera has it now."""

    name: ControlName
    unit: str
    """`ms` of an exposure, `dB` of a gain that is told in them; empty where it is the driver's own number."""
    low: float
    high: float
    step: float
    """Between two values; 0 where the driver takes any."""
    value: float
    automatic: bool | None = None
    """Whether the camera turns it by itself; None where it never does."""

    def check(self, camera: str, value: float | None) -> None:
        """Raise `SettingRefused` for what is out of range; None asks the camera to turn it by itself."""
        if value is None:
            if self.automatic is None:
                raise SettingRefused(f"{camera}: {self.name}: this camera cannot set it by itself; choose a value")
        elif not self.low <= value <= self.high:
            raise SettingRefused(f"{camera}: {self.name}={value:g}: it can do {self.shown(self.low, self.high)}")

    def check_taken(self, camera: str, asked: float) -> None:
        """Raise `SettingRefused` where this, which the camera has now, is not what was asked of it."""
        if abs(self.value - asked) > max(self.step, 0.02 * abs(asked)):
            raise SettingRefused(
                f"{camera}: set {self.name}={asked:g}, camera gave {self.value:g}; "
                f"it can do {self.shown(self.low, self.high)}"
            )

    def shown(self, *values: float) -> str:
        """Values with their unit."""
        return " to ".join(f"{value:g}" for value in values) + (f" {self.unit}" if self.unit else "")


@runtime_checkable
class Adjustable(Protocol):
    """A camera that has controls. Both may be called from another thread than `read`, also while that waits."""

    def controls(self) -> tuple[Control, ...]:
        """Those that this camera has, as they are now. Raises `CameraError` where it does not answer."""
        ...

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one, None: have the camera set it by itself; gives it as the camera took it.

        Raises `SettingRefused` for a control that it has not, a value out of range, or one that it did not take.
        """
        ...


def controls_of(camera: object) -> tuple[Control, ...]:
    """The controls of any camera; none where its driver has none."""
    return camera.controls() if isinstance(camera, Adjustable) else ()


def adjust(camera: object, name: str, value: float | None, called: str) -> Control:
    """`Adjustable.adjust` of any camera. called: its name, for messages."""
    if not isinstance(camera, Adjustable):
        raise SettingRefused(f"{called}: nothing of this camera can be set while it runs; set it where it is opened")
    return camera.adjust(name, value)


def named(controls: tuple[Control, ...], camera: str, name: str) -> Control:
    """The control of that name; raises `SettingRefused` where there is none."""
    found = next((control for control in controls if control.name == name), None)
    if found is None:
        there = ", ".join(control.name for control in controls) or "none"
        known = f"expected one of {', '.join(get_args(ControlName))}; " if name not in get_args(ControlName) else ""
        raise SettingRefused(f"{camera}: {name[:40]}: {known}this camera has {there}")
    return found
