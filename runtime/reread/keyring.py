"""`JournalKeys`: the keys of the journals that are read, each tried on each journal: every site has its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from runtime.exam.errors import KeyUnusable
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey, find_key
from runtime.exam.journal.images import ImageStore


class JournalKeys:
    """files: key files; none of them means the key of the surroundings (`find_key`). Raises `KeyUnusable`."""

    def __init__(self, files: Sequence[str]) -> None:
        self._keys: list[JournalKey | None] = [find_key(Path(file)) for file in files] or [find_key()]
        self._stores: dict[str, ImageStore] = {}
        self._one = Lock()

    def open(self, folder: Path) -> Journal:
        """A journal, for reading only and with nothing left beside it. Raises `JournalError`."""
        refused: KeyUnusable | None = None
        for key in self._keys:
            try:
                return Journal.open(folder, key, read_only=True, untouched=True)
            except KeyUnusable as error:
                refused = error
        assert refused is not None
        raise refused

    def images(self, folder: str) -> ImageStore:
        """A journal's pictures, which need its file no more once its secrets are known. Raises `JournalError`.

        From any thread.
        """
        with self._one:
            found = self._stores.get(folder)
            if found is None:
                with self.open(Path(folder)) as journal:
                    found = self._stores[folder] = journal.images
            return found
