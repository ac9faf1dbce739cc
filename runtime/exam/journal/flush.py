"""Telling the disk to keep what was written."""

from __future__ import annotations

import os
from pathlib import Path


def flush(path: Path) -> None:
    """A file's content, or a folder's entries, are on disk when this returns. Raises `OSError`."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
