"""H.265 by libde265, through ctypes: it says when a slice does not end where its picture does, as FFmpeg does not."""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from ctypes import byref, c_char_p, c_int, c_int64, c_void_p
from typing import Any

from device.cameras.video.units import parameter_sets, split

_NO_FILTERS = (7, 8)
"""Parameters that leave out deblocking and sample-adaptive offset: the data is read alike, in less time."""
_WAITING = 13
_DAMAGE = frozenset({4, 5, 6, 8, 14, 15, 16, 17, 18, 1002, 1003, 1004, 1005, 1006, 1007, 1009, 1010, 1017, 1020, 1021})
"""Of de265.h: told of data that was cut or altered. Others are of reference pictures, which FFmpeg tells better."""


@functools.cache
def _library() -> Any:
    """The library, its functions declared; None where it is not installed."""
    try:
        library = ctypes.CDLL("libde265.so.0")
    except OSError:
        return None
    for name, result, arguments in (
        ("de265_new_decoder", c_void_p, []),
        ("de265_free_decoder", c_int, [c_void_p]),
        ("de265_set_parameter_bool", None, [c_void_p, c_int, c_int]),
        ("de265_push_NAL", c_int, [c_void_p, c_char_p, c_int, c_int64, c_void_p]),
        ("de265_push_end_of_frame", None, [c_void_p]),
        ("de265_flush_data", c_int, [c_void_p]),
        ("de265_decode", c_int, [c_void_p, c_void_p]),
        ("de265_get_warning", c_int, [c_void_p]),
        ("de265_get_next_picture", c_void_p, [c_void_p]),
        ("de265_get_error_text", c_char_p, [c_int]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def is_there() -> bool:
    """Whether libde265 is installed (Debian: libde265-0)."""
    return _library() is not None


class SliceReader:
    """Decodes a stream of H.265 beside FFmpeg; a `SecondDecoder`."""

    def __init__(self, extradata: bytes) -> None:
        """extradata: the stream's configuration, hvcC or units behind start codes; may be empty."""
        self._extradata = extradata
        self._decoder = _library().de265_new_decoder()
        weakref.finalize(self, _library().de265_free_decoder, self._decoder)
        for parameter in _NO_FILTERS:
            _library().de265_set_parameter_bool(self._decoder, parameter, 1)
        self._push(parameter_sets(extradata))

    def look_at(self, packet: bytes, frames: Sequence[Any]) -> str | None:
        """See `SecondDecoder`."""
        units = split(packet, "hevc", self._extradata)
        if units is None:
            return "units that do not fit their packet"
        self._push(units)
        if packet:
            _library().de265_push_end_of_frame(self._decoder)
        else:
            _library().de265_flush_data(self._decoder)
        return self._decode()

    def _push(self, units: Sequence[bytes]) -> None:
        for unit in units:
            _library().de265_push_NAL(self._decoder, unit, len(unit), 0, None)

    def _decode(self) -> str | None:
        """Decode what was pushed; the first complaint."""
        first, more, turns = None, c_int(1), 0
        while more.value and turns < 10_000:  # a turn is a unit, or a picture that leaves
            turns += 1
            codes = [_library().de265_decode(self._decoder, byref(more))]
            while code := _library().de265_get_warning(self._decoder):
                codes.append(code)
            while _library().de265_get_next_picture(self._decoder):
                pass
            for code in codes:
                if code in _DAMAGE and first is None:
                    first = _library().de265_get_error_text(code).decode("ascii", "replace")[:80]
            if codes[0] == _WAITING:
                break
        return first
