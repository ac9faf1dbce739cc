"""Bringing a journal of before version 5 forward: checked as it was, then sealed, in one transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from runtime.exam.errors import ExamError, JournalDamaged, KeyUnusable
from runtime.exam.journal import fold as folding
from runtime.exam.journal import lines
from runtime.exam.journal.chain import GENESIS, EventRow, Strand, canonical, digest
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance, save
from runtime.exam.journal.schema import meta, migrate, strange_objects
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import COLUMNS, insert, save_head, save_own, sealed_event

_EVENTS_SINCE = 4


def bring_forward(
    connection: sqlite3.Connection, key: JournalKey, version: int, name: str
) -> tuple[Secrets, dict[str, int]]:
    """Inside the caller's transaction; the new secrets, and by exam the offsets from UTC that were fixed just now.

    Nothing that was altered is sealed as if it were sound: raises `JournalDamaged` then, and `KeyUnusable` for another
    journal's key.
    """
    try:
        return _brought_forward(connection, key, version, name)
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # what was plain may hold anything by now
        raise JournalDamaged(
            f"{name}: it holds what version {version} never wrote ({type(error).__name__}); nothing was changed; "
            f"bring back a copy"
        ) from None


def _brought_forward(
    connection: sqlite3.Connection, key: JournalKey, version: int, name: str
) -> tuple[Secrets, dict[str, int]]:
    if key.check != meta(connection, "key_check"):
        raise KeyUnusable(f"{name}: this key is another journal's; {HOW}")
    strange = strange_objects(connection, version)
    if strange:
        raise JournalDamaged(f"{name}: {strange[0]}; its content is not believed; bring back a copy")
    old = _old_events(connection, key, name)
    deliveries = _old_deliveries(connection, version)
    vessels = connection.execute("SELECT exam, capture, png FROM vessels").fetchall()
    migrate(connection, version)
    secrets = key.old_secrets(meta(connection, "journal_id"))
    events = _seal_events(connection, secrets, [_opened_boxes(key, row) for row in old])
    offsets = _old_offsets(events) | (_new_offsets(events) if version < _EVENTS_SINCE else {})
    typed = _save_lines(connection, secrets, events, offsets)
    for delivery in deliveries:
        # What software before version 4 sent held nothing that a person typed: it goes out anew.
        behind = version < _EVENTS_SINCE and delivery.exam_id in typed
        save(connection, secrets, replace(delivery, revision=0) if behind else delivery)
    maps = {(row.exam, row.content["capture"]): row.content.get("vessels_sha256") for row in events if _read(row)}
    for exam, number, png in vessels:
        if not isinstance(png, bytes) or maps.get((exam, number)) != hashlib.sha256(png).hexdigest():
            raise JournalDamaged(
                f"{name}: the vessel map of exam {exam}, capture {number} was altered; bring back a copy"
            )
        sealed = secrets.seal("vessels", f"{exam} {number}", png)
        connection.execute("INSERT INTO vessels(exam, capture, sealed) VALUES (?, ?, ?)", (exam, number, sealed))
    connection.execute("DELETE FROM meta WHERE name = 'key_check'")
    connection.execute("INSERT INTO meta(name, value) VALUES ('images', 'plain')")
    return secrets, offsets if version < _EVENTS_SINCE else {}


def _read(row: EventRow) -> bool:
    return row.kind == folding.READ and row.body is not None


def _old_events(connection: sqlite3.Connection, key: JournalKey, name: str) -> list[EventRow]:
    """Every event, against its content, the one before, and the seal of the head."""
    previous, found = GENESIS, list[EventRow]()
    retired = dict(connection.execute(lines.RETIRED_AT, (folding.RETIRED,)).fetchall())
    for values in connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq").fetchall():
        seq, exam, kind, at, who, body, body_sha256, hash_ = values
        gone = body is None and seq < retired.get(exam, 0)
        whole = gone or (isinstance(body, str) and digest(body) == body_sha256)
        linked = hash_ == digest(canonical([previous, seq, exam, kind, at, who, body_sha256]))
        if not (whole and linked and seq == len(found) + 1):
            raise JournalDamaged(f"{name}: event {seq} ({kind!r}) was altered; nothing was changed; bring back a copy")
        found.append(EventRow(seq, exam, kind, at, who, body, hash_))
        previous = hash_
    last = len(found)
    if meta(connection, "head") != f"{last} {previous} {key.old_seal(last, previous)}":
        raise JournalDamaged(f"{name}: the trail was written anew, or its end was removed; bring back a copy")
    return found


def _opened_boxes(key: JournalKey, row: EventRow) -> EventRow:
    """The event with the patient's fields and the order in the open: all of the body is sealed from here on."""
    if row.kind not in (folding.OPENED, folding.AMENDED) or row.body is None:
        return row
    body, exam = json.loads(row.body), str(row.exam)
    for part, bound_to in (("patient", exam), ("order", f"{exam} order")):
        if body.get(part) is not None:
            body[part] = key.old_decrypt(body[part], bound_to)
    return replace(row, body=canonical(body))


