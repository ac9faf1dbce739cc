"""`journal.reserve`: some space that is given back to the disk when it is full, so that exams can be retired then.

What frees space has to be written too. Nothing but retirement takes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE = "journal.reserve"
RESERVE_BYTES = 4 * 2**20
"""Several times what the largest exam's retirement writes."""
AMPLE = 8
"""It is made where the disk has so many times as much free."""
SMALLEST_BYTES = 1 << 20
"""A journal whose database is smaller needs none yet: its exams free next to nothing."""


class Reserve:
    """The file of one journal."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.path = folder, folder / FILE

    def make(self) -> None:
        """Put the space aside, where there is plenty; without it nothing but retirement on a full disk is lacking."""
        with suppress(OSError):
            if self.path.exists() or (self._folder / "journal.sqlite3").stat().st_size < SMALLEST_BYTES:
                return
            if shutil.disk_usage(self._folder).free < AMPLE * RESERVE_BYTES:
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            except OSError:
                self.path.unlink()
            finally:
                os.close(descriptor)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """While exams are retired: on a disk that is nearly full the space is free."""
        with suppress(OSError):
            if shutil.disk_usage(self._folder).free < RESERVE_BYTES:
                self.path.unlink()
        try:
            yield
        finally:
            self.make()
