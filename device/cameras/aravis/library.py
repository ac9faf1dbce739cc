"""libaravis 0.8 through ctypes: the few functions that the driver uses, and its errors as Python's."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint, c_uint64, c_void_p
from functools import lru_cache
from typing import Any

from device.errors import DriverMissing

_FILES = ("libaravis-0.8.so.0", "libaravis-0.8.so")
_OUT_INT, _OUT_DOUBLE = POINTER(c_int), POINTER(c_double)

_PLAIN: dict[str, tuple[Any, ...]] = {
    "arv_update_device_list": (None,),
    "arv_get_n_devices": (c_uint,),
    **{
        f"arv_get_device_{what}": (c_char_p, c_uint)
        for what in ("id", "vendor", "model", "serial_nbr", "address", "protocol")
    },
    "arv_camera_is_gv_device": (c_int, c_void_p),
    "arv_camera_get_device": (c_void_p, c_void_p),
    "arv_gv_device_is_controller": (c_int, c_void_p),
    "arv_buffer_new_allocate": (c_void_p, c_size_t),
    "arv_buffer_get_status": (c_int, c_void_p),
    "arv_buffer_get_frame_id": (c_uint64, c_void_p),
    "arv_buffer_get_system_timestamp": (c_uint64, c_void_p),
    "arv_buffer_get_data": (c_void_p, c_void_p, POINTER(c_size_t)),
    "arv_buffer_get_image_width": (c_int, c_void_p),
    "arv_buffer_get_image_height": (c_int, c_void_p),
    "arv_buffer_get_image_pixel_format": (c_uint, c_void_p),
    "arv_stream_push_buffer": (None, c_void_p, c_void_p),
    "arv_stream_timeout_pop_buffer": (c_void_p, c_void_p, c_uint64),
    "arv_stream_get_statistics": (None, c_void_p, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint64)),
    "g_object_unref": (None, c_void_p),
    "g_free": (None, c_void_p),
}
"""Result, then arguments."""

_FAILING: dict[str, tuple[Any, ...]] = {
    "arv_camera_new": (c_void_p, c_char_p),
    "arv_camera_create_stream": (c_void_p, c_void_p, c_void_p, c_void_p),
    "arv_camera_start_acquisition": (None, c_void_p),
    "arv_camera_stop_acquisition": (None, c_void_p),
    "arv_camera_get_payload": (c_uint, c_void_p),
    "arv_camera_dup_available_pixel_formats_as_strings": (c_void_p, c_void_p, POINTER(c_uint)),
    "arv_camera_get_pixel_format_as_string": (c_char_p, c_void_p),
    "arv_camera_set_pixel_format_from_string": (None, c_void_p, c_char_p),
    "arv_camera_get_pixel_format": (c_uint, c_void_p),
    "arv_camera_get_region": (None, c_void_p, _OUT_INT, _OUT_INT, _OUT_INT, _OUT_INT),
    "arv_camera_set_region": (None, c_void_p, c_int, c_int, c_int, c_int),
    "arv_camera_get_width_bounds": (None, c_void_p, _OUT_INT, _OUT_INT),
    "arv_camera_get_height_bounds": (None, c_void_p, _OUT_INT, _OUT_INT),
    "arv_camera_get_width_increment": (c_int, c_void_p),
    "arv_camera_get_height_increment": (c_int, c_void_p),
    "arv_camera_gv_set_packet_size": (None, c_void_p, c_int),
    "arv_camera_gv_get_packet_size": (c_uint, c_void_p),
    "arv_device_read_memory": (c_int, c_void_p, c_uint64, c_uint, c_void_p),
    **{f"arv_camera_is_{what}_auto_available": (c_int, c_void_p) for what in ("exposure", "gain")},
    **{f"arv_camera_get_{what}_auto": (c_int, c_void_p) for what in ("exposure_time", "gain")},
    **{f"arv_camera_set_{what}_auto": (None, c_void_p, c_int) for what in ("exposure_time", "gain")},
    "arv_camera_is_feature_available": (c_int, c_void_p, c_char_p),
    "arv_camera_get_integer": (c_int64, c_void_p, c_char_p),
    "arv_camera_set_integer": (None, c_void_p, c_char_p, c_int64),
    "arv_camera_get_integer_increment": (c_int64, c_void_p, c_char_p),
    "arv_camera_get_integer_bounds": (None, c_void_p, c_char_p, POINTER(c_int64), POINTER(c_int64)),
    **{f"arv_camera_is_{what}_available": (c_int, c_void_p) for what in ("frame_rate", "exposure_time", "gain")},
    **{
        f"arv_camera_get_{what}_bounds": (None, c_void_p, _OUT_DOUBLE, _OUT_DOUBLE)
        for what in ("frame_rate", "exposure_time", "gain")
    },
    **{f"arv_camera_get_{what}": (c_double, c_void_p) for what in ("frame_rate", "exposure_time", "gain")},
    **{f"arv_camera_set_{what}": (None, c_void_p, c_double) for what in ("frame_rate", "exposure_time", "gain")},
}
"""As above; each takes a `GError **` as one more argument."""


class AravisError(Exception):
    """What libaravis said went wrong."""


class _GError(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", c_int), ("message", c_char_p))


class Library:
    """The loaded library; `call` is safe from any thread and lets others run meanwhile."""

    def __init__(self, loaded: ctypes.CDLL) -> None:
        self._loaded = loaded
        for name, (result, *arguments) in _PLAIN.items():
            self._declare(name, result, arguments)
        for name, (result, *arguments) in _FAILING.items():
            self._declare(name, result, [*arguments, POINTER(POINTER(_GError))])
        loaded.g_error_free.argtypes = [c_void_p]
        loaded.g_error_free.restype = None

    def _declare(self, name: str, result: Any, arguments: list[Any]) -> None:
        function = getattr(self._loaded, name)
        function.restype, function.argtypes = result, arguments

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of the functions above; raises `AravisError` with libaravis' own words."""
        function = getattr(self._loaded, name)
        if name in _PLAIN:
            return function(*arguments)
        error = POINTER(_GError)()
        answer = function(*arguments, byref(error))
        if error:
            words = (error.contents.message or b"no reason given").decode("utf-8", "replace")
            self._loaded.g_error_free(error)
            raise AravisError(words)
        return answer

    def bounds(self, name: str, camera: c_void_p, kind: Any, *arguments: Any) -> tuple[Any, Any]:
        """The two numbers, of ctypes' type `kind`, that a `..._bounds` function gives; arguments: further ones."""
        low, high = kind(), kind()
        self.call(name, camera, *arguments, byref(low), byref(high))
        return low.value, high.value


@lru_cache(maxsize=1)
def load() -> Library:
    """The library, loaded once; raises `DriverMissing`."""
    for file in _FILES:
        try:
            return Library(ctypes.CDLL(file))
        except OSError:
            continue
        except AttributeError as error:
            raise DriverMissing(f"{file} is too old ({error}); expected Aravis 0.8.20 or newer") from None
    raise DriverMissing(
        "the Aravis library (libaravis-0.8) is not installed; Debian, Ubuntu: sudo apt-get install libaravis-0.8-0"
    )
