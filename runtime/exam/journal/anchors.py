"""Anchors: the newest event told outside of the journal's folder, so that a cut end or an older copy is found.

A file of another owner, to which this user may only append, gets a line at each commit:

    rop-journal JOURNAL-ID NUMBER SHA-256 SECRET-NUMBER MAC

It is compared whenever the journal is opened, and by `verify`. The word `syslog` sends the same line without its MAC to
the system's log, which may hand it to another machine; a person compares it (`verify --told NUMBER:SHA-256`), as they
do what the archive's reports say.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtime.exam.errors import JournalDamaged, JournalError, JournalUnwritable
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import End

SYSLOG = "syslog"
_MARK = "rop-journal"
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Told:
    """One line of an anchor."""

    journal_id: str
    seq: int
    hash: str
    number: int
    mac: str


class Anchor(Protocol):
    """One place outside of the folder."""

    def read(self) -> Told | None:
        """The newest line; None where nothing was told yet, or nothing can be read back. Raises `JournalError`."""

    def missing(self) -> bool:
        """Whether it was never told anything, or lost all of it."""

    def tell(self, end: End | None, secrets: Secrets) -> None:
        """The newest event that is on disk now. Where it cannot be written the anchor only stays behind."""


def anchor_of(text: str | Path) -> Anchor:
    """From a file's name, or the word `syslog`."""
    return SyslogAnchor() if str(text) == SYSLOG else FileAnchor(Path(text))


class FileAnchor:
    """A file that only grows; one journal each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Told | None:
        """The last whole line. Raises `JournalDamaged` for what is no line of an anchor, `JournalUnwritable`."""
        try:
            with open(_regular(self.path, os.O_RDONLY), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - _TAIL_BYTES))
                whole = file.read(2 * _TAIL_BYTES).rpartition(b"\n")[0]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalUnwritable(
                f"anchor {self.path}: cannot be read ({error.strerror}); give this user leave to read and append"
            ) from None
        words = whole.rpartition(b"\n")[2].decode("ascii", "replace").split()
        if not words:
            if size > _TAIL_BYTES:  # one line that a loss of power cut is far shorter
                raise JournalDamaged(f"anchor {self.path}: it holds no line; {_WHAT_TO_DO}")
            return None
        if len(words) != 6 or words[0] != _MARK or not (words[2].isdigit() and words[4].isdigit()):
            raise JournalDamaged(f"anchor {self.path}: its last line was altered; {_WHAT_TO_DO}")
        return Told(words[1], int(words[2]), words[3], int(words[4]), words[5])

    def missing(self) -> bool:
        """Whether there is no line in it."""
        return self.read() is None

    def tell(self, end: End | None, secrets: Secrets) -> None:
        """Append a line."""
        if end is None:
            return
        mac = secrets.mac("anchor", f"{secrets.journal_id} {end.seq} {end.hash}")
        line = f"{_MARK} {secrets.journal_id} {end.seq} {end.hash} {secrets.current} {mac}\n"
        with contextlib.suppress(OSError):
            descriptor = _regular(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
            try:
                size = os.fstat(descriptor).st_size
                torn = size and os.pread(descriptor, 1, size - 1) != b"\n"  # by a loss of power
                os.write(descriptor, (b"\n" if torn else b"") + line.encode("ascii"))
            finally:
                os.close(descriptor)

    def __str__(self) -> str:
        return str(self.path)


def _regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file; a pipe or device in its place is not waited for. Raises `OSError`."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


class SyslogAnchor:
    """The system's log; nothing is read back from it."""

    def read(self) -> Told | None:
        """Nothing."""
        return None

    def missing(self) -> bool:
        """Cannot be known."""
        return False

    def tell(self, end: End | None, secrets: Secrets) -> None:
        """One message."""
        import syslog

        if end is not None:
            syslog.syslog(syslog.LOG_AUTH | syslog.LOG_NOTICE, f"{_MARK} {secrets.journal_id} {end.seq} {end.hash}")

    def __str__(self) -> str:
        return SYSLOG


_WHAT_TO_DO = "find out who wrote to it; then name another file, or begin it anew"


def wrong_anchor(
    connection: sqlite3.Connection, anchor: Anchor, told: Told | None, secrets: Secrets | None
) -> str | None:
    """What of the journal does not go with what the anchor told before, None when all does."""
    if told is None:
        return None
    if secrets is not None:
        if told.journal_id != secrets.journal_id:
            return f"anchor {anchor}: it is of another journal; each has a file of its own"
        if told.mac != secrets.mac("anchor", f"{told.journal_id} {told.seq} {told.hash}", told.number):
            return f"anchor {anchor}: its last line was altered; {_WHAT_TO_DO}"
    return wrong_event(connection, told.seq, told.hash, f"anchor {anchor}")


def wrong_event(connection: sqlite3.Connection, seq: int, hash_: str, who: str) -> str | None:
    """Whether the event of that number is there with that hash; what is wrong otherwise."""
    found = connection.execute("SELECT hash FROM events WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        last = connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0
        return (
            f"the trail ends at event {last}, {who} tells of event {seq}; its end was cut off, or an older copy was "
            f"brought back"
        )
    return None if found[0] == hash_ else f"event {seq} is another than {who} tells; the trail was written anew"


def check_anchor(
    connection: sqlite3.Connection, anchor: Anchor, told: Told | None, secrets: Secrets | None, name: str
) -> None:
    """Raise `JournalDamaged` unless the journal goes with the anchor."""
    wrong = wrong_anchor(connection, anchor, told, secrets)
    if wrong is not None:
        raise JournalDamaged(f"{name}: {wrong}; run python -m runtime.exam verify, and bring back the newest copy")


def tell_all(anchors: list[Anchor], end: End | None, secrets: Secrets) -> None:
    """Tell every anchor."""
    for anchor in anchors:
        with contextlib.suppress(JournalError):
            anchor.tell(end, secrets)
