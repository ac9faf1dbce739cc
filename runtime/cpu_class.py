"""Which of three classes this CPU is of: what its instructions are worth for INT8 and half precision in OpenVINO."""

from __future__ import annotations

import os
from pathlib import Path

CPU_CLASSES = ("avx2", "vnni", "amx")
"""No instruction for products of 8 bits, one for vectors (AVX-VNNI, AVX512-VNNI), and one for matrices, with bf16."""
LIMIT = "ONEDNN_MAX_CPU_ISA"
"""Environment variable that holds OpenVINO to the kernels of lesser CPUs, for measuring."""
LIMITS = {"avx2": "AVX2", "vnni": "AVX2_VNNI"}
"""The least CPU of a class, as that variable names it."""
_CLASS_OF = {
    "AVX2": "avx2",
    "AVX512_CORE": "avx2",
    "AVX2_VNNI": "vnni",
    "AVX512_CORE_VNNI": "vnni",
    "AVX512_CORE_BF16": "vnni",
}
_WITH_BF16 = ("AVX512_CORE_BF16",)
CPUINFO = Path("/proc/cpuinfo")


def cpu_class() -> str | None:
    """One of `CPU_CLASSES`, or None for a CPU of another family or that nothing is known of."""
    own = class_of_flags(cpu_flags())
    return None if own is None else min(own, _CLASS_OF.get(limit(), own), key=CPU_CLASSES.index)


def class_of_flags(flags: set[str]) -> str | None:
    """The class of a CPU that Linux lists these instructions of."""
    if {"amx_int8", "amx_bf16"} <= flags:
        return "amx"
    if flags & {"avx512_vnni", "avx_vnni"}:
        return "vnni"
    return "avx2" if "avx2" in flags else None


def cpu_flags() -> set[str]:
    """What Linux lists of the processor's instructions; nothing elsewhere."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    told = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return set(told.partition(":")[2].split())


def limit() -> str:
    """What OpenVINO is held to, by the name of `LIMIT`; empty where it is not."""
    return os.environ.get(LIMIT, "").upper()


def limit_takes_bf16() -> bool:
    """Whether OpenVINO is held to kernels without bf16, though it would still choose it."""
    return limit() in _CLASS_OF and limit() not in _WITH_BF16
