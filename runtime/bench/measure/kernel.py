"""Numbers that the kernel gives as files, read again and again: opened once, as that is most of the work."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from runtime.bench.measure.libraries import library

MOST_BYTES = 4096
BYTES_A_CORE = 256
"""Room for a core's line in /proc/stat: ten numbers of at most twenty digits, and its name."""
PROC = Path("/proc")


class KeptFile:
    """A small file of /proc or /sys. Raises `OSError` when it cannot be opened or read."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> bytes:
        """What it says now."""
        return os.pread(self._descriptor, self._most_bytes, 0)


class CpuSeconds(NamedTuple):
    """CPU time since the machine was started, over the cores that are watched."""

    busy: float
    stolen: float
    """Given by the hypervisor to other machines."""


def memory_reader(proc: Path = PROC) -> Callable[[], float]:
    """Reads the memory that this process holds (resident set), in megabytes."""
    try:
        file = KeptFile(proc / "self/statm")
    except OSError:  # not a Linux
        process = library("psutil", "psutil").Process()
        return lambda: float(process.memory_info().rss) / 1e6
    page_mb = os.sysconf("SC_PAGE_SIZE") / 1e6
    return lambda: int(file.read().split()[1]) * page_mb


def cpu_reader(proc: Path = PROC, cores: Collection[int] | None = None) -> Callable[[], CpuSeconds]:
    """Reads the CPU time of these cores together; by default, and where only that can be read, of the whole machine."""
    most = 1 + max(max(cores, default=0), os.cpu_count() or 1) if cores is not None else 0
    try:
        file = KeptFile(proc / "stat", MOST_BYTES + most * BYTES_A_CORE)
    except OSError:
        return _cpu_by_psutil
    ticks = os.sysconf("SC_CLK_TCK")

    def read_machine() -> CpuSeconds:
        busy, stolen = _ticks(file.read())
        return CpuSeconds(busy / ticks, stolen / ticks)

    if cores is None:
        return read_machine
    watched = {b"cpu%d" % core for core in cores}

    def read_cores() -> CpuSeconds:
        lines = (line for line in file.read().splitlines() if line.partition(b" ")[0] in watched)
        busy, stolen = (sum(column) for column in zip(*map(_ticks, lines), strict=True))
        return CpuSeconds(busy / ticks, stolen / ticks)

    return read_cores


def _ticks(line: bytes) -> tuple[int, int]:
    """Busy and stolen ticks of a line of /proc/stat, which may go on with others."""
    # cpu  user nice system idle iowait irq softirq steal guest guest_nice; a guest's time is in user and nice, too.
    _, user, nice, system, _, _, irq, softirq, steal = line.split(None, 9)[:9]
    return int(user) + int(nice) + int(system) + int(irq) + int(softirq), int(steal)


def _cpu_by_psutil() -> CpuSeconds:
    times = library("psutil", "psutil").cpu_times()
    stolen = getattr(times, "steal", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return CpuSeconds(sum(times) - guest - times.idle - getattr(times, "iowait", 0.0) - stolen, stolen)
