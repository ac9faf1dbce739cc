"""`SeenFiles`: which files of a watched folder were dealt with, remembered across restarts."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from pathlib import Path

from device.errors import Disconnected, SettingRefused

Version = tuple[str, int, int]
"""A file as it was seen: name, size in bytes, time of change in ns."""

_FILE = "watched-files.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS seen (
    folder TEXT NOT NULL, name BLOB NOT NULL, bytes INTEGER NOT NULL, changed_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (folder, name, bytes, changed_ns)
)
"""


class SeenFiles:
    """The files of one folder that were dealt with, in a database of the folder `state`, or in memory when it is None.

    Names of files, sizes, times and SHA-256 are kept, nothing of what is in them. Several programs may share
    a database.

    Raises `SettingRefused` when it cannot be used.
    """

    def __init__(self, folder: Path, state: Path | None) -> None:
        self._folder = os.fsencode(folder.resolve()).hex() if state else ""
        self._where = state / _FILE if state else None
        try:
            if state is not None:
                state.mkdir(parents=True, exist_ok=True)
            if self._where is not None and self._where.is_symlink():  # SQLite would follow it
                raise OSError(errno.ELOOP, "a link stands there, which is not followed", str(self._where))
            self._database = sqlite3.connect(self._where or ":memory:", timeout=10, check_same_thread=False)
            try:
                rows = self._load()
            except BaseException:
                self._database.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise SettingRefused(
                f"{self._where}: cannot be used to remember which pictures were read ({error}); "
                "name another folder for it, or move that file away"
            ) from error
        self._versions: set[Version] = {(os.fsdecode(name), size, changed_ns) for name, size, changed_ns in rows}

    def _load(self) -> list[tuple[bytes, int, int]]:
        with self._database:
            self._database.execute(_TABLE)
        return self._database.execute(
            "SELECT name, bytes, changed_ns FROM seen WHERE folder = ?", (self._folder,)
        ).fetchall()

    def __contains__(self, version: object) -> bool:
        return version in self._versions

    def has_bytes(self, name: str, sha256: str) -> bool:
        """Whether a file of this name with these bytes was dealt with, whatever its time of change.

        Raises `Disconnected` when that cannot be read.
        """
        try:
            found = self._database.execute(
                "SELECT 1 FROM seen WHERE folder = ? AND name = ? AND sha256 = ?",
                (self._folder, os.fsencode(name), sha256),
            )
            return found.fetchone() is not None
        except sqlite3.Error as error:
            raise Disconnected(
                f"{self._where}: it cannot be told which pictures were read ({error}); "
                "wait for the program that holds that file, or move it away"
            ) from error

    def add(self, version: Version, sha256: str) -> None:
        """Remember it; raises `Disconnected` when that cannot be written."""
        name, size, changed_ns = version
        try:
            with self._database:
                self._database.execute(
                    "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)",
                    (self._folder, os.fsencode(name), size, changed_ns, sha256),
                )
        except sqlite3.Error as error:
            raise Disconnected(
                f"{self._where}: it cannot be remembered which pictures were read ({error}); make room on the disk"
            ) from error
        self._versions.add(version)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes as hex, empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 20):
                digest.update(piece)
            return digest.hexdigest()
    except OSError:
        return ""
