"""Keeps libtiff, which Pillow uses, from writing its own lines to stderr."""

from __future__ import annotations

import ctypes
import functools
import re
from contextlib import suppress
from pathlib import Path


@functools.cache
def hush_libtiff() -> None:
    """Switch off the handlers that print; what is wrong with a file comes as our own error.

    Pillow offers no way to do so. Where its libtiff is not found in this process, the lines stay.
    """
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text("utf-8", "replace")
        for library in sorted(set(re.findall(r"(/\S*/libtiff[^/\s]*\.so[^/\s]*)$", maps, re.MULTILINE))):
            loaded = ctypes.CDLL(library)
            for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
                set_handler = getattr(loaded, name)
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)
