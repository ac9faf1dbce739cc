"""`JournalWriter`: one event, its derived rows and the trail's new head, together in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime.exam.errors import ExamRefused, JournalError, KeyUnusable
from runtime.exam.journal import lines
from runtime.exam.journal.chain import canonical
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.fold import Folded, step, summary_row
from runtime.exam.journal.reader import JournalReader
from runtime.exam.journal.trail import Trail, check_end


class JournalWriter(JournalReader):
    """What every way of writing shares."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        key: JournalKey | None,
        floor_bytes: int,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(folder, database, key)
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._trail = None if key is None else Trail(key, clock)

    def _change(self, exam_id: str, kind: str, who: str, content: Mapping[str, Any]) -> None:
        with self._writing() as (connection, trail):
            folded = self._step(connection, trail, exam_id, kind, who_of(who), content)
        self._known = folded

    def _step(
        self,
        connection: sqlite3.Connection,
        trail: Trail,
        exam_id: str,
        kind: str,
        who: str,
        content: Mapping[str, Any],
    ) -> Folded:
        folded = step(self._current(exam_id, trail), trail.append(connection, exam_id, kind, who, content))
        lines.save(connection, summary_row(folded))
        return folded

    def _current(self, exam_id: str, trail: Trail) -> Folded:
        """The exam, without a query when its last event is the trail's: nobody wrote since."""
        known, end = self._known, trail.end
        if known is not None and end is not None and (known.exam.exam_id, known.last_seq) == (exam_id, end.seq):
            return known
        return self.folded(exam_id)

    def _save_exposure(self, connection: sqlite3.Connection, exam_id: str, body: Mapping[str, Any]) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO exposures(run, exam, body) VALUES (?, ?, ?)",
            (body["run"], exam_id, canonical(body)),
        )

    def _save_account(self, connection: sqlite3.Connection, account: str, exam_id: str) -> None:
        connection.execute("INSERT OR IGNORE INTO accounts(account, exam) VALUES (?, ?)", (account, exam_id))

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, Trail]]:
        self._writing_key()
        assert self._trail is not None
        try:
            with self.database.writing() as connection:
                self._trail.start(connection)
                check_end(self._trail.end, self.key, f"journal {self.folder}")  # nothing is added to an altered one
                yield connection, self._trail
            self._trail.committed()
        except JournalError:
            self._known = None
            raise
        self.witness.tell(self._trail.end)

    def _writing_key(self) -> JournalKey:
        if self.key is None:
            raise KeyUnusable(f"journal {self.folder}: writing to it needs its key; {HOW}")
        return self.key


def who_of(name: str) -> str:
    """Who did something; raises `ExamRefused` for nobody."""
    if not name.strip():
        raise ExamRefused("operator: got nobody, expected who works at the cart (--operator NAME)")
    return name
