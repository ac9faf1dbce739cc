"""Opening a journal: its file, its version, its key, and what a crash left behind."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.exam.errors import JournalDamaged, JournalError, JournalUnwritable, KeyUnusable
from runtime.exam.journal import lines
from runtime.exam.journal.anchors import Told, check_anchor, tell_all
from runtime.exam.journal.crypt import HOW, HOW_NEW, JournalKey, require_cryptography
from runtime.exam.journal.database import Database, system_error
from runtime.exam.journal.flush import flush
from runtime.exam.journal.forward import bring_forward
from runtime.exam.journal.keyring import FILE as KEYS_FILE
from runtime.exam.journal.keyring import in_table
from runtime.exam.journal.reader import JournalReader
from runtime.exam.journal.reserve import Reserve
from runtime.exam.journal.schema import VERSION, migrate, strange_objects, version_of
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import PROGRAM, Trail, check_end, trail_end
from runtime.exam.journal.witness import FILE as WITNESS_FILE
from runtime.exam.journal.witness import Witnessed, missing_events

FILE = "journal.sqlite3"
SEAL_AT_OPENING_S = 5.0
"""How long an opening may take to seal pictures of an older journal; the next one goes on."""


def open_database(
    folder: Path, key: JournalKey | None, *, create: bool, read_only: bool, untouched: bool = False
) -> Database:
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
            raise KeyUnusable(f"a new journal needs a key; {HOW_NEW}")
        _make(path)
    return Database(path, read_only=read_only, untouched=untouched)


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


def prepare(journal: JournalReader, trail_of: Callable[[Secrets], Trail], *, check: bool = True) -> None:
    """Check version, tables, key and the end of the trail, bring an older journal forward, clean up after a crash.

    Raises `JournalError`.
    """
    database, name = journal.database, f"journal {journal.folder}"
    with database.naming():
        version = version_of(database.connection, name)
    if version < VERSION:
        if database.read_only:
            _check_new(journal, name)
            raise JournalUnwritable(f"{name}: version {version} has to be brought to {VERSION} first; open it writable")
        _upgrade(journal, trail_of, name)
    told = journal.witness.read()  # first: another process may add events meanwhile
    anchored = [anchor.read() for anchor in journal.anchors] if check else []
    with database.snapshot():
        _unlock(journal, name, check=check)
        if not check:
            return
        _check_sound(journal, name, told, anchored)
    if not database.read_only:
        _settle(journal, trail_of)


def _check_sound(journal: JournalReader, name: str, told: Witnessed | None, anchored: Sequence[Told | None]) -> None:
    """Tables, end of the trail and every exam's line, against what witness and anchors told. Raises `JournalError`."""
    database = journal.database
    strange = strange_objects(database.connection, VERSION)
    if strange:
        raise JournalDamaged(f"{name}: {strange[0]}; it may change what is read or written; bring back a copy")
    end = trail_end(database.connection)
    check_end(end, journal.secrets, name)
    missing = missing_events(told, end)
    if missing is not None:
        raise JournalDamaged(
            f"{name}: {missing}; bring back the whole folder, or remove {WITNESS_FILE} to go on without them"
        )
    for anchor, told_there in zip(journal.anchors, anchored, strict=True):
        check_anchor(database.connection, anchor, told_there, journal.secrets, name)
    if journal.secrets is not None:
        journal.lines()  # every exam's line, and that no event is missing


def _unlock(journal: JournalReader, name: str, *, check: bool) -> None:
    if journal.key is not None and journal.secrets is None:
        try:
            journal.secrets = journal.keyring.secrets(journal.database.connection, journal.key, name)
        except JournalError:
            if check:
                raise


