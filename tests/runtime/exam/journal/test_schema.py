from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime.exam.errors import JournalDamaged, JournalNewer, JournalUnwritable, KeyUnusable
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.schema import VERSION
from runtime.exam.journal.verify import verify
from runtime.exam.order import Order
from runtime.views import Eye, View
from tests.runtime.exam.making import REFER, RULES, infant, journal_exam

V4_EXAM = "20261128-Q59G8PRW"


def old_journal(folder: Path, version: int) -> tuple[JournalKey, str]:
    """A journal as that version wrote it (`version_N.sql` is its dump), its key of 32 zero bytes, an exam of it."""
    here = Path(__file__).parent
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as connection, connection:
        connection.executescript((here / f"version_{version}.sql").read_text())
    connection.close()
    exam_id = {2: "20261122-9YEPLPS3", 4: V4_EXAM}[version]
    if version == 4:
        for picture in here.glob("version_4_*.png"):
            sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
            place = folder / "images" / sha256[:2] / f"{sha256}.png"
            place.parent.mkdir(parents=True)
            place.write_bytes(picture.read_bytes())
    return JournalKey(bytes(32)), exam_id


def test_a_journal_of_version_4_is_sealed_whole(tmp_path: Path) -> None:
    key, exam_id = old_journal(tmp_path, 4)
    with pytest.raises(JournalUnwritable, match=f"version 4 has to be brought to {VERSION} first"):
        Journal.open(tmp_path, key, read_only=True)
    with pytest.raises(KeyUnusable, match="needs its key"):
        Journal.open(tmp_path)
    with pytest.raises(KeyUnusable, match="another journal's"):
        Journal.open(tmp_path, JournalKey.new())
    with Journal.open(tmp_path, key) as journal:
        record = journal.exam(exam_id)
        assert record.result.infant.outcome is REFER
        assert [(c.reason, c.who) for c in record.changes] == [("wrong side", "bert"), ("typing error", "bert")]
        assert (record.documented[0]["note"], record.documented[0]["who"]) == ("seen", "dr")
        assert (journal.infant(exam_id).name, journal.order(exam_id).accession) == ("Roe^Ann", "ACC-7")
        assert [journal.image(str(c.image_sha256)).shape for c in record.captures] == [(64, 64, 3)] * 2
        assert journal.vessels(exam_id, 1) is not None
        (delivery,) = journal.deliveries.all()
        assert (delivery.revision, delivery.last_error, delivery.instances[0].uid) == (9, "slow", "1.2")
        assert [line.phase.value for line in journal.exams()] == ["voided", "closed", "retired"]
        assert [one["run"] for one in journal.light_of("H-9")] == ["r1"]
        assert verify(journal).findings == ()
        journal.relabel(exam_id, 1, Eye.OD, View.DISC, reason="right after all", operator="anna")
    with Journal.open(tmp_path, key) as journal:
        assert verify(journal).findings == ()
    assert not list(tmp_path.rglob("*.png"))
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for plain in (
        b"wrong side",
        b"typing error",
        b"bert",
        b"anna",
        b"REFER",
        b"as told",
        b"slow",
        b"\x89PNG\r\n",
        b"test:",
    ):
        assert plain not in content


EDITS = {
    "a body": "UPDATE events SET body = replace(body, 'REFER', 'RETAKE') WHERE kind = 'read'",
    "an operator": "UPDATE events SET who = 'carl' WHERE kind = 'documented'",
    "the head": "UPDATE meta SET value = replace(value, 'a', 'b') WHERE name = 'head'",
    "the end": "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
    "a vessel map": "UPDATE vessels SET png = x'00'",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM deliveries; END",
}


@pytest.mark.parametrize("sql", EDITS.values(), ids=EDITS.keys())
def test_nothing_altered_is_sealed_as_if_it_were_sound(tmp_path: Path, sql: str) -> None:
    key, _ = old_journal(tmp_path, 4)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as connection, connection:
        connection.execute(sql)
    connection.close()
    with pytest.raises(JournalDamaged, match="bring back a copy"):
        Journal.open(tmp_path, key)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
    connection.close()


def test_a_newer_journal_is_refused_and_not_touched(journal: Journal, key: JournalKey) -> None:
    journal_exam(journal, [REFER])
    journal.close()
    with closing(sqlite3.connect(journal.folder / "journal.sqlite3")) as connection, connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = (journal.folder / "journal.sqlite3").read_bytes()
    for options in ({"key": key}, {"key": key, "read_only": True}, {}):
        with pytest.raises(JournalNewer, match=f"has version {VERSION + 1}, this software reads up to {VERSION}"):
            Journal.open(journal.folder, **options)
    assert (journal.folder / "journal.sqlite3").read_bytes() == before


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path, key: JournalKey) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as connection, connection:
        connection.execute("CREATE TABLE theirs(x)")
    connection.close()
    with pytest.raises(JournalDamaged, match="is not a journal of this software"):
        Journal.open(tmp_path, key, create=True)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as connection, connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    connection.close()


def test_a_journal_of_version_2_keeps_everything_and_takes_orders(tmp_path: Path) -> None:
    """`version_2.sql` is the dump of a journal that version 2 wrote, with the key of 32 zero bytes."""
    key, exam_id = old_journal(tmp_path, 2)
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
