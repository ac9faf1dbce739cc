"""Numbers that the kernel gives as files, read again and again: opened once, as that is most of the work."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runtime.bench.measure.libraries import library

MOST_BYTES = 4096
PROC = Path("/proc")


class KeptFile:
    """A small file of /proc or /sys. Raises `OSError` when it cannot be opened or read."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> bytes:
        """What it says now."""
        return os.pread(self._descriptor, MOST_BYTES, 0)


class CpuSeconds(NamedTuple):
    """CPU time of the whole machine since it was started, over all its cores."""

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


def cpu_reader(proc: Path = PROC) -> Callable[[], CpuSeconds]:
    """Reads the machine's CPU time."""
    try:
        file = KeptFile(proc / "stat")
    except OSError:
        return _cpu_by_psutil
    ticks = os.sysconf("SC_CLK_TCK")

    def read() -> CpuSeconds:
        # cpu  user nice system idle iowait irq softirq steal guest guest_nice; a guest's time is in user and nice, too.
        _, user, nice, system, _, _, irq, softirq, steal = file.read().split(None, 9)[:9]
        busy = int(user) + int(nice) + int(system) + int(irq) + int(softirq)
        return CpuSeconds(busy / ticks, int(steal) / ticks)

    return read


def _cpu_by_psutil() -> CpuSeconds:
    times = library("psutil", "psutil").cpu_times()
    stolen = getattr(times, "steal", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return CpuSeconds(sum(times) - guest - times.idle - getattr(times, "iowait", 0.0) - stolen, stolen)
