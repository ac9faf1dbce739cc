"""Where the wrapped secrets of a journal lie: in the table `meta`, and in `journal.keys`, should that be damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from device.checked_file import read_whole
from runtime.exam.errors import JournalDamaged, KeyUnusable
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.flush import flush
from runtime.exam.journal.secrets import Secrets

FILE = "journal.keys"
LARGEST_BYTES = 1 << 20


class Keyring:
    """The two places of one journal's wrapped secrets."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def in_file(self) -> str:
        """What the file says; empty where there is none."""
        try:
            return read_whole(self.path, LARGEST_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def secrets(self, connection: sqlite3.Connection, key: JournalKey, name: str) -> Secrets:
        """The secrets. Raises `KeyUnusable` when the key is another journal's, `JournalDamaged` when both are."""
        lines = [line for line in (in_table(connection), self.in_file()) if line]
        for line in lines:
            found = key.unwrap(line)
            if found is not None:
                return found
        if lines and all(line.split(" ")[0] != key.check for line in lines):
            raise KeyUnusable(f"{name}: this key is another journal's; {HOW}")
        raise JournalDamaged(f"{name}: its wrapped secrets are damaged, in the table and in {FILE}; bring back a copy")

    def keep(self, connection: sqlite3.Connection, key: JournalKey, secrets: Secrets) -> str:
        """Write them into the table, inside the caller's transaction; what `write_file` is to get after it."""
        line = key.wrap(secrets)
        for name, value in (("keys", line), ("number", str(secrets.current)), ("journal_id", secrets.journal_id)):
            connection.execute("INSERT OR REPLACE INTO meta(name, value) VALUES (?, ?)", (name, value))
        return line

    def write_file(self, line: str) -> None:
        """The second copy, whole or as it was, on disk when this returns. Raises `OSError`."""
        arriving = self.path.with_name(f".{FILE}.part")
        with contextlib.suppress(FileNotFoundError):
            arriving.unlink()
        with os.fdopen(os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        arriving.replace(self.path)
        flush(self.path.parent)


def in_table(connection: sqlite3.Connection) -> str:
    """What the table says; empty where it says nothing."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'keys'").fetchone()
    return "" if found is None else str(found[0])
