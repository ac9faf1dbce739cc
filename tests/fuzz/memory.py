"""Where targets put files: in memory, where the system has a place for that."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def memory() -> str | None:
    """Where temporary folders are to lie: what TMPDIR says, else in memory, else None for the system's own place."""
    return os.environ.get("TMPDIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def folder() -> Path:
    """A new one, which goes with this process; where libFuzzer ends that without a word, `counted` removes it."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory()))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
