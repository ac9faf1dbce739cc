"""What can go wrong with a GPU, and how a process ends when its GPU is lost to it.

EngineError
`-- CudaError       a call of the CUDA driver failed
    `-- GpuLost     it failed in a way after which no call of this process can succeed

After such a sticky error only a new process gets the GPU back. The frame at hand still gets its NO_RESULT reading;
then the process ends with `GPU_LOST_EXIT_CODE`, so that whoever supervises it can tell and start it again.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from types import MappingProxyType

from runtime.errors import EngineError

GPU_LOST_EXIT_CODE = 75
"""Exit code of a process whose GPU is lost: start it again (sysexits.h calls 75 a temporary failure)."""
GRACE_S = 2.0
"""How long what runs at that moment may go on, to write the reading that says so."""

STICKY = MappingProxyType(
    {
        214: "uncorrectable ECC error encountered",
        220: "uncorrectable NVLink error detected during the execution",
        226: "an exception that the GPU contained",
        700: "an illegal memory access was encountered",
        702: "the launch timed out and was terminated",
        709: "context is destroyed",
        710: "device-side assert triggered",
        714: "hardware stack error",
        715: "an illegal instruction was encountered",
        716: "misaligned address",
        717: "operation not supported on global/shared address space",
        718: "invalid program counter",
        719: "unspecified launch failure",
        721: "tensor memory leak",
        911: "error of an external device",
        999: "unknown error",
    }
)
"""CUresult codes after which the context is unusable, and words for them (the driver's own, where they are known)."""


class CudaError(EngineError):
    """A call of the CUDA driver failed."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The driver's CUresult; None for what this layer refuses itself."""


class GpuLost(CudaError):
    """A sticky error: this process cannot use the GPU any more."""


def end_process(reason: str) -> None:
    """See to it that this process ends soon, and with `GPU_LOST_EXIT_CODE` however it ends.

    Says so on standard error. The process has `GRACE_S` to end by itself; destructors of GPU libraries are not run,
    since those of a lost GPU may crash or hang.
    """
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{reason}; this process ends with code {GPU_LOST_EXIT_CODE}: start it again\n")
    atexit.register(_end)
    timer = threading.Timer(GRACE_S, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(GPU_LOST_EXIT_CODE)
