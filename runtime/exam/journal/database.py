"""The SQLite file of a journal: opened so that what was committed survives power loss, its errors in plain words."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.exam.errors import JournalDamaged, JournalError, JournalFull, JournalUnwritable, WrongThread

BUSY_MS = 10_000
NEARLY_FULL_BYTES = 256 * 1024
CHECKPOINT_PAGES = 8192
"""The write-ahead log is folded in when an exam closes; by itself only when it grows to this many pages (32 MiB)."""


class Database:
    """A connection of one thread. Reads see the last commit; `writing` is one transaction, on disk when it ends."""

    def __init__(self, path: Path, *, read_only: bool = False, untouched: bool = False) -> None:
        """untouched: leave no file beside it either, where no log is; for whoever looks whether it changed meanwhile.

        SQLite makes its shared memory even for reading.
        """
        self.path = path
        self.read_only = read_only
        self._thread = threading.get_ident(), threading.current_thread().name
        self._writes: int | None = 0
        """Transactions that were ended; None within one, of which nobody knows whether it will be kept."""
        try:
            self._open(_mode(path, read_only, untouched))
        except JournalFull:
            if not read_only:
                raise
            self._open("mode=rw", alone=True)

    def _open(self, mode: str, *, alone: bool = False) -> None:
        """alone: for reading on a full disk. SQLite keeps in memory then what it would share with others in a file, for
        which there is no space; others are shut out meanwhile, and are not there: their file would be.
        """
        _check_files(self.path)
        with self.naming():
            self.connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?{mode}",
                uri=True,
                timeout=BUSY_MS / 1000,
                isolation_level=None,
                check_same_thread=False,  # `_check_thread` does, and knows of `lent`
            )
        # A flipped byte may leave text that is no UTF-8; verification still has to read and name it.
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            with self.naming():
                if alone:
                    self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                    self.connection.execute("PRAGMA query_only = ON")
            self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        with self.naming():
            self.connection.execute("PRAGMA foreign_keys = ON")
            self.connection.execute("PRAGMA trusted_schema = OFF")
            if self.read_only:
                self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                return
            mode = self.connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise JournalUnwritable(f"{self.path}: SQLite gives journal mode {mode}, expected wal on this disk")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA secure_delete = ON")
            self.connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises `JournalError`."""
        with self.naming():
            return self.connection.execute(sql, arguments).fetchall()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction with the write lock held from its start; undone when anything is raised inside.

        Raises `JournalFull`, `JournalUnwritable` or `JournalDamaged` when SQLite cannot.
        """
        if self.read_only:
            raise JournalUnwritable(f"{self.path}: it is open for reading only")
        with self.naming():
            self.connection.execute("BEGIN IMMEDIATE")
            self._writes, before = None, self._writes
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                raise
            finally:
                self._writes = None if before is None else before + 1

    def mark(self) -> tuple[int, ...] | None:
        """Equal to one of before where nothing was written since, by this or any other program; None within `writing`.

        To be asked for before what is read, within a `snapshot`.
        """
        if self._writes is None:
            return None
        with self.naming():
            others = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return int(others), self.connection.total_changes, self._writes

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read within is of one moment, whatever other programs commit meanwhile; nests, also in `writing`.

        What is held against each other has to be read so: else an event that came in between looks like damage.
        """
        with self.naming():
            self.connection.execute("SAVEPOINT reading")
            try:
                yield
            finally:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("RELEASE reading")

    @contextlib.contextmanager
    def lent(self) -> Iterator[Callable[[], None]]:
        """Within, only the thread that calls what is given may use it; that thread must be done when this is left."""
        self._check_thread()
        owner, self._thread = self._thread, (0, "that it is lent to")

        def take() -> None:
            self._thread = threading.get_ident(), threading.current_thread().name

        try:
            yield take
        finally:
            self._thread = owner

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread[0]:
            raise WrongThread(
                f"journal {self.path}: it belongs to the thread {self._thread[1]!r} that opened it, "
                f"got a call from {threading.current_thread().name!r}; open it there too, or hand the work over"
            )

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, as far as readers allow; a failure only leaves it for later."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def truncate_log(self) -> None:
        """Fold the log in and empty it, so that removed content is nowhere; a failure only leaves it for later."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection. Closing twice is fine."""
        self._check_thread()
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into the journal's. Raises `WrongThread` in any but its own."""
        self._check_thread()
        try:
            yield
        except sqlite3.Error as error:
            raise _named(self.path, error) from error
        except UnicodeDecodeError as error:  # SQLite's own message repeats a damaged byte of its schema
            raise JournalDamaged(f"journal {self.path}: its tables cannot be read; bring back a copy") from error
        except OSError as error:
            raise system_error(self.path, error) from error


def system_error(path: Path, error: OSError) -> JournalError:
    """The journal's error for one of the system."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return JournalFull(f"journal {path}: no space left; free some, then go on (what was kept before is whole)")
    cause = error.strerror or type(error).__name__
    return JournalUnwritable(f"journal {path}: {cause}; give this user a folder that can be written")


def _named(path: Path, error: sqlite3.Error) -> JournalError:
    text = str(error)
    if "full" in text or ("I/O" in text and _nearly_full(path)):
        return JournalFull(f"journal {path}: no space left; free some, then go on (what was kept before is whole)")
    if "locked" in text or "busy" in text:
        return JournalUnwritable(f"journal {path}: another program has held it for {BUSY_MS // 1000} s; try again")
    if "malformed" in text or "not a database" in text or "no such" in text:
        return JournalDamaged(f"journal {path}: {text}; bring back a copy, or name another folder with --journal")
    if "readonly" in text or "unable to open" in text or "I/O" in text:
        cause = "the folder is read-only or not this user's" if not os.access(path.parent, os.W_OK) else text
        return JournalUnwritable(
            f"journal {path}: {cause}; give this user a folder on a sound disk that can be written"
        )
    return JournalDamaged(f"journal {path}: {text}")


def _nearly_full(path: Path) -> bool:
    """SQLite calls a full disk an I/O error when it is its shared memory that cannot grow."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free < NEARLY_FULL_BYTES
    return False


def _mode(path: Path, read_only: bool, untouched: bool) -> str:
    if not read_only:
        return "mode=rwc"
    if untouched and not _has_log(path):
        return "mode=ro&immutable=1"
    # WAL needs a writable folder even for reading; on a read-only disk nobody writes, so it may be read as it lies.
    with contextlib.suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY and not _has_log(path):
            return "mode=ro&immutable=1"
    return "mode=ro"


def _check_files(path: Path) -> None:
    """Raise `JournalDamaged` where SQLite would wait for ever for a pipe, or follow a link to another's log."""
    for name, look in (("", Path.stat), ("-wal", Path.lstat), ("-shm", Path.lstat)):
        one = path.with_name(path.name + name)
        with contextlib.suppress(OSError):  # not there, or not to be looked at, which SQLite says
            if not stat.S_ISREG(look(one).st_mode):
                raise JournalDamaged(f"journal {one}: no regular file; remove it, or bring back a copy")


def _has_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0
