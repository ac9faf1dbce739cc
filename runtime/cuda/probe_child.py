"""What `runtime.cuda.probe` runs in a process of its own: says what it finds, a JSON object a line.

Only the standard library and the library that is asked for: whatever is imported here must not hide a crash's cause.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from typing import Any

COMPUTE_CAPABILITY = (75, 76)
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


class _Unfit(Exception):
    """What is missing, in a sentence."""


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 (its output is its result)


def _driver() -> None:
    """The first GPU, by the driver alone."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise _Unfit("CUDA: no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)") from error

    def call(name: str, *arguments: Any) -> None:
        status = getattr(cuda, name)(*arguments)
        if status:
            words = ctypes.c_char_p()
            cuda.cuGetErrorString(status, ctypes.byref(words))
            text = words.value.decode() if words.value else "unknown status"
            raise _Unfit(f"CUDA: {name}: {text} ({status}); look with nvidia-smi whether driver and GPU are well")

    call("cuInit", 0)
    number = ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(number))
    if not number.value:
        raise _Unfit("CUDA: the driver sees no GPU; look with nvidia-smi, and at CUDA_VISIBLE_DEVICES")
    version, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    call("cuDriverGetVersion", ctypes.byref(version))
    device = ctypes.c_int()
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDeviceGetName", name, len(name), device)
    capability = []
    for attribute in COMPUTE_CAPABILITY:
        value = ctypes.c_int()
        call("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        capability.append(value.value)
    memory = ctypes.c_size_t()
    call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    _say(
        memory_mib=memory.value >> 20,
        gpu=name.value.decode(),
        compute_capability=capability,
        driver=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def _library(module: str) -> None:
    """The library, as far as a runtime that could take a plan."""
    try:
        library = importlib.import_module(module)
    except Exception as error:  # a library may fail to import in any way; which is all that is to be told
        raise _Unfit(f"{module} cannot be imported: {type(error).__name__}: {error}".splitlines()[0]) from error
    lacking = [name for name in ("Logger", "Runtime", "__version__") if not hasattr(library, name)]
    if lacking:
        raise _Unfit(f"{module} is not NVIDIA's library: it has no {', '.join(lacking)}; install the real one")
    try:
        runtime = library.Runtime(library.Logger(library.Logger.ERROR))
    except Exception as error:
        raise _Unfit(f"{module} {library.__version__} gives no runtime: {type(error).__name__}: {error}") from error
    if runtime is None:
        raise _Unfit(f"{module} {library.__version__} gives no runtime; install one that fits the driver")
    _say(library_version=str(library.__version__))


if __name__ == "__main__":
    try:
        _driver()
        _library(sys.argv[1])
    except _Unfit as unfit:
        _say(error=str(unfit))
    sys.stderr.flush()
    os._exit(0)  # all is said; a library that fails when its process ends is fit for what was asked