def _settle(journal: JournalReader, trail_of: Callable[[Secrets], Trail]) -> None:
    """What an opening for writing puts right: witness, second copy of the keys, files that a crash left."""
    secrets, key = journal.secrets, journal.key
    if secrets is not None and key is not None:
        lost = [] if journal.witness.read() is not None else [WITNESS_FILE]  # missing, or says nothing any more
        lost += [str(anchor) for anchor in journal.anchors if anchor.missing()]
        if lost:
            _witness_anew(journal, trail_of(secrets), lost)
        with journal.database.naming():
            line = in_table(journal.database.connection)
            if line != journal.keyring.in_file() and key.unwrap(line) is not None:
                journal.keyring.write_file(line)
    _clean(journal)
    Reserve(journal.folder).make()
    if secrets is not None and journal.holds_plain_images():
        seal_images(journal, SEAL_AT_OPENING_S)


def seal_images(journal: JournalReader, seconds: float) -> bool:
    """Seal pictures of an older journal for about so long; whether all are sealed now. Raises `JournalError`."""
    with journal.database.writing() as connection:
        done = journal.images.seal_plain(seconds)
        if done:
            connection.execute("DELETE FROM meta WHERE name = 'images'")
    return done


def _witness_anew(journal: JournalReader, trail: Trail, lost: Sequence[str]) -> None:
    """A folder without its witness was put together by hand: said in the trail, and watched from here on."""
    with journal.database.writing() as connection:
        trail.start(connection)
        trail.append(connection, None, "witness missing", PROGRAM, {"lost": list(lost)})
    trail.committed()
    with journal.database.naming():
        journal.witness.make(trail.end)
    if journal.secrets is not None:
        tell_all(journal.anchors, trail.end, journal.secrets)


def _upgrade(journal: JournalReader, trail_of: Callable[[Secrets], Trail], name: str) -> None:
    if journal.key is None:
        raise KeyUnusable(f"{name}: bringing it to version {VERSION} needs its key; {HOW}")
    with journal.database.naming():
        journal.images.prepare()
    with journal.database.writing() as connection:
        version = version_of(connection, name)
        if version >= VERSION:
            return  # another process was quicker
        _check_new(journal, name)
        line, trail = _bring_forward(journal, journal.key, trail_of, connection, version, name)
    trail.committed()
    with journal.database.naming():
        journal.keyring.write_file(line)
        journal.witness.make(trail.end)
    if version:
        journal.database.truncate_log()  # what was plain is nowhere in the log either


def _check_new(journal: JournalReader, name: str) -> None:
    """Raise `JournalDamaged` where an empty database lies beside what a journal leaves: its log is gone."""
    left = [file for file in (WITNESS_FILE, KEYS_FILE) if (journal.folder / file).exists()]
    left += ["pictures"] if next(journal.images.folder.glob("*/*"), None) else []
    with journal.database.naming():
        if left and not version_of(journal.database.connection, name):  # looked at again: another process makes it
            raise JournalDamaged(
                f"{name}: {FILE} is empty beside its {' and '.join(left)}; it was copied without its log "
                "(journal.sqlite3-wal), or is gone; bring back the whole folder, or begin a journal in another one"
            )


def _bring_forward(
    journal: JournalReader,
    key: JournalKey,
    trail_of: Callable[[Secrets], Trail],
    connection: sqlite3.Connection,
    version: int,
    name: str,
) -> tuple[str, Trail]:
    offsets: dict[str, int] = {}
    if version:
        secrets, offsets = bring_forward(connection, key, version, name)
    else:
        migrate(connection, 0)
        secrets = Secrets.new()
    line = journal.keyring.keep(connection, key, secrets)
    trail = trail_of(secrets)
    trail.start(connection)
    if version:
        body = {"since": version, "to": VERSION, "utc_offsets_s": offsets}
        trail.append(connection, None, lines.MIGRATED, PROGRAM, body)
    else:
        trail.append(connection, None, "created", PROGRAM, {"journal_id": secrets.journal_id, "version": VERSION})
    journal.secrets = secrets
    return line, trail


def _clean(journal: JournalReader) -> None:
    """Only files that were on their way in, or out, when a crash came are looked at."""
    with journal.database.naming():
        journal.images.prepare()
        if not any(journal.images.incoming.iterdir()):
            return
    with journal.database.writing():
        journal.images.clean(journal.names_image)
