"""Sets a GigE Vision or USB3 Vision camera as asked, inside the bounds that it states, and reads back what it took."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_double, c_int, c_uint, c_void_p
from dataclasses import dataclass
from typing import get_args

from device.cameras.aravis.config import AravisConfig, PixelFormat
from device.cameras.aravis.library import AravisError, Library
from device.errors import SettingRefused

_TOLERANCE = 0.02
"""Cameras round rates and times to their clock."""


@dataclass(frozen=True)
class Layout:
    """How the frames of a camera lie in its buffers."""

    width: int
    height: int
    pixel_format: str
    """As GenICam names it."""
    pixel_code: int
    """The same as a number, which each buffer carries."""


def set_up(library: Library, camera: c_void_p, config: AravisConfig, name: str) -> Layout:
    """Set everything that `config` names; raises `SettingRefused` with what the camera can do."""
    chosen = _set_pixel_format(library, camera, config, name)
    _set_size(library, camera, config, name)
    for feature, setting, asked in (
        ("frame_rate", "fps", config.fps),
        ("exposure_time", "exposure_us", config.exposure_us),
        ("gain", "gain", config.gain),
    ):
        if asked is not None:
            _set_number(library, camera, feature, setting, asked, name)
    if config.packet_size is not None:
        _set_packet_size(library, camera, config.packet_size, name)
    x, y, width, height = (c_int() for _ in range(4))
    library.call("arv_camera_get_region", camera, byref(x), byref(y), byref(width), byref(height))
    _expect_taken(name, "width", config.width, width.value)
    _expect_taken(name, "height", config.height, height.value)
    code = int(library.call("arv_camera_get_pixel_format", camera))
    return Layout(width.value, height.value, chosen, code & 0xFFFFFFFF)


def _set_pixel_format(library: Library, camera: c_void_p, config: AravisConfig, name: str) -> str:
    offered = _offered_formats(library, camera)
    usable = [one for one in get_args(PixelFormat) if one in offered]
    if not usable:
        raise SettingRefused(
            f"{name}: gives {', '.join(offered)}; expected {' or '.join(get_args(PixelFormat))}, "
            "this camera cannot be used"
        )
    chosen = config.pixel_format or usable[0]
    if chosen not in usable:
        raise SettingRefused(f"{name}: pixel_format={chosen}: it can do {', '.join(usable)}")
    library.call("arv_camera_set_pixel_format_from_string", camera, chosen.encode())
    got = library.call("arv_camera_get_pixel_format_as_string", camera).decode()
    _expect_taken(name, "pixel_format", chosen, got)
    return str(chosen)


def _offered_formats(library: Library, camera: c_void_p) -> list[str]:
    count = c_uint()
    array = library.call("arv_camera_dup_available_pixel_formats_as_strings", camera, byref(count))
    names = ctypes.cast(array, ctypes.POINTER(ctypes.c_char_p))
    offered = [(names[index] or b"").decode() for index in range(count.value)]
    library.call("g_free", array)
    return offered


def _set_size(library: Library, camera: c_void_p, config: AravisConfig, name: str) -> None:
    if config.width is None and config.height is None:
        return
    for side, asked in (("width", config.width), ("height", config.height)):
        low, high = library.bounds(f"arv_camera_get_{side}_bounds", camera, c_int)
        step = max(1, library.call(f"arv_camera_get_{side}_increment", camera))
        if asked is not None and not (low <= asked <= high and (asked - low) % step == 0):
            steps = f" in steps of {step}" if step > 1 else ""
            raise SettingRefused(f"{name}: {side}={asked}: it can do {low} to {high}{steps}")
    # libaravis leaves a side of -1, and a corner of -1, as it is.
    library.call("arv_camera_set_region", camera, -1, -1, config.width or -1, config.height or -1)


def _set_number(library: Library, camera: c_void_p, feature: str, setting: str, asked: float, name: str) -> None:
    if not library.call(f"arv_camera_is_{feature}_available", camera):
        raise SettingRefused(f"{name}: {setting}={asked:g}: this camera has no such setting; leave it out")
    low, high = library.bounds(f"arv_camera_get_{feature}_bounds", camera, c_double)
    if not low <= asked <= high:
        raise SettingRefused(f"{name}: {setting}={asked:g}: it can do {low:g} to {high:g}")
    library.call(f"arv_camera_set_{feature}", camera, asked)
    got = library.call(f"arv_camera_get_{feature}", camera)
    if abs(got - asked) > _TOLERANCE * max(asked, 1.0):
        raise SettingRefused(f"{name}: set {setting}={asked:g}, camera gave {got:g}; it can do {low:g} to {high:g}")


def _set_packet_size(library: Library, camera: c_void_p, asked: int, name: str) -> None:
    if not library.call("arv_camera_is_gv_device", camera):
        raise SettingRefused(f"{name}: packet_size={asked}: only GigE Vision cameras have it; leave it out")
    try:
        library.call("arv_camera_gv_set_packet_size", camera, asked)
    except AravisError as error:
        raise SettingRefused(f"{name}: packet_size={asked}: the camera refused it ({error})") from None
    _expect_taken(name, "packet_size", asked, library.call("arv_camera_gv_get_packet_size", camera))


def _expect_taken(name: str, setting: str, asked: object, got: object) -> None:
    if asked is not None and asked != got:
        raise SettingRefused(f"{name}: set {setting}={asked}, camera gave {got}")
