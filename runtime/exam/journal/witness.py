"""`journal.head`: the trail's newest event told outside of the database, so that a copy without its log is found.

SQLite keeps the newest events in `journal.sqlite3-wal` for a while. The file `journal.sqlite3` alone is then whole in
itself, only older. This witness is written after each commit, in place and without a flush: after a power loss it may
be behind the database, which tells nothing; it is never before it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from device.checked_file import read_whole
from runtime.exam.journal.flush import flush
from runtime.exam.journal.trail import End

FILE = "journal.head"
_SEQ_DIGITS = 20
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Into no file of others by a link, and no pipe is waited for."""


@dataclass(frozen=True)
class Witnessed:
    """What the file says."""

    seq: int
    hash: str


class Witness:
    """The file of one journal."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def make(self, end: End | None) -> None:
        """Make the file, on disk when this returns. Raises `OSError`."""
        descriptor = os.open(self.path, _FLAGS | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, _line(end), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        flush(self.path.parent)

    def tell(self, end: End | None) -> None:
        """The newest event that is on disk now. Where this cannot be written the file only stays behind."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, _FLAGS)
            try:
                os.pwrite(descriptor, _line(end), 0)
            finally:
                os.close(descriptor)

    def read(self) -> Witnessed | None:
        """What it says, None when there is no such file or it says nothing. To be read before the database is."""
        try:
            seq, hash_ = read_whole(self.path, 2 * len(_line(None))).decode("ascii").split()
            return Witnessed(int(seq), hash_)
        except (OSError, ValueError):
            return None


def missing_events(told: Witnessed | None, end: End | None) -> str | None:
    """What is missing at the end of the trail by the word of the witness, None when nothing is."""
    last = 0 if end is None else end.seq
    if told is None or told.seq < last or (end is not None and (told.seq, told.hash) == (end.seq, end.hash)):
        return None
    if told.seq == last:
        return f"{FILE} tells of another event {told.seq} than the trail has; the file is another journal's"
    return (
        f"the trail ends at event {last}, {FILE} tells of event {told.seq}; the file was copied without its log "
        f"(journal.sqlite3-wal), or an older copy was brought back"
    )


def _line(end: End | None) -> bytes:
    seq, hash_ = (0, "0" * 64) if end is None else (end.seq, end.hash)
    return f"{seq:0{_SEQ_DIGITS}d} {hash_}\n".encode("ascii")
