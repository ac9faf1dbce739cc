"""Keeps libtiff, which Pillow uses, from writing its own lines to stderr."""

from __future__ import annotations

import ctypes
import functools
from contextlib import suppress

from device.cameras.codecs.loaded import loaded_libraries


@functools.cache
def hush_libtiff() -> None:
    """Switch off the handlers that print; what is wrong with a file comes as our own error.

    Pillow offers no way to do so. Where its libtiff is not found in this process, the lines stay.
    """
    for library in loaded_libraries("libtiff"):
        for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            with suppress(AttributeError):
                set_handler = getattr(library, name)
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)
