"""What a process holds, and the wait until it holds no more than before."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from tests.busy import BUSY_S


@dataclass(frozen=True)
class Held:
    """Open descriptors and threads of a process, as the kernel counts them.

    A thread that was joined, and what it had open, stand there for a moment longer.
    """

    descriptors: int
    threads: int


def held(pid: int | None = None) -> Held:
    """What a process holds now; of None this one."""
    process = f"/proc/{os.getpid() if pid is None else pid}"
    return Held(len(os.listdir(f"{process}/fd")), len(os.listdir(f"{process}/task")))


def goes_back_to(before: Held, pid: int | None = None) -> None:
    """Wait until a process holds of each kind no more than before; fewer are as well, some ended late."""
    end = time.monotonic() + BUSY_S
    while (now := held(pid)).descriptors > before.descriptors or now.threads > before.threads:
        assert time.monotonic() < end, f"held before: {before}; {BUSY_S} s later: {now}"
        time.sleep(0.005)
