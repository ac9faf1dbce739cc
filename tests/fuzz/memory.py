"""Where targets put files: in memory, where the system has a place for that."""

from __future__ import annotations

import os


def memory() -> str | None:
    """A folder, or None for the system's own temporary one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
