"""H.265 by libde265, through ctypes: it says when data does not end where its picture does, as FFmpeg does not.

Of a slice before others that ends too early it says nothing. So each picture's memory is marked before it is decoded:
where a mark is left, no slice has written.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.video.units import parameter_sets, split

_NO_FILTERS = (7, 8)
"""Parameters that leave out deblocking and sample-adaptive offset: the data is read alike, in less time."""
_WAITING = 13
_DAMAGE = frozenset({4, 5, 6, 8, 14, 15, 16, 17, 18, 1002, 1003, 1004, 1005, 1006, 1007, 1009, 1010, 1017, 1020, 1021})
"""Of de265.h: told of data that was cut or altered. Others are of reference pictures, which FFmpeg tells better."""
_BLOCK = 16
"""No block that is decoded as one (CTB) is smaller, in pixels."""
_MARK = np.frombuffer(bytes.fromhex("00ff17e85ba4f10e3cc3d22d7788e619"), np.uint8)
"""What no picture shows along a row of a block."""
_HALF, _FULL = 1, 3
"""Chroma formats of H.265: 4:2:0 and 4:4:4."""


class _Spec(ctypes.Structure):
    """The beginning of `de265_image_spec` of de265.h."""

    _fields_ = (("format", c_int), ("width", c_int), ("height", c_int), ("alignment", c_int))


_Get = CFUNCTYPE(c_int, c_void_p, POINTER(_Spec), c_void_p, c_void_p)
_Release = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)


class _Allocation(ctypes.Structure):
    """`de265_image_allocation` of de265.h."""

    _fields_ = (("get_buffer", _Get), ("release_buffer", _Release))


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
        ("de265_set_image_allocation_functions", None, [c_void_p, POINTER(_Allocation), c_void_p]),
        ("de265_set_image_plane", None, [c_void_p, c_int, c_void_p, c_int, c_void_p]),
        ("de265_get_image_plane", c_void_p, [c_void_p, c_int, POINTER(c_int)]),
        ("de265_get_chroma_format", c_int, [c_void_p]),
        ("de265_get_bits_per_pixel", c_int, [c_void_p, c_int]),
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
        for parameter in _NO_FILTERS:
            _library().de265_set_parameter_bool(self._decoder, parameter, 1)
        self._marks = Marks(self._decoder)
        weakref.finalize(self, _free, self._decoder, self._marks)
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
        return self._decode() or self._marks.left()

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


def _free(decoder: int, _called_until_then: Marks) -> None:
    _library().de265_free_decoder(decoder)


class Marks:
    """The memory of the pictures that a decoder writes to, with marks in it."""

    def __init__(self, decoder: int) -> None:
        self._held: dict[int, list[NDArray[np.uint8]]] = {}
        self._marked: dict[int, NDArray[np.uint8]] = {}
        self._left = False
        self._functions = _Allocation(_Get(self._get), _Release(self._release))
        _library().de265_set_image_allocation_functions(decoder, byref(self._functions), None)

    def left(self) -> str | None:
        """Whether a picture that was decoded since the last call has a block that no slice has written, in words."""
        for image in list(self._marked):
            self._look_at(image)
        left, self._left = self._left, False
        return "a slice that ends too early" if left else None

    def _get(self, _decoder: int, spec: Any, image: int, _user: int) -> int:
        try:
            planes = [_plane(spec.contents, image, k) for k in range(3)]
        except MemoryError:
            return 0
        self._held[image] = planes
        for k, rows in enumerate(planes):
            _lend(image, k, rows)
        whole = spec.contents.width // _BLOCK * _BLOCK * _sample_bytes(image, 0)
        rows = self._marked[image] = planes[0][_BLOCK // 2 : spec.contents.height : _BLOCK, :whole]
        rows[:] = np.resize(_MARK, whole)
        return 1

    def _release(self, _decoder: int, image: int, _user: int) -> None:
        self._look_at(image)
        self._held.pop(image, None)

    def _look_at(self, image: int) -> None:
        rows = self._marked.pop(image, None)
        if rows is not None:
            written = rows.reshape(len(rows), -1, len(_MARK)) != _MARK
            self._left = self._left or not written.any(axis=2).all()


def _lend(image: int, channel: int, rows: NDArray[np.uint8]) -> None:
    """Have the channel written there. Versions differ in whether they take a row's bytes or samples; all tell bytes."""
    at, row_bytes = rows.ctypes.data if rows.size else None, rows.shape[1]
    told = c_int()
    for stride in (row_bytes, row_bytes // _sample_bytes(image, channel)):
        _library().de265_set_image_plane(image, channel, at, stride, None)
        _library().de265_get_image_plane(image, channel, byref(told))
        if told.value == row_bytes:
            return


def _plane(spec: _Spec, image: int, channel: int) -> NDArray[np.uint8]:
    """Memory for a channel of a picture: uint8 [rows, bytes], with a row more than it has; none for a missing one."""
    chroma = _library().de265_get_chroma_format(image) if channel else _FULL
    if not chroma:
        return np.empty((0, 0), np.uint8)
    width = -(-spec.width // (1 if chroma == _FULL else 2))
    height = -(-spec.height // (2 if chroma == _HALF else 1))
    stride = -(-width // spec.alignment) * spec.alignment * _sample_bytes(image, channel)
    memory = np.empty(stride * (height + 1) + spec.alignment, np.uint8)
    begin = -memory.ctypes.data % spec.alignment
    return memory[begin : begin + stride * (height + 1)].reshape(height + 1, stride)


def _sample_bytes(image: int, channel: int) -> int:
    return (int(_library().de265_get_bits_per_pixel(image, channel)) + 7) // 8
