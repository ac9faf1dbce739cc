"""Soft real time: SCHED_FIFO, pinning, locked memory, huge pages; each optional, and told as obtained or refused."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.daemon.messages import Obtained
from runtime.daemon.slots import HUGE_PAGE

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


@dataclass
class SoftRealTime:
    """What was asked for, and what became of it. Nothing that is refused keeps the daemon from working."""

    fifo: int | None = None
    """Priority, 1 to 99."""
    cpus: tuple[int, ...] = ()
    lock_memory: bool = False
    huge_pages: bool = False
    got_fifo: Obtained = Obtained.NOT_ASKED
    got_cpus: Obtained = Obtained.NOT_ASKED
    got_locked: Obtained = Obtained.NOT_ASKED
    got_huge_pages: Obtained = Obtained.NOT_ASKED
    refusals: list[str] = field(default_factory=list)
    """Why, in words."""

    def for_process(self) -> None:
        """What concerns the whole process; before any thread is started, so that engines' threads are pinned too."""
        if self.cpus:
            self.got_cpus = self._try("CPU pinning", lambda: os.sched_setaffinity(0, self.cpus))
        if self.lock_memory:
            self.got_locked = self._try("locked memory", _lock_all)
        if self.huge_pages:
            self.got_huge_pages = self._try("huge pages", _one_huge_page)

    def for_thread(self) -> None:
        """SCHED_FIFO for the calling thread; threads that it starts later do not have it."""
        if self.fifo is not None and self.got_fifo is not Obtained.REFUSED:
            parameter, policy = os.sched_param(self.fifo), os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            self.got_fifo = self._try("SCHED_FIFO", lambda: os.sched_setscheduler(0, policy, parameter))

    def no_huge_pages(self) -> None:
        """A ring had to do without."""
        if self.got_huge_pages is Obtained.OBTAINED:
            self.got_huge_pages = Obtained.REFUSED
            self.refusals.append("huge pages: not enough of them free")

    def _try(self, what: str, do: Callable[[], None]) -> Obtained:
        try:
            do()
        except (OSError, ValueError) as error:
            self.refusals.append(f"{what}: {getattr(error, 'strerror', None) or error}")
            return Obtained.REFUSED
        return Obtained.OBTAINED


def _lock_all() -> None:
    """Only where there is no limit: a limit met later would make an allocation fail in the middle of the work."""
    with open("/proc/self/status") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not unlimited and not effective >> _CAP_IPC_LOCK & 1:
        raise OSError(0, "needs LimitMEMLOCK=infinity")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _one_huge_page() -> None:
    descriptor = os.memfd_create("ropscreend-probe", os.MFD_CLOEXEC | os.MFD_HUGETLB | os.MFD_HUGE_2MB)
    try:
        os.ftruncate(descriptor, HUGE_PAGE)
        os.posix_fallocate(descriptor, 0, HUGE_PAGE)
    finally:
        os.close(descriptor)
