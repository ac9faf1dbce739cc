"""Files of the slots, replaced by one rename that is on disk when it is done."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

WRITING = ".writing-"
"""Files with such names are of a change that was cut off, or that goes on; those of an hour ago are swept."""


def write_flushed(path: Path, content: bytes) -> None:
    """Replace a file by one rename; the content is on disk before the rename, the rename when this returns."""
    descriptor, aside = tempfile.mkstemp(prefix=WRITING, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError:
        Path(aside).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """A folder's entries are on disk when this returns. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
