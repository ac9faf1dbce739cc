"""Prints the folder for what tests write: in memory where this machine has room, else where temporary files usually go.

`make test` asks it, before any package is installed. Tests flush to their disk tens of thousands of times, as a journal
must; on a disk that takes 3 ms each, and four parts wait for one another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 8 * 2**30
"""Of the file system and of the machine's memory; 0.9 GB are the most that one test writes."""


def room(folder: Path, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that may still be written there."""
    lines = [line.split() for line in meminfo.read_text(encoding="ascii").splitlines()]
    available = next(int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:")
    return min(available, shutil.disk_usage(folder).free)


def runs_programs(folder: Path) -> bool:
    """Whether a program that is written there can be started: tests compile some; containers often forbid it."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        program = Path(inside) / "program"
        program.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
        program.chmod(0o700)
        return subprocess.run([str(program)], check=False).returncode == 0


def chosen(memory: Path = MEMORY) -> Path:
    """What TMPDIR names goes before everything."""
    usual = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    if os.environ.get("TMPDIR"):
        return usual
    try:
        return memory if room(memory) >= ROOM_BYTES and runs_programs(memory) else usual
    except (OSError, StopIteration):
        return usual


if __name__ == "__main__":
    sys.stdout.write(f"{chosen()}\n")
