"""Opening a journal: its file, its version, its key, and what a crash left behind."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path

from runtime.exam.errors import JournalDamaged, JournalUnwritable, KeyUnusable
from runtime.exam.journal import deliveries, lines
from runtime.exam.journal.crypt import HOW, JournalKey, require_cryptography
from runtime.exam.journal.database import Database, system_error
from runtime.exam.journal.flush import flush
from runtime.exam.journal.reader import JournalReader
from runtime.exam.journal.schema import VERSION, meta, migrate, version_of
from runtime.exam.journal.trail import PROGRAM, Trail, check_end, trail_end
from runtime.exam.journal.witness import FILE as WITNESS_FILE
from runtime.exam.journal.witness import missing_events

FILE = "journal.sqlite3"


def open_database(folder: Path, key: JournalKey | None, *, create: bool, read_only: bool) -> Database:
    """The connection to a journal's file, which is made, empty, when `create` says so. Raises `JournalError`."""
    path = folder / FILE
    if key is not None:
        require_cryptography()
    try:
        there = path.exists()
    except OSError as error:
        raise system_error(folder, error) from None
    if not there:
        if not create or read_only:
            raise JournalUnwritable(f"no journal in {folder}; name its folder with --journal, or begin an exam there")
        if key is None:
            raise KeyUnusable(f"a new journal needs a key for the patients' fields; {HOW}")
        _make(path)
    return Database(path, read_only=read_only)


def _make(path: Path) -> None:
    """An empty file that only this user may read, in a folder that is on disk, as those above it are."""
    try:
        folder = path.parent.absolute()
        new = [made for made in (folder, *folder.parents) if not made.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        for named_in in (folder, *(made.parent for made in new)):
            flush(named_in)
    except OSError as error:
        raise system_error(path.parent, error) from None


def prepare(journal: JournalReader, trail: Trail | None, *, check: bool = True) -> None:
    """Check version, key and the end of the trail, bring an older journal forward, clean up after a crash.

    Costs the same however many exams there are. Raises `JournalError`.
    """
    database, name = journal.database, f"journal {journal.folder}"
    with database.naming():
        version = version_of(database.connection, name)
    if version < VERSION:
        if database.read_only:
            raise JournalUnwritable(f"{name}: version {version} has to be brought to {VERSION} first; open it writable")
        _upgrade(journal, trail, name)
        if trail is not None:
            trail.committed()
    if check:
        told = journal.witness.read()  # first: another process may add events meanwhile
        with database.naming():
            _check_key(database.connection, journal.key, name)
            end = trail_end(database.connection)
        check_end(end, journal.key, name)
        missing = missing_events(told, end)
        if missing is not None:
            raise JournalDamaged(
                f"{name}: {missing}; bring back the whole folder, or remove {WITNESS_FILE} to go on without them"
            )
    if not database.read_only:
        if trail is not None and check and not journal.witness.path.exists():
            _witness_anew(journal, trail)
        _clean(journal)


def _witness_anew(journal: JournalReader, trail: Trail) -> None:
    """A folder without its witness was put together by hand: said in the trail, and watched from here on."""
    with journal.database.writing() as connection:
        trail.start(connection)
        trail.append(connection, None, "witness missing", PROGRAM, {})
    trail.committed()
    with journal.database.naming():
        journal.witness.make(trail.end)


def _upgrade(journal: JournalReader, trail: Trail | None, name: str) -> None:
    with journal.database.naming():
        journal.images.prepare()
    _bring_forward(journal, trail, name)
    if trail is not None and trail.end is not None:
        with journal.database.naming():
            journal.witness.make(trail.end)


def _bring_forward(journal: JournalReader, trail: Trail | None, name: str) -> None:
    with journal.database.writing() as connection:
        version = version_of(connection, name)
        if version >= VERSION:
            return  # another process was quicker
        if trail is None or journal.key is None:
            raise KeyUnusable(f"{name}: bringing it to version {VERSION} needs its key; {HOW}")
        if version:
            _check_key(connection, journal.key, name)
        migrate(connection, version)
        trail.start(connection)
        if version:
            offsets = lines.fill_new_columns(connection)
            deliveries.forget_typed(connection)
            body = {"since": version, "to": VERSION, "utc_offsets_s": offsets}
            trail.append(connection, None, lines.MIGRATED, PROGRAM, body)
            return
        identity = {"journal_id": str(uuid.uuid4()), "key_check": journal.key.check}
        for row in identity.items():
            connection.execute("INSERT INTO meta(name, value) VALUES (?, ?)", row)
        trail.append(connection, None, "created", PROGRAM, {**identity, "version": VERSION})


def _check_key(connection: sqlite3.Connection, key: JournalKey | None, name: str) -> None:
    if key is not None and key.check != meta(connection, "key_check"):
        raise KeyUnusable(f"{name}: this key is another journal's; {HOW}")


def _clean(journal: JournalReader) -> None:
    """Only files that were on their way in, or out, when a crash came are looked at."""
    with journal.database.naming():
        journal.images.prepare()
        if not any(journal.images.incoming.iterdir()):
            return
    with journal.database.writing():
        journal.images.clean(journal.names_image)
