"""Whoever can write the journal's folder but lacks its key: every edit is found where the record is used."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from runtime.dicom.configuration import CartNode
from runtime.dicom.from_journal import exam_from_journal
from runtime.exam.__main__ import main
from runtime.exam.errors import ExamRefused, JournalDamaged, JournalError, JournalUnwritable
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, Journal
from runtime.exam.journal.anchors import anchor_of
from runtime.exam.journal.chain import canonical, digest, event_hash
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.trail import End
from runtime.exam.journal.verify import verify
from runtime.exam.report import report_page
from runtime.views import Eye, View
from tests.runtime.exam.making import NRF, REFER, RULES, infant, journal_exam

Edit = Callable[[sqlite3.Connection], object]


def edited(folder: Path, edit: Edit) -> None:
    connection = sqlite3.connect(folder / "journal.sqlite3")
    with connection:
        edit(connection)
    connection.close()


def sql(text: str) -> Edit:
    return lambda connection: connection.executescript(text)


def body_anew(connection: sqlite3.Connection) -> None:
    """A reading exchanged for an older one of its kind, and every hash after it calculated again, head and all."""
    other, _ = (
        row[0] for row in connection.execute("SELECT body FROM events WHERE kind = 'read' ORDER BY seq LIMIT 2")
    )
    last = connection.execute("SELECT max(seq) FROM events WHERE kind = 'read'").fetchone()[0]
    connection.execute("UPDATE events SET body = ?, body_sha256 = ? WHERE seq = ?", (other, digest(other), last))
    previous = "0" * 64
    query = "SELECT seq, exam, kind, at, who, body_sha256 FROM events ORDER BY seq"
    for seq, exam, kind, at, who, sha256 in connection.execute(query).fetchall():
        previous = event_hash(previous, seq, exam, kind, at, who, sha256)
        connection.execute("UPDATE events SET hash = ? WHERE seq = ?", (previous, seq))
    head = connection.execute("SELECT value FROM meta WHERE name = 'head'").fetchone()[0].split()
    head[1] = previous
    connection.execute("UPDATE meta SET value = ? WHERE name = 'head'", (" ".join(head),))


EDITS: dict[str, Edit] = {
    "a body": sql("UPDATE events SET body = zeroblob(length(body)) WHERE kind = 'read'"),
    "a body removed": sql("UPDATE events SET body = NULL WHERE kind = 'read'"),
    "bodies exchanged": sql(
        "UPDATE events SET body = (SELECT body FROM events e WHERE e.kind = 'read' AND e.seq != events.seq), "
        "body_sha256 = (SELECT body_sha256 FROM events e WHERE e.kind = 'read' AND e.seq != events.seq) "
        "WHERE kind = 'read'"
    ),
    "a body, and every hash after it": body_anew,
    "who": sql("UPDATE events SET who = zeroblob(length(who)) WHERE kind = 'documented'"),
    "kind": sql("UPDATE events SET kind = 'confirmed view' WHERE kind = 'documented'"),
    "time": sql("UPDATE events SET at = replace(at, '20', '19') WHERE kind = 'documented'"),
    "findings moved to another exam": sql(
        "UPDATE events SET exam = (SELECT min(exam) FROM exams e WHERE e.exam != events.exam) WHERE kind = 'documented'"
    ),
    "an event in the middle removed": sql("DELETE FROM events WHERE kind = 'documented'"),
    "a whole exam removed": sql(
        "DELETE FROM events WHERE exam = (SELECT max(exam) FROM exams); "
        "DELETE FROM exams WHERE exam = (SELECT max(exam) FROM exams)"
    ),
    "an event of the journal's own removed": sql("DELETE FROM events WHERE exam IS NULL"),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM vessels; END"),
    "a view": sql("CREATE VIEW later AS SELECT * FROM events"),
    "a table": sql("CREATE TABLE more(x)"),
    "an index": sql("CREATE INDEX more ON events(at)"),
    "an index gone": sql("DROP INDEX exams_changed"),
    "an altered table": sql("ALTER TABLE deliveries ADD COLUMN more TEXT"),
}


def given(delivery: Delivery, _: Delivery | None) -> Delivery:
    return delivery


@pytest.fixture
def filled(journal: Journal) -> Journal:
    fill(journal)
    return journal


def fill(journal: Journal) -> None:
    """Three exams, one with a clinician's findings, two on their way to the archive."""
    first = journal_exam(journal, [REFER])
    second = journal_exam(journal, [REFER])
    journal.document(second, EyeFindings(Eye.OD, stage="2", note="ridge"), clinician="dr")
    journal_exam(journal, [NRF])
    for exam_id in (first, second):
        revision = journal.summary(exam_id).changed_seq
        waiting = Delivery(exam_id, "archive", revision, "waiting")
        journal.deliveries.change(exam_id, "archive", partial(given, waiting))


