"""Which cores this process may run on."""

from __future__ import annotations

import os


def allowed_cores() -> tuple[int, ...]:
    """The cores that this thread, and those that it starts, may run on, ascending; all where a system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
