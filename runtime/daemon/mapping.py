"""Shared memory in this process's address space, begun where a 2 MiB page may begin."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref

import numpy as np

from device.compiled import of_these_sources
from runtime.arrays import UInt8Array
from runtime.daemon.slots import HUGE_PAGE

try:
    from runtime.daemon import _shared
except ImportError:  # built without a compiler: `can_watch` says so
    _shared = None  # type: ignore[assignment]
else:
    if not of_these_sources(_shared):
        _shared = None  # type: ignore[assignment]

MAP_FIXED = 0x10
"""Linux, everywhere but on Alpha, MIPS, PA-RISC and Xtensa the same."""
MADV_COLLAPSE = 25
"""Linux 6.1."""
MADV_REMOVE = 9
_FAILED = ctypes.c_void_p(-1).value
_PROT_NONE = 0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.mmap.restype = ctypes.c_void_p
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def can_watch() -> bool:
    """Whether a page that another process takes away is survived."""
    return _shared is not None


def lost(mapped: UInt8Array) -> bool:
    """Whether a page of a mapping that `gives_back` was missing when it was touched; it has read as zeros since."""
    return _shared is not None and _shared.lost(mapped.ctypes.data)


def map_shared(descriptor: int, size: int, gives_back: bool = False) -> UInt8Array:
    """A file mapped for reading and writing, uint8 [size], at an address that is a multiple of 2 MiB.

    It is unmapped when nothing refers to the array or to a view of it any more. Python's `mmap` cannot say where, and
    the kernel maps large pages only where file and address agree. gives_back: take the pages from the file too when it
    is unmapped, so that another process that still maps it holds nothing of ours; and watch for pages that such a
    process takes away meanwhile, see `lost`. Raises `OSError`.
    """
    reserved = size + HUGE_PAGE
    base = _mmap(None, reserved, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    try:
        start = -(-base // HUGE_PAGE) * HUGE_PAGE
        _mmap(start, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | MAP_FIXED, descriptor)
        if gives_back and _shared is not None:
            _shared.watch(start, size)
    except BaseException:
        _libc.munmap(base, reserved)
        raise
    owner = (ctypes.c_uint8 * size).from_address(start)
    weakref.finalize(owner, _unmap, base, reserved, start, size if gives_back else 0).atexit = False
    return np.ctypeslib.as_array(owner)


def _unmap(base: int, reserved: int, start: int, given_back: int) -> None:
    for first in range(0, given_back, HUGE_PAGE):  # one by one: in the place of a lost one lies no page of the file
        _libc.madvise(start + first, min(HUGE_PAGE, given_back - first), MADV_REMOVE)
    if given_back and _shared is not None:
        _shared.forget(start)
    _libc.munmap(base, reserved)


def collapse(mapped: UInt8Array) -> bool:
    """Have the kernel lay the whole 2 MiB parts of a shared mapping into pages of that size, for all who map it.

    A frame of 12.5 MB lies in 3,000 pages of 4 KiB, and at each of them its hash falters. No page has to be reserved,
    and the kernel may take large pages apart again. False where it cannot (before Linux 6.1, no memory in one piece).
    """
    whole = mapped.size // HUGE_PAGE * HUGE_PAGE
    return whole > 0 and _libc.madvise(mapped.ctypes.data, whole, MADV_COLLAPSE) == 0


def _mmap(address: int | None, size: int, protection: int, flags: int, descriptor: int) -> int:
    found: int | None = _libc.mmap(address, size, protection, flags, descriptor, 0)
    if found is None or found == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return found