def _seal_events(connection: sqlite3.Connection, secrets: Secrets, rows: Sequence[EventRow]) -> list[EventRow]:
    connection.execute("DELETE FROM events")
    previous, own, sealed = GENESIS, Strand(), list[EventRow]()
    for row in rows:
        stored = sealed_event(secrets, previous, row)
        if row.body is None:
            stored = replace(stored, body=None)
        insert(connection, stored)
        previous = stored.hash
        own = own.after(row.seq, stored.hash) if row.exam is None else own
        sealed.append(replace(row, hash=stored.hash))
    save_own(connection, secrets, own)
    save_head(connection, secrets, len(rows), previous)
    return sealed


def _save_lines(
    connection: sqlite3.Connection, secrets: Secrets, events: Sequence[EventRow], offsets: dict[str, int]
) -> set[str]:
    """The line of each exam; which exams hold what a person typed."""
    by_exam: dict[str, list[EventRow]] = {}
    for row in events:
        if row.exam is not None:
            by_exam.setdefault(row.exam, []).append(row)
    typed = set()
    for exam, rows in by_exam.items():
        try:
            kept = lines.made_of(rows, offsets.get(exam))
        except (ExamError, KeyError, ValueError, TypeError, IndexError) as error:
            raise JournalDamaged(f"exam {exam}: its events make no exam ({error}); bring back a copy") from None
        lines.save(connection, secrets, kept)
        if kept.line[13]:
            typed.add(exam)
    return typed


def _old_offsets(events: Sequence[EventRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in events:
        if row.kind == lines.MIGRATED:
            found.update(row.content.get("utc_offsets_s", {}))
    return found


def _new_offsets(events: Sequence[EventRow]) -> dict[str, int]:
    """By exam, as this machine's time zone has it for the day."""
    offsets = {}
    for row in events:
        if row.kind == folding.OPENED:
            offset = datetime.fromisoformat(row.at).astimezone().utcoffset()
            offsets[str(row.exam)] = 0 if offset is None else int(offset.total_seconds())
    return offsets


def _old_deliveries(connection: sqlite3.Connection, version: int) -> list[Delivery]:
    """Those whose checksum fits; the others are sent anew, under the same UIDs."""
    if version < 2:
        return []
    columns = "exam, destination, revision, state, attempts, next_try, last_error, instances"
    columns += ", typed" if version >= _EVENTS_SINCE else ""
    found = []
    for *row, checksum in connection.execute(f"SELECT {columns}, checksum FROM deliveries").fetchall():
        if digest(canonical(row)) != checksum:
            continue
        exam, destination, revision, state, attempts, next_try, last_error, instances, *typed = row
        moment = None if next_try is None else datetime.fromisoformat(next_try)
        sent = tuple(DeliveryInstance(**one) for one in json.loads(instances))
        found.append(
            Delivery(exam, destination, revision, state, attempts, moment, last_error, sent, typed[0] if typed else 0)
        )
    return found
