"""`V4L2Controls`: exposure, focus and gain of a V4L2 camera, by a file of their own, beside the one that streams.

Numbers and layouts are those of `linux/v4l2-controls.h` and `linux/videodev2.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from device.cameras.controls import Control, ControlName, named
from device.cameras.opencv import v4l2
from device.errors import SettingRefused

QUERYCTRL = 0xC0445624
G_CTRL = 0xC008561B
S_CTRL = 0xC008561C
_DISABLED, _READ_ONLY = 0x1, 0x4


@dataclass(frozen=True)
class _Kind:
    """How V4L2 has a control."""

    name: ControlName
    number: int
    automatic: int
    """The control that says who sets it."""
    by_hand: int
    by_camera: tuple[int, ...]
    """Values of `automatic`, the preferred one first."""
    unit: str = ""
    per_unit: float = 1.0


KINDS = (
    # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 us; aperture priority sets the time by itself, as auto (0) does.
    _Kind("exposure", 0x009A0902, 0x009A0901, 1, (3, 0), "ms", 10.0),
    _Kind("focus", 0x009A090A, 0x009A090C, 0, (1,)),
    _Kind("gain", 0x00980913, 0x00980912, 0, (1,)),
)


class V4L2Controls:
    """Of the camera at a path. Any thread may use it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def controls(self) -> tuple[Control, ...]:
        """Those that its driver has. Raises `SourceNotFound`, `CameraNotPermitted`."""
        with v4l2.opened(self._path) as file:
            found = (_control(file, kind) for kind in KINDS)
            return tuple(control for control in found if control is not None)

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one; see `Adjustable.adjust`."""
        with v4l2.opened(self._path) as file:
            found = {kind.name: (kind, _control(file, kind)) for kind in KINDS}
            there = tuple(control for _, control in found.values() if control is not None)
            control = named(there, self._path, name)
            control.check(self._path, value)
            kind = found[control.name][0]
            if value is None:
                _first_taken([partial(_set, file, kind.automatic, v) for v in kind.by_camera], self._path, name)
            else:
                if control.automatic:
                    _first_taken([partial(_set, file, kind.automatic, kind.by_hand)], self._path, name)
                steps = round((value - control.low) / control.step)
                raw = round((control.low + steps * control.step) * kind.per_unit)
                _first_taken([partial(_set, file, kind.number, raw)], self._path, name)
            after = _control(file, kind)
            if after is None:
                raise SettingRefused(f"{self._path}: {name}: the camera has it no more; look at its cable")
            if value is not None:
                after.check_taken(self._path, value)
            elif not after.automatic:
                raise SettingRefused(f"{self._path}: {name}: the camera does not set it by itself; choose a value")
            return after


def _control(file: int, kind: _Kind) -> Control | None:
    asked = _query(file, kind.number)
    if asked is None:
        return None
    low, high, step = asked
    return Control(
        kind.name,
        kind.unit,
        low / kind.per_unit,
        high / kind.per_unit,
        max(1, step) / kind.per_unit,
        _get(file, kind.number) / kind.per_unit,
        None if _query(file, kind.automatic) is None else _get(file, kind.automatic) in kind.by_camera,
    )


def _query(file: int, number: int) -> tuple[int, int, int] | None:
    """Lowest, highest and step; None where the driver has no such control, or nobody may set it."""
    answer = bytearray(68)
    struct.pack_into("I", answer, 0, number)
    try:
        v4l2.ioctl(file, QUERYCTRL, answer)
    except OSError:
        return None
    low, high, step, _, flags = struct.unpack_from("iiiiI", answer, 40)
    return None if flags & (_DISABLED | _READ_ONLY) else (low, high, step)


def _get(file: int, number: int) -> int:
    answer = bytearray(struct.pack("Ii", number, 0))
    v4l2.ioctl(file, G_CTRL, answer)
    return int(struct.unpack_from("i", answer, 4)[0])


def _set(file: int, number: int, value: int) -> None:
    v4l2.ioctl(file, S_CTRL, bytearray(struct.pack("Ii", number, value)))


def _first_taken(ways: list[Callable[[], None]], path: str, name: str) -> None:
    why = OSError()
    for way in ways:
        try:
            return way()
        except OSError as error:
            why = error
    raise SettingRefused(f"{path}: {name}: the camera refused it ({why.strerror}); look at it, or open it again")