def key_file(folder: Path, key: JournalKey) -> Path:
    path = folder / "cart.key"
    path.touch(0o600)
    path.write_text(key.text)
    return path


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named_by_list_and_stops_retire(
    filled: Journal, key: JournalKey, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.close()
    common = ["--journal", str(filled.folder), "--key-file", str(key_file(tmp_path, key))]
    assert main(["list", *common]) == 0
    assert capsys.readouterr().err == ""
    edited(filled.folder, EDITS[name])
    assert main(["list", *common]) == 1
    said = capsys.readouterr()
    assert any(word in said.err for word in ("altered", "removed", "not ours", "missing", "written anew"))
    assert "no referral" not in said.out.lower()
    retire = ["retire", *common, "--operator", "anna", "--older-than-days", "0", "--no-archive", "--discard-typed"]
    assert main([*retire, "--trust-clock"]) == 1
    assert main(["verify", *common]) == 1
    with closing(sqlite3.connect(filled.folder / "journal.sqlite3")) as connection, connection:
        assert connection.execute("SELECT count(*) FROM events WHERE kind = 'retired'").fetchone() == (0,)
    connection.close()


def test_a_database_copied_without_its_log_is_not_sound(
    key: JournalKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all other files, as whoever copies `journal.sqlite3` and its neighbours by hand does."""
    with Journal.open(tmp_path / "journal", key, create=True) as journal:
        journal_exam(journal, [NRF])
        journal.database.truncate_log()
        journal_exam(journal, [REFER], close=False)
        assert (journal.folder / "journal.sqlite3-wal").stat().st_size
        shutil.copytree(journal.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    common = ["--journal", str(tmp_path / "copy"), "--key-file", str(key_file(tmp_path, key))]
    assert main(["verify", *common]) == 1
    assert "journal.head" in capsys.readouterr().out
    assert main(["list", *common]) == 1
    assert "copied without its log (journal.sqlite3-wal)" in capsys.readouterr().err


def test_a_file_of_others_that_journal_head_leads_to_is_not_written_to(
    filled: Journal, key: JournalKey, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    others.write_text("0" * 20 + " " + "0" * 64 + "\n")
    head = filled.folder / "journal.head"
    head.unlink()
    head.symlink_to(others)
    before = others.read_text()
    fill(filled)
    assert others.read_text() == before


@pytest.mark.parametrize("name", ["journal.head", "journal.keys", "images", "anchor"])
def test_a_pipe_in_a_files_place_is_waited_for_by_nobody(
    filled: Journal, key: JournalKey, tmp_path: Path, name: str
) -> None:
    """Each of them would have kept `show`, `list` or the next capture for ever."""
    anchor = tmp_path / "anchor"
    if name == "images":
        path = next(iter(sorted(filled.images.folder.glob("*/*.sealed"))))
    else:
        path = anchor if name == "anchor" else filled.folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    if name == "anchor":
        with pytest.raises(JournalUnwritable, match="not a regular file"):
            Journal.open(filled.folder, key, anchors=[anchor])
        anchor_of(anchor).tell(End(1, "2026-11-22T12:00:00+00:00", "0" * 64, None), filled.unlocked())
        return
    if name == "images":
        with pytest.raises(JournalDamaged, match="not a regular file"):
            filled.images.read(path.name.removesuffix(".sealed"))
    fill(filled)
    with suppress(JournalUnwritable), Journal.open(filled.folder, key) as journal:
        assert journal.exams()
    with Journal.open(filled.folder, key, read_only=True, check=False) as journal:
        assert verify(journal).findings or name == "journal.keys", "which is made anew from the table"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"1 2 3\n"])
def test_a_head_that_says_nothing_is_in_the_trail_as_a_missing_one(
    filled: Journal, key: JournalKey, content: bytes
) -> None:
    """Else an older copy with its head emptied would be sound after the next commit."""
    (filled.folder / "journal.head").write_bytes(content)
    filled.close()
    with Journal.open(filled.folder, key) as journal:
        found, _ = journal.events_after(0, 1000)
        assert [row.kind for row in found][-1] == "witness missing"
        assert verify(journal).findings == ()


@pytest.mark.parametrize("name", ["a body", "a body removed", "who", "kind", "time", "an event in the middle removed"])
def test_an_edited_exam_is_neither_shown_nor_exported_nor_sent(filled: Journal, key: JournalKey, name: str) -> None:
    second = filled.exams()[1].exam_id
    filled.close()
    edited(filled.folder, EDITS[name])
    with Journal.open(filled.folder, key) as journal:
        for use in (
            journal.exam,
            journal.infant,
            lambda exam_id: report_page(journal, exam_id),
            lambda exam_id: exam_from_journal(journal, exam_id, CartNode()),
        ):
            with pytest.raises(JournalDamaged):
                use(second)


def test_no_events_content_can_be_taken_away(journal: Journal, key: JournalKey) -> None:
    """As `retire` does it: a stage that a clinician found was gone, and nothing but `verify` said so."""
    exam_id = journal_exam(journal, [REFER, NRF, NRF])
    journal.document(exam_id, EyeFindings(Eye.OD, stage="3"), clinician="dr")
    journal.exclude(exam_id, 1, reason="of the twin", operator="anna")
    journal.include(exam_id, 1, reason="by mistake", operator="anna")
    journal.relabel(exam_id, 2, Eye.OS, View.NASAL, reason="turned", operator="anna")
    journal.amend(exam_id, infant=infant(name="Doe^Ada"), reason="named", operator="anna")
    journal.note_person("signed in", "anna")
    kinds = {row.kind for row in journal.events(exam_id)}
    assert {"opened", "captured", "read", "closed", "documented", "excluded", "amended"} <= kinds
    journal.close()
    with closing(sqlite3.connect(journal.folder / "journal.sqlite3")) as connection:
        for seq, exam, body in connection.execute("SELECT seq, exam, body FROM events").fetchall():
            with connection:
                connection.execute("UPDATE events SET body = NULL WHERE seq = ?", (seq,))
            with pytest.raises(JournalDamaged), Journal.open(journal.folder, key) as opened:
                opened.events_after(0, 500)
            if exam is not None:
                with pytest.raises(JournalDamaged, match="altered"), Journal.open(journal.folder, key) as opened:
                    exam_from_journal(opened, exam_id, CartNode())
            with connection:
                connection.execute("UPDATE events SET body = ? WHERE seq = ?", (body, seq))
    with Journal.open(journal.folder, key) as opened:
        assert exam_from_journal(opened, exam_id, CartNode()).documented


def test_a_forged_delivery_is_no_delivery(filled: Journal, key: JournalKey) -> None:
    """With the checksum of version 4 anybody could write one, and 12 unsent images were removed on its word."""
    exam_id = filled.exams()[1].exam_id
    row = [exam_id, "archive", 99, "done", 0, None, "", [], 99]
    for forged in (canonical(row).encode(), canonical([*row, digest(canonical(row))]).encode()):
        edited(filled.folder, lambda c, forged=forged: c.execute("UPDATE deliveries SET sealed = ?", (forged,)))  # type: ignore[misc]
        assert filled.deliveries.get(exam_id, "archive") is None
        assert filled.deliveries.owed(exam_id, 1, ["archive"]) == ["archive"]
        with pytest.raises(ExamRefused, match="has not reached archive"):
            filled.retire_exam(exam_id, operator="anna", destinations=["archive"])


def test_a_picture_of_another_exam_is_not_removed_with_a_forged_row(filled: Journal) -> None:
    first, second = (journal_exam(filled, [NRF]) for _ in range(2))
    sha256 = str(filled.exam(second).captures[0].image_sha256)
    edited(filled.folder, lambda c: c.execute("UPDATE images SET exam = ? WHERE sha256 = ?", (first, sha256)))
    with pytest.raises(JournalDamaged, match="images"):
        filled.check_whole()


def test_vessels_of_another_frame_are_not_shown(filled: Journal) -> None:
    newest, second, first = (line.exam_id for line in filled.exams())
    others = "UPDATE vessels SET sealed = (SELECT sealed FROM vessels WHERE exam = ?) WHERE exam != ?"
    edited(filled.folder, lambda c: c.execute(others, (newest, newest)))
    assert filled.vessels(newest, 1) is not None
    for exam_id in (first, second):
        with pytest.raises(JournalDamaged, match="vessels"):
            filled.vessels(exam_id, 1)
    edited(filled.folder, sql("DELETE FROM vessels"))
    with pytest.raises(JournalDamaged, match="vessels"):
        filled.vessels(newest, 1)


def test_light_is_not_counted_without_an_exam_that_was_altered(journal: Journal) -> None:
    """Else whoever damages the exam of an infant's light has the whole dose given again."""
    exam_id = journal.begin_exam(infant(), RULES, operator="anna")
    flash = {"run": "r1", "eye": "OD", "kind": "flash", "level": 9, "duration_s": 0.01, "state": "given"}
    journal.expose(exam_id, {**flash, "hazards": {}}, operator="anna")
    journal.close_exam(exam_id, operator="anna")
    journal_exam(journal, [NRF])
    assert [one["run"] for one in journal.light_of("H-1")] == ["r1"]
    edited(journal.folder, lambda c: c.execute("UPDATE exams SET sealed = x'00' WHERE exam = ?", (exam_id,)))
    assert [one["run"] for one in journal.light_of("H-1")] == ["r1"]  # made again from the trail
    edited(journal.folder, sql("UPDATE events SET body = zeroblob(9) WHERE kind = 'exposed'"))
    with pytest.raises(JournalDamaged, match="no light can be counted"):
        journal.light_of("H-1")


def test_a_damaged_byte_in_sqlites_own_schema_is_no_traceback(filled: Journal, key: JournalKey) -> None:
    """SQLite's message repeats the byte, which is no UTF-8."""
    filled.database.truncate_log()
    filled.close()
    path = filled.folder / "journal.sqlite3"
    sound = path.read_bytes()
    for word in (b"CREATE TABLE exams", b"CREATE TABLE events", b"CREATE INDEX"):
        path.write_bytes(sound.replace(word, word[:-1] + b"\xdb"))
        with pytest.raises(JournalError):
            Journal.open(filled.folder, key, read_only=True)


COLUMNS = [
    *(("events", name) for name in ("seq", "exam", "kind", "at", "who", "body", "body_sha256", "hash")),
    *(("exams", name) for name in ("exam", "phase", "pending", "changed_seq", "opened_seq", "sealed")),
    *(("deliveries", name) for name in ("exam", "destination", "sealed")),
    *(("vessels", name) for name in ("exam", "capture", "sealed")),
    *(("images", name) for name in ("sha256", "exam")),
    *(("meta", name) for name in ("name", "value")),
]
SPOILT = {
    "no UTF-8": "CAST(substr({0}, 1, 3) || x'ff' || substr({0}, 5) AS TEXT)",
    "a letter": "substr({0}, 1, 13) || '{{' || substr({0}, 15)",
    "bytes": "x'00ff'",
    "a number": "-7",
}
FIRST = {"events": "seq", "exams": "exam", "deliveries": "exam", "vessels": "exam", "images": "sha256", "meta": "name"}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_cell_ends_no_command_in_a_traceback(
    filled: Journal, key: JournalKey, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every column, in the newest row: it is read first. Its time was used as it stood, before it was checked."""
    exam_id = filled.exams()[0].exam_id
    filled.database.truncate_log()
    filled.close()
    path = filled.folder / "journal.sqlite3"
    sound, common = path.read_bytes(), ["--journal", str(filled.folder), "--key-file", str(key_file(tmp_path, key))]
    retire = ["retire", "--older-than-days", "0", "--no-archive", "--discard-typed", "--operator", "a"]
    tried = 0
    for table, column in COLUMNS:
        for left in ("-wal", "-shm"):
            path.with_name(path.name + left).unlink(missing_ok=True)
        path.write_bytes(sound)
        newest = f"{FIRST[table]} = (SELECT max({FIRST[table]}) FROM {table})"
        with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.Error), connection:
            connection.execute(f"UPDATE {table} SET {column} = {SPOILT[how].format(column)} WHERE {newest}")
        if path.read_bytes() == sound:
            continue  # such a value fits no row
        tried += 1
        codes = []
        for call in (["list"], ["show", exam_id], ["void", exam_id, "--operator", "a", "--reason", "r"], retire):
            codes.append(main([*call, *common]))
            said = capsys.readouterr().err
            assert said.count("\n") <= 3, (table, column, said)
        assert main(["verify", *common]) == 1, (table, column)
        assert codes[-1] == 1 or table in ("deliveries", "vessels", "meta"), (table, column, codes)
        capsys.readouterr()
    assert tried > len(COLUMNS) / 2


def everything(journal: Journal) -> object:
    """All that a user of the journal can read."""
    summaries = journal.exams()
    journal.check_whole()
    records = [journal.exam(line.exam_id) for line in summaries]
    pictures = [journal.image(str(c.image_sha256)).tobytes() for r in records for c in r.captures]
    maps = [journal.vessels(r.summary.exam_id, c.number) for r in records for c in r.captures]
    infants = [(journal.infant(r.summary.exam_id), journal.order(r.summary.exam_id)) for r in records]
    light = journal.light_of("H-1")
    return summaries, records, pictures, [m if m is None else m.tobytes() for m in maps], infants, light


def one_byte_changed(folder: Path, copy: Path, chance: random.Random) -> None:
    """In a cell of a row, in a picture's file, in what lies beside the database, or anywhere in it."""
    where = chance.random()
    if where < 0.05:
        change_file(copy / chance.choice(("journal.head", "journal.keys")), chance)
    elif where < 0.2:
        path = copy / chance.choice(sorted((folder / "images").rglob("*.sealed"))).relative_to(folder)
        change_file(path, chance)
    elif where < 0.4:
        change_file(copy / "journal.sqlite3", chance)
    else:
        connection = sqlite3.connect(copy / "journal.sqlite3")
        connection.text_factory = bytes
        table = chance.choice(("events", "exams", "vessels", "deliveries", "images", "meta"))
        names = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]
        column, rows = chance.choice(names), connection.execute(f"SELECT * FROM {table}").fetchall()
        row = chance.choice(rows)
        value = row[names.index(column)]
        spoilt: object = None
        if isinstance(value, int):
            spoilt = value ^ (1 << chance.randrange(8))
        elif value:
            raw = bytearray(value)
            raw[chance.randrange(len(raw))] ^= 1 + chance.randrange(255)
            blob = column in ("body", "who", "sealed") or bytes(raw).decode("latin-1").encode() != bytes(raw)
            spoilt = bytes(raw) if blob else bytes(raw).decode("latin-1")
        condition = " AND ".join(f"{name} IS ?" for name in names)
        keep = [
            cell
            if not isinstance(cell, bytes) or name in ("body", "who", "sealed")
            else cell.decode("utf-8", "surrogateescape")
            for name, cell in zip(names, row, strict=True)
        ]
        with connection:
            connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {condition}", (spoilt, *keep))
        connection.close()


def change_file(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 + chance.randrange(255)
    path.write_bytes(bytes(content))


def changes_found(folder: Path, key: JournalKey, work: Path, number: int, seed: int) -> tuple[int, int, list[int]]:
    """(found before use, without any effect, seeds of those that were neither) of so many changes."""
    with Journal.open(folder, key, read_only=True) as journal:
        expected, sent = everything(journal), journal.deliveries.all()
    found, harmless, missed = 0, 0, list[int]()
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    for n in range(number):
        shutil.rmtree(work, ignore_errors=True)
        for path in files:  # a copied tree of 512 mostly empty folders takes longer than all the rest
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / path, work / path)
        one_byte_changed(folder, work, random.Random(f"{seed} {n}"))
        try:
            with Journal.open(work, key, read_only=True) as journal:
                if everything(journal) == expected and not journal.deliveries.altered():
                    harmless += 1
                    same = journal.deliveries.all() == sent
                    missed += [] if same else [n]
                elif journal.deliveries.altered():
                    found += 1
                else:
                    missed.append(n)
        except JournalError:
            found += 1
    return found, harmless, missed


def test_one_changed_byte_is_found_before_use_or_changes_nothing(
    filled: Journal, key: JournalKey, tmp_path: Path
) -> None:
    filled.close()
    found, harmless, missed = changes_found(filled.folder, key, tmp_path / "work", 60, 1)
    assert missed == []
    assert found > harmless
