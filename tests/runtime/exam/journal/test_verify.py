from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from runtime.exam.errors import JournalDamaged, JournalError, KeyUnusable
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, DeliveryInstance, Journal
from runtime.exam.journal.chain import event_hash
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.verify import verify
from runtime.views import Eye, View
from tests.runtime.exam.making import NRF, REFER, RETAKE, infant, journal_exam

FLIPS = 1000
TABLES = ("meta", "events", "exams", "images", "vessels", "deliveries")


@pytest.fixture
def filled(journal: Journal) -> Journal:
    """A journal with every kind of event and row: two exams, one of them retired, and one with changes."""
    retired = journal_exam(journal, [NRF, RETAKE])
    journal.retire_exam(retired, operator="anna")
    exam_id = journal_exam(journal, [NRF, REFER, RETAKE])
    journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong side", operator="bert")
    journal.amend_infant(exam_id, infant(name="Größe^Åsa"), reason="typing error", operator="bert")
    journal.document(exam_id, EyeFindings(Eye.OD, note="seen"), clinician="dr")
    instances = (DeliveryInstance("1.2", "1.3", "photograph", "sent"),)
    journal.deliveries.change(
        exam_id, "archive", lambda _: Delivery(exam_id, "archive", 9, "sent", 1, None, "slow", instances)
    )
    return journal


def test_a_sound_journal_is_sound(filled: Journal) -> None:
    found = verify(filled)
    assert found.findings == ()
    assert (found.exams, found.images, found.sealed) == (2, 3, True)


def cells(journal: Journal) -> list[tuple[str, str, str, Any]]:
    """(table, primary key's condition, column, value) of every value in the journal."""
    found = []
    for table in TABLES:
        about = journal.database.rows(f"PRAGMA table_info({table})")
        names = [str(row[1]) for row in about]
        keys = [str(row[1]) for row in about if row[5]]
        for row in journal.database.rows(f"SELECT {', '.join(names)} FROM {table}"):
            values = dict(zip(names, row, strict=True))
            where = " AND ".join(f"{k} = {_literal(values[k])}" for k in keys)
            found += [(table, where, name, value) for name, value in values.items() if value is not None]
    return found


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def flipped(chance: random.Random, value: object) -> tuple[str, Any]:
    """(SQL expression, parameter) of the value with one bit of one byte changed."""
    bit = 1 << chance.randrange(8)
    if isinstance(value, int):
        return "?", value ^ bit
    raw = bytearray(value if isinstance(value, bytes) else str(value).encode())
    if not raw:
        return "CAST(? AS TEXT)", b"x"
    raw[chance.randrange(len(raw))] ^= bit
    return ("?" if isinstance(value, bytes) else "CAST(? AS TEXT)"), bytes(raw)


def test_one_flipped_bit_in_any_value_or_image_is_found(filled: Journal) -> None:
    """1,000 of 1,000: three in four in a value of a row, one in four in an image; events and images are named."""
    chance, everything = random.Random(11), cells(filled)
    images = sorted((filled.folder / "images").rglob("*.sealed"))
    connection = filled.database.connection
    missed: list[object] = []
    for _ in range(FLIPS):
        if chance.random() < 0.25:
            path = chance.choice(images)
            before = path.read_bytes()
            content = bytearray(before)
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(bytes(content))
            first = next(iter(verify(filled).findings), None)
            path.write_bytes(before)
            named = first is not None and path.stem in first.where
        else:
            path = None
            table, where, column, value = chance.choice(everything)
            expression, spoilt = flipped(chance, value)
            connection.execute("BEGIN")
            connection.execute(f"UPDATE OR REPLACE {table} SET {column} = {expression} WHERE {where}", (spoilt,))
            first = next(iter(verify(filled).findings), None)
            connection.execute("ROLLBACK")
            event = f"event {where.removeprefix('seq = ')} "
            named = first is not None and (table != "events" or column == "seq" or first.where.startswith(event))
        if not named:
            missed.append((path or (table, where, column), first))
    assert missed == []
    assert verify(filled).findings == ()


