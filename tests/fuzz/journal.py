"""The journal's reader as a target: a journal with bytes of its file, or cells of its rows, changed.

What comes out must be refused in the journal's own words, or be what was written: a change that is neither found nor
without effect is a fault as much as a crash is.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.memory import folder as new_folder

FILE = "journal.sqlite3"
TABLES = {
    "events": ("seq", "exam", "kind", "at", "who", "body", "body_sha256", "hash"),
    "exams": ("exam", "phase", "pending", "changed_seq", "opened_seq", "sealed"),
    "deliveries": ("exam", "destination", "sealed"),
    "vessels": ("exam", "capture", "sealed"),
    "images": ("sha256", "exam"),
    "meta": ("name", "value"),
}
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]
BYTES_AT, CELL = 0, 1
"""Kinds of change: `0, then (offset in four bytes, byte) again and again`, or `1, column, row, type, value`."""


def journal_reader() -> tuple[Callable[[bytes], None], list[bytes]]:
    """Changes of a journal of two exams."""
    from runtime.exam.errors import ExamRefused, JournalError
    from runtime.exam.icrop3 import EyeFindings
    from runtime.exam.journal import Delivery, Journal
    from runtime.exam.journal.crypt import JournalKey
    from runtime.exam.journal.verify import verify
    from runtime.views import Eye
    from tests.runtime.exam.making import NRF, REFER, journal_exam

    key, folder = JournalKey.new(), new_folder()
    with Journal.open(folder, key, create=True) as journal:
        named = [journal_exam(journal, outcomes) for outcomes in ([NRF], [REFER])]
        journal.document(named[1], EyeFindings(Eye.OD, stage="2"), clinician="dr")
        journal.deliveries.change(named[0], "archive", lambda _: Delivery(named[0], "archive", 1, "waiting"))
        journal.database.truncate_log()
    sound = {name: (folder / name).read_bytes() for name in (FILE, "journal.head", "journal.keys")}

    def everything(journal: Journal) -> object:
        lines = journal.exams()
        whole = [(journal.exam(line.exam_id), journal.infant(line.exam_id)) for line in lines]
        return lines, whole, journal.rejections(), journal.clock_jumps(), journal.light_of("H-1")

    with Journal.open(folder, key, read_only=True) as journal:
        written = everything(journal)

    def one(data: bytes) -> None:
        for left in (*sound, f"{FILE}-wal", f"{FILE}-shm"):
            (folder / left).unlink(missing_ok=True)
        for name, content in sound.items():
            (folder / name).write_bytes(content)
        _change(folder / FILE, data)
        with contextlib.suppress(JournalError), Journal.open(folder, key, read_only=True) as journal:
            read = everything(journal)
            if read != written:
                raise AssertionError("an altered journal was read as if it were sound")
        with contextlib.suppress(JournalError), Journal.open(folder, key, read_only=True, check=False) as journal:
            verify(journal)
        refused = (JournalError, ExamRefused)  # the second where the change renamed the exam
        with contextlib.suppress(*refused), Journal.open(folder, key) as journal:
            journal.document(named[0], EyeFindings(Eye.OS, stage="1"), clinician="dr")

    seeds = [bytes((CELL, column, 255, 2)) + b"2026-11-29T00{42:46+00:00" for column in range(len(COLUMNS))]
    seeds += [bytes((CELL, 3, 255, kind)) + b"\xff\x00" for kind in range(4)]
    seeds += [b"\0" + (offset).to_bytes(4, "big") + b"\xdb" for offset in range(24, len(sound[FILE]), 4099)]
    seeds.append(b"\0" + (5000).to_bytes(4, "big") + b"\0" + (60).to_bytes(4, "big") + b"\xff")
    return one, seeds


def _change(path: Path, data: bytes) -> None:
    if len(data) > 4 and data[0] % 2 == CELL:
        table, column = COLUMNS[data[1] % len(COLUMNS)]
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(f"SELECT rowid_ FROM (SELECT row_number() OVER () AS rowid_ FROM {table})")
            row = data[2] % max(1, len(rows.fetchall()))
            value = _value(data[3], data[4:])
            key = TABLES[table][0]
            wanted = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row}"
            with connection:
                connection.execute(f"UPDATE {table} SET {column} = {value[0]} WHERE {key} = ({wanted})", value[1:])
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for at in range(1, len(data) - 4, 5):
            file.seek(int.from_bytes(data[at : at + 4], "big") % size)
            file.write(data[at + 4 : at + 5])


def _value(kind: int, raw: bytes) -> tuple[object, ...]:
    """What SQLite is given: nothing, bytes, a text that may be no UTF-8, or a number."""
    if kind % 4 == 0:
        return ("NULL",)
    if kind % 4 == 3:
        return ("?", int.from_bytes(raw[:8], "big", signed=True))
    return ("?" if kind % 4 == 1 else "CAST(? AS TEXT)", raw)
