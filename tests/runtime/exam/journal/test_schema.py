from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.exam.errors import JournalDamaged, JournalNewer, JournalUnwritable, KeyUnusable
from runtime.exam.journal import Delivery, Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.schema import VERSION
from runtime.exam.journal.verify import verify
from runtime.exam.order import Order
from tests.runtime.exam.making import REFER, RULES, infant, journal_exam


def as_version_1(folder: Path) -> None:
    """What a journal was before it had the outbox's table."""
    with sqlite3.connect(folder / "journal.sqlite3") as connection:
        connection.execute("DROP TABLE deliveries")
        for name in ("exposures", "accounts"):
            connection.execute(f"DROP TABLE {name}")
        for name in ("events_of_kind", "exams_opened"):
            connection.execute(f"DROP INDEX {name}")
        for name in ("opened_seq", "typed_seq", "utc_offset_s", "checksum"):
            connection.execute(f"ALTER TABLE exams DROP COLUMN {name}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_an_older_journal_is_brought_forward(journal: Journal, key: JournalKey) -> None:
    exam_id = journal_exam(journal, [REFER])
    before = journal.exam(exam_id)
    journal.close()
    as_version_1(journal.folder)
    with pytest.raises(JournalUnwritable, match=f"version 1 has to be brought to {VERSION} first"):
        Journal.open(journal.folder, key, read_only=True)
    with pytest.raises(KeyUnusable, match="needs its key"):
        Journal.open(journal.folder)
    with pytest.raises(KeyUnusable, match="another journal's"):
        Journal.open(journal.folder, JournalKey.new())
    with Journal.open(journal.folder, key) as again:
        assert again.exam(exam_id) == before
        again.deliveries.change(exam_id, "archive", lambda _: Delivery(exam_id, "archive", 1, "waiting"))
        kinds = [kind for (kind,) in again.database.rows("SELECT kind FROM events ORDER BY seq")]
        assert kinds[-1] == "migrated"
        assert verify(again).findings == ()


def test_a_newer_journal_is_refused_and_not_touched(journal: Journal, key: JournalKey) -> None:
    journal_exam(journal, [REFER])
    journal.close()
    with sqlite3.connect(journal.folder / "journal.sqlite3") as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = (journal.folder / "journal.sqlite3").read_bytes()
    for options in ({"key": key}, {"key": key, "read_only": True}, {}):
        with pytest.raises(JournalNewer, match=f"has version {VERSION + 1}, this software reads up to {VERSION}"):
            Journal.open(journal.folder, **options)
    assert (journal.folder / "journal.sqlite3").read_bytes() == before


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path, key: JournalKey) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite3") as connection:
        connection.execute("CREATE TABLE theirs(x)")
    connection.close()
    with pytest.raises(JournalDamaged, match="is not a journal of this software"):
        Journal.open(tmp_path, key, create=True)
    with sqlite3.connect(tmp_path / "journal.sqlite3") as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    connection.close()


def test_a_journal_of_version_2_keeps_everything_and_takes_orders(tmp_path: Path) -> None:
    """`version_2.sql` is the dump of a journal that version 2 wrote, with the key of 32 zero bytes."""
    key, exam_id = JournalKey(bytes(32)), "20261122-9YEPLPS3"
    with sqlite3.connect(tmp_path / "journal.sqlite3") as connection:
        connection.executescript(Path(__file__).with_name("version_2.sql").read_text())
    connection.close()
    with pytest.raises(JournalUnwritable, match=f"version 2 has to be brought to {VERSION} first"):
        Journal.open(tmp_path, key, read_only=True)
    with Journal.open(tmp_path, key, floor_bytes=0) as journal:
        assert journal.database.rows("PRAGMA user_version") == [(VERSION,)]
        assert verify(journal).findings == ()
        before = journal.infant(exam_id)
        assert (before.infant_id, before.birth_weight_g, before.sex) == ("H-1", 990, "")
        assert journal.order(exam_id).empty
        assert [d.state for d in journal.deliveries.all(exam_id=exam_id)] == ["waiting"]
        journal.amend_infant(exam_id, infant(sex="M"), reason="chart read again", operator="anna")
        journal.amend_order(exam_id, Order("ACC-1"), reason="order came later", operator="anna")
        new = journal.begin_exam(infant(), RULES, operator="anna", order=Order("ACC-2"))
        assert (journal.infant(exam_id).sex, journal.order(exam_id).accession) == ("M", "ACC-1")
        assert journal.order(new).accession == "ACC-2"
        assert verify(journal).findings == ()
