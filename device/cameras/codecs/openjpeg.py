"""JPEG 2000 by the OpenJPEG that Pillow carries, asked so that it says of its data what Pillow does not listen to."""

from __future__ import annotations

import functools
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    create_string_buffer,
    memmove,
)
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.cameras.codecs.loaded import declared_library

_J2K, _JP2 = 0, 2
_PIECE = 1 << 20
_PARAMETERS_BYTES = 1 << 15
"""`opj_dparameters_t` holds two paths of 4096 bytes and some numbers; every version's lies within this."""
_NO_MORE = c_size_t(-1).value


class _Component(Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("dx", "dy", "w", "h", "x0", "y0", "prec", "bpp", "sgnd", "resno", "factor")),
        ("data", POINTER(c_int32)),
        ("alpha", c_uint16),
    )


class _Image(Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("x0", "y0", "x1", "y1", "numcomps")),
        ("color_space", c_int),
        ("comps", POINTER(_Component)),
        ("icc_profile", c_void_p),
        ("icc_profile_bytes", c_uint32),
    )


_ON_READ = CFUNCTYPE(c_size_t, c_void_p, c_size_t, c_void_p)
_ON_SKIP = CFUNCTYPE(c_int64, c_int64, c_void_p)
_ON_SEEK = CFUNCTYPE(c_int, c_int64, c_void_p)
_ON_WORDS = CFUNCTYPE(None, c_char_p, c_void_p)


@dataclass(frozen=True, eq=False)
class Listened:
    """A picture, and what was said meanwhile."""

    pixels: NDArray[np.uint8] | None
    """uint8 [H, W, channels] as stored; None where none was made, or it is not plainly 8 bits a channel and place."""
    whole: bool
    """Whether the decoder came to the end."""
    colours: int
    """OpenJPEG's number of the colour space: 1 for sRGB, 2 for gray, 3 and more for others, less for not said."""
    said: tuple[str, ...]


@functools.cache
def _library() -> Any:
    """The library with its functions declared; None where it is not found in this process."""
    from PIL import _imaging  # noqa: F401  (it loads the library)

    return declared_library(
        "libopenjp2",
        (
            ("opj_stream_create", c_void_p, [c_size_t, c_int]),
            ("opj_stream_set_read_function", None, [c_void_p, _ON_READ]),
            ("opj_stream_set_skip_function", None, [c_void_p, _ON_SKIP]),
            ("opj_stream_set_seek_function", None, [c_void_p, _ON_SEEK]),
            ("opj_stream_set_user_data", None, [c_void_p, c_void_p, c_void_p]),
            ("opj_stream_set_user_data_length", None, [c_void_p, c_uint64]),
            ("opj_stream_destroy", None, [c_void_p]),
            ("opj_create_decompress", c_void_p, [c_int]),
            ("opj_set_warning_handler", c_int, [c_void_p, _ON_WORDS, c_void_p]),
            ("opj_set_error_handler", c_int, [c_void_p, _ON_WORDS, c_void_p]),
            ("opj_set_default_decoder_parameters", None, [c_void_p]),
            ("opj_setup_decoder", c_int, [c_void_p, c_void_p]),
            ("opj_read_header", c_int, [c_void_p, c_void_p, POINTER(POINTER(_Image))]),
            ("opj_decode", c_int, [c_void_p, c_void_p, POINTER(_Image)]),
            ("opj_end_decompress", c_int, [c_void_p, c_void_p]),
            ("opj_image_destroy", None, [POINTER(_Image)]),
            ("opj_destroy_codec", None, [c_void_p]),
        ),
    )


def is_there() -> bool:
    """Whether OpenJPEG can be asked."""
    return _library() is not None


def listened_to(data: bytes) -> Listened:
    """What OpenJPEG makes of a JP2 file or a bare codestream, and all that it says of it."""
    library, said, source = _library(), list[str](), _Source(data)
    words = _ON_WORDS(lambda text, _: said.append(text.decode("latin-1").strip()))
    calls = _ON_READ(source.read), _ON_SKIP(source.skip), _ON_SEEK(source.seek)
    parameters, image = create_string_buffer(_PARAMETERS_BYTES), POINTER(_Image)()
    stream = library.opj_stream_create(_PIECE, 1)
    codec = library.opj_create_decompress(_J2K if data.startswith(b"\xff\x4f") else _JP2)
    try:
        for name, call in zip(("read", "skip", "seek"), calls, strict=True):
            getattr(library, f"opj_stream_set_{name}_function")(stream, call)
        library.opj_stream_set_user_data(stream, None, None)
        library.opj_stream_set_user_data_length(stream, len(data))
        library.opj_set_warning_handler(codec, words, None)
        library.opj_set_error_handler(codec, words, None)
        library.opj_set_default_decoder_parameters(parameters)
        whole = bool(
            library.opj_setup_decoder(codec, parameters)
            and library.opj_read_header(stream, codec, byref(image))
            and library.opj_decode(codec, stream, image)
            and library.opj_end_decompress(codec, stream)
        )
        pixels = _pixels(image.contents) if whole else None
        return Listened(pixels, whole, image.contents.color_space if whole else 0, tuple(said))
    finally:
        if image:
            library.opj_image_destroy(image)
        library.opj_destroy_codec(codec)
        library.opj_stream_destroy(stream)


class _Source:
    """The bytes, as OpenJPEG asks for them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, into: int, most: int, _: object) -> int:
        piece = self._data[self._at : self._at + most]
        if not piece:
            return _NO_MORE
        memmove(into, piece, len(piece))
        self._at += len(piece)
        return len(piece)

    def skip(self, count: int, _: object) -> int:
        self._at = min(self._at + count, len(self._data))
        return count

    def seek(self, to: int, _: object) -> int:
        self._at = to
        return 1


def _pixels(image: _Image) -> NDArray[np.uint8] | None:
    parts = [image.comps[k] for k in range(image.numcomps)]
    size = parts[0].h, parts[0].w
    if any((p.prec, p.sgnd, p.dx, p.dy) != (8, 0, 1, 1) or (p.h, p.w) != size or not p.data for p in parts):
        return None
    pixels = np.empty((*size, len(parts)), np.uint8)
    for channel, part in enumerate(parts):
        pixels[:, :, channel] = np.ctypeslib.as_array(part.data, size)
    return pixels
