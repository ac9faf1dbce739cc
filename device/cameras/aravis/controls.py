"""Exposure, gain and focus of a GenICam camera while it runs, by its features."""

from __future__ import annotations

from ctypes import c_double, c_int64, c_void_p
from typing import Any

from device.cameras.aravis.library import AravisError, Library
from device.cameras.controls import Control, ControlName, named
from device.errors import SettingRefused

_OFF, _CONTINUOUS = 0, 2
"""Of `ArvAuto`."""
_NUMBERS: tuple[tuple[ControlName, str, str, str, float], ...] = (
    ("exposure", "exposure_time", "exposure", "ms", 1000.0),
    ("gain", "gain", "gain", "dB", 1.0),
)
"""Name, libaravis' word for it, its word where it asks whether it can be automatic, unit, its own units to ours."""


def controls(library: Library, camera: c_void_p, focus_feature: str | None) -> tuple[Control, ...]:
    """Those that the camera has. Raises `AravisError`."""
    found = [_number(library, camera, *one) for one in _NUMBERS if _has(library, camera, one[1])]
    if focus_feature is not None and library.call("arv_camera_is_feature_available", camera, focus_feature.encode()):
        found.append(_focus(library, camera, focus_feature.encode()))
    return tuple(found)


def adjust(
    library: Library, camera: c_void_p, focus_feature: str | None, called: str, name: str, value: float | None
) -> Control:
    """Set one; see `Adjustable.adjust`. Raises `SettingRefused`."""
    try:
        control = named(controls(library, camera, focus_feature), called, name)
        control.check(called, value)
        _set(library, camera, focus_feature, control, value)
        after = named(controls(library, camera, focus_feature), called, name)
    except AravisError as error:
        raise SettingRefused(f"{called}: {name}: the camera refused it ({error}); look at it") from None
    if value is not None:
        after.check_taken(called, value)
    elif not after.automatic:
        raise SettingRefused(f"{called}: {name}: the camera does not set it by itself; choose a value")
    return after


def _set(library: Library, camera: c_void_p, focus_feature: str | None, control: Control, value: float | None) -> None:
    if control.name == "focus":
        assert focus_feature is not None
        assert value is not None
        library.call("arv_camera_set_integer", camera, focus_feature.encode(), round(value))
        return
    word, units = next((one[1], one[4]) for one in _NUMBERS if one[0] == control.name)
    if control.automatic is not None:
        library.call(f"arv_camera_set_{word}_auto", camera, _CONTINUOUS if value is None else _OFF)
    if value is not None:
        library.call(f"arv_camera_set_{word}", camera, value * units)


def _has(library: Library, camera: c_void_p, word: str) -> bool:
    return bool(library.call(f"arv_camera_is_{word}_available", camera))


def _number(
    library: Library, camera: c_void_p, name: ControlName, word: str, auto: str, unit: str, units: float
) -> Control:
    low, high = library.bounds(f"arv_camera_get_{word}_bounds", camera, c_double)
    automatic: Any = None
    if library.call(f"arv_camera_is_{auto}_auto_available", camera):
        automatic = library.call(f"arv_camera_get_{word}_auto", camera) != _OFF
    return Control(
        name, unit, low / units, high / units, 0.0, library.call(f"arv_camera_get_{word}", camera) / units, automatic
    )


def _focus(library: Library, camera: c_void_p, feature: bytes) -> Control:
    low, high = library.bounds("arv_camera_get_integer_bounds", camera, c_int64, feature)
    step = library.call("arv_camera_get_integer_increment", camera, feature)
    return Control("focus", "", low, high, max(1, step), library.call("arv_camera_get_integer", camera, feature))