def test_a_flipped_byte_anywhere_in_the_file_is_found_or_changes_nothing(filled: Journal, key: JournalKey) -> None:
    """Also in what SQLite keeps between the rows; a byte of free space may change nothing that can be read."""
    everything = cells(filled)
    filled.close()
    path = filled.folder / "journal.sqlite3"
    sound, chance, harmless = path.read_bytes(), random.Random(5), 0
    for _ in range(150):
        content = bytearray(sound)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        for stale in filled.folder.glob("journal.sqlite3-*"):
            stale.unlink()
        path.write_bytes(bytes(content))
        try:
            with Journal.open(filled.folder, key, read_only=True, check=False) as spoilt:
                if not verify(spoilt).findings:
                    harmless += 1
                    assert cells(spoilt) == everything
        except JournalError:
            continue
    assert harmless < 150


@pytest.mark.parametrize("gone", ["the last event", "an event in the middle", "the first event"])
def test_removed_events_are_found(filled: Journal, gone: str) -> None:
    last = filled.database.rows("SELECT max(seq) FROM events")[0][0]
    seq = {"the last event": last, "an event in the middle": last // 2, "the first event": 1}[gone]
    filled.database.connection.execute("DELETE FROM events WHERE seq = ?", (seq,))
    assert verify(filled).findings != ()


def test_a_trail_written_anew_does_not_have_the_seal(filled: Journal, key: JournalKey) -> None:
    """Whoever recomputes every hash after a change still lacks the key of the seal."""
    rows = filled.database.rows("SELECT seq, exam, kind, at, who, body_sha256 FROM events ORDER BY seq")
    previous = "0" * 64
    with filled.database.writing() as connection:
        for seq, exam, kind, at, who, body_sha256 in rows:
            at = at.replace("T", "t")
            previous = event_hash(previous, seq, exam, kind, at, who, body_sha256)
            connection.execute("UPDATE events SET at = ?, hash = ? WHERE seq = ?", (at, previous, seq))
        number, seal = filled.database.rows("SELECT value FROM meta WHERE name = 'head'")[0][0].split()[2:]
        connection.execute("UPDATE meta SET value = ? WHERE name = 'head'", (f"{seq} {previous} {number} {seal}",))
    findings = verify(filled).findings
    assert [finding.where for finding in findings][:2] == ["head of the trail", "end of the trail"]
    assert "written anew" in findings[0].problem
    with pytest.raises(JournalDamaged, match="written anew"):
        Journal.open(filled.folder, key)


def test_nothing_is_added_to_a_trail_whose_end_was_altered(filled: Journal) -> None:
    last = filled.database.rows("SELECT max(seq) FROM events")[0][0]
    filled.database.connection.execute("DELETE FROM events WHERE seq = ?", (last,))
    with pytest.raises(JournalDamaged, match="events were removed, added or altered"):
        journal_exam(filled, [NRF])


def test_an_image_that_is_gone_or_altered_is_named(filled: Journal) -> None:
    first, second, _ = sorted((filled.folder / "images").rglob("*.sealed"))
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    findings = verify(filled).findings
    assert {finding.where for finding in findings} == {f"image {first.stem}", f"image {second.stem}"}
    with pytest.raises(JournalDamaged, match="it was altered"):
        filled.image(second.stem)


def test_verification_with_another_journals_key(filled: Journal) -> None:
    with (
        Journal.open(filled.folder, JournalKey.new(), read_only=True, check=False) as journal,
        pytest.raises(KeyUnusable, match="another journal's"),
    ):
        verify(journal)


def test_verification_reads_only(filled: Journal, tmp_path: Path) -> None:
    filled.close()
    copy = tmp_path / "copy"
    shutil.copytree(filled.folder, copy)
    with Journal.open(copy, read_only=True, check=False) as journal:
        assert verify(journal).findings == ()
        assert not verify(journal).sealed  # links only: the rest is sealed
    assert (copy / "journal.sqlite3").read_bytes() == (filled.folder / "journal.sqlite3").read_bytes()
