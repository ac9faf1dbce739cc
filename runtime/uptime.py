"""How long this machine has been up: the one clock that nobody sets, and that goes on while the machine sleeps."""

from __future__ import annotations

import time


def uptime_s() -> float:
    """Seconds since the start of the machine, sleep included; where no such clock is, without it.

    `time.monotonic` stands still while Linux sleeps: what has to happen hourly would come hours late after a night.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
