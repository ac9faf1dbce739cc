"""Loads OpenVINO, the one place that does, keeps it from speaking to anybody, and gives signals room beside it."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, ClassVar

from runtime.errors import EngineError

SIGNAL_STACK_BYTES = 256 * 1024
_stacks: list[ctypes.Array[ctypes.c_char]] = []
"""Kept for as long as the process lives: the kernel has their addresses."""


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_: ClassVar = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def keep_silent() -> None:
    """Let OpenVINO find no `openvino_telemetry`: loading it would look up a host and write into the home folder.

    OpenVINO then takes the stand-in that it ships for machines without that package. To be called before anything of
    OpenVINO is imported; a program that imported OpenVINO itself before has let it speak already.
    """
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python marks what must not be found


def load_openvino() -> Any:
    """The module `openvino`. Raises `EngineError` where it cannot be imported."""
    keep_silent()
    try:
        import openvino
    except ImportError as error:
        raise EngineError(f"openvino: cannot be imported ({error}); install it: pip install openvino") from error
    return openvino


def open_core() -> Any:
    """An `openvino.Core` whose CPU plugin is loaded, in a thread that signals may still interrupt.

    Where the CPU has AMX, the plugin gives the thread that loads it a stack of its own for signals, of 20 kB. What the
    kernel saves of AMX takes half of that, and Python's handler, with what the dynamic linker saves when it calls
    something for the first time, the rest and more: Ctrl-C then ended the process by a segmentation fault (OpenVINO
    2026.4, CPython 3.11 as a shared library). So the thread is given a larger one. Raises `EngineError`.
    """
    core = load_openvino().Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")
    if sys.platform == "linux":
        _room_for_signals()
    return core


def _room_for_signals() -> None:
    """Exchange the calling thread's stack for signals, where it has one that is small."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = _Stack()
    if libc.sigaltstack(None, ctypes.byref(found)) or not found.start or found.size >= SIGNAL_STACK_BYTES:
        return
    room = ctypes.create_string_buffer(SIGNAL_STACK_BYTES)
    if not libc.sigaltstack(ctypes.byref(_Stack(ctypes.addressof(room), 0, SIGNAL_STACK_BYTES)), None):
        _stacks.append(room)
