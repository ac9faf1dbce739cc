"""The tables of a journal, and how an older one is brought forward."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache

from runtime.exam.errors import JournalDamaged, JournalNewer

APPLICATION_ID = 0x524F504A
"""`ROPJ`: tells a journal from any other SQLite file."""

_EXAMS = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The trail. Everything else about exams can be made from it again.
CREATE TABLE events(
  seq INTEGER PRIMARY KEY,
  exam TEXT,                  -- NULL for events of the journal itself
  kind TEXT NOT NULL,
  at TEXT NOT NULL,           -- UTC, ISO 8601, by the clock as it was
  who TEXT NOT NULL,
  body TEXT,                  -- canonical JSON; NULL once the exam is retired
  body_sha256 TEXT NOT NULL,
  hash TEXT NOT NULL          -- SHA-256 over the previous hash and all of the above but the body itself
);
CREATE INDEX events_of_exam ON events(exam, seq);
CREATE TABLE exams(
  exam TEXT PRIMARY KEY,
  phase TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  place TEXT NOT NULL,
  captures INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  opened_at TEXT NOT NULL,
  closed_at TEXT,
  operator TEXT NOT NULL,
  station TEXT NOT NULL,
  changed_seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_open ON exams(phase) WHERE phase = 'open';
CREATE INDEX exams_pending ON exams(exam) WHERE pending > 0;
CREATE INDEX exams_changed ON exams(changed_seq);
CREATE TABLE images(sha256 TEXT, exam TEXT, PRIMARY KEY(sha256, exam)) WITHOUT ROWID;
CREATE INDEX images_of_exam ON images(exam);
CREATE TABLE vessels(exam TEXT, capture INTEGER, png BLOB NOT NULL, PRIMARY KEY(exam, capture)) WITHOUT ROWID;
"""

_OUTBOX = """
CREATE TABLE deliveries(
  exam TEXT,
  destination TEXT,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_try TEXT,
  last_error TEXT NOT NULL,
  instances TEXT NOT NULL,    -- JSON
  checksum TEXT NOT NULL,     -- SHA-256 over the rest of the row
  PRIMARY KEY(exam, destination)
) WITHOUT ROWID;
"""

_ORDERS = """
-- No table changes. From here on events may carry an order, and the patient's fields a sex, which older software would
-- leave out of what it sends, or not understand.
"""

_EVENTS = """
-- From here on an exam can be stopped and voided, its frames excluded, its light is kept (fold.py has the kinds).
ALTER TABLE exams ADD COLUMN opened_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE exams ADD COLUMN typed_seq INTEGER NOT NULL DEFAULT 0;  -- last event that a person typed something into
ALTER TABLE exams ADD COLUMN utc_offset_s INTEGER;                  -- fixed when the exam was opened
ALTER TABLE exams ADD COLUMN checksum TEXT NOT NULL DEFAULT '';     -- SHA-256 over the rest of the row
CREATE INDEX exams_opened ON exams(opened_seq);
-- The last thing that a person typed and that the proven objects hold; what is not there is not removed from here.
ALTER TABLE deliveries ADD COLUMN typed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_of_kind ON events(kind, seq);
-- Light, by whose account it is on. One row a run: continuous light is counted ahead, and its run grows.
CREATE TABLE exposures(run TEXT PRIMARY KEY, exam TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX exposures_of_exam ON exposures(exam);
CREATE TABLE accounts(account TEXT, exam TEXT, PRIMARY KEY(account, exam)) WITHOUT ROWID;
"""

_SEALED = """
-- From here on everything but hashes, numbers, times and kinds is sealed (secrets.py): the columns who and body of
-- events, and the one column sealed of each table below. `forward.py` brings the content of older tables over.
DROP TABLE exams;
DROP TABLE deliveries;
DROP TABLE vessels;
DROP TABLE exposures;
DROP TABLE accounts;
CREATE TABLE exams(
  exam TEXT PRIMARY KEY,
  phase TEXT NOT NULL,
  pending INTEGER NOT NULL,
  changed_seq INTEGER NOT NULL,
  opened_seq INTEGER NOT NULL,
  sealed BLOB NOT NULL        -- all of the line, its events' strand, its accounts of light
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_open ON exams(phase) WHERE phase = 'open';
CREATE INDEX exams_changed ON exams(changed_seq);
CREATE TABLE deliveries(
  exam TEXT, destination TEXT, sealed BLOB NOT NULL, PRIMARY KEY(exam, destination)
) WITHOUT ROWID;
CREATE TABLE vessels(exam TEXT, capture INTEGER, sealed BLOB NOT NULL, PRIMARY KEY(exam, capture)) WITHOUT ROWID;
"""

STEPS = (_EXAMS, _OUTBOX, _ORDERS, _EVENTS, _SEALED)
"""Step n brings a journal from version n to n + 1. A step that was released is never changed."""
VERSION = len(STEPS)


def version_of(connection: sqlite3.Connection, name: str) -> int:
    """The version of a journal, 0 for an empty file. Raises `JournalNewer`, or `JournalDamaged` for no journal."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if version == 0 and empty:
        return 0
    if application != APPLICATION_ID:
        raise JournalDamaged(f"{name} is not a journal of this software; name another folder with --journal")
    if version > VERSION:
        raise JournalNewer(
            f"{name} has version {version}, this software reads up to {VERSION}; "
            f"use the software that wrote it, or a newer one"
        )
    return version


def meta(connection: sqlite3.Connection, name: str) -> str:
    """A value of the table `meta`; raises `JournalDamaged` when it is not there."""
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise JournalDamaged(f"the journal's {name} is missing; bring back a copy")
    return str(found[0])


def migrate(connection: sqlite3.Connection, since: int, to: int = VERSION) -> None:
    """Run the steps that are missing; to be called inside a transaction."""
    for step in STEPS[since:to]:
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {to}")


def strange_objects(connection: sqlite3.Connection, version: int) -> list[str]:
    """Tables, indexes, views and triggers that are not as that version has them, or missing; each named.

    A trigger could change what is written, a view or an index of another's stand in for what is read.
    """
    found = _objects(connection)
    expected = _expected(version)
    return sorted(
        f"{kind} {name!r}: {'not ours' if (kind, name) not in expected else 'missing or altered'}"
        for kind, name in {key for key, _ in {*found.items()} ^ {*expected.items()}}
    )


@lru_cache(maxsize=VERSION)
def _expected(version: int) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, 0, version)
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """What SQLite made by itself (`sqlite_autoindex_...`) has no text and goes with its table."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE NOT (type = 'index' AND sql IS NULL)")
    return {(str(kind), str(name)): " ".join(str(sql).split()) for kind, name, sql in rows.fetchall()}


def _statements(script: str) -> list[str]:
    """One by one, for `executescript` would end the transaction."""
    found, part = [], ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            found.append(part)
            part = ""
    return found
