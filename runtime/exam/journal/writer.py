"""`JournalWriter`: one event, its derived rows and the trail's new head, together in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime.exam.errors import ExamRefused, JournalError, KeyUnusable
from runtime.exam.journal import lines
from runtime.exam.journal.anchors import tell_all
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.fold import Folded, step
from runtime.exam.journal.reader import JournalReader
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import Trail, check_end, check_secret_in_use
from runtime.exam.naming import says_nothing, spoilt

LONGEST_NAME = 63
"""Of who works at the cart, and of the cart: as a name in DICOM, which ends in its delimiter."""
LONGEST_WORDS = 2000
"""Of one thing that a person types, a reason or a note: what is longer is a file that went into the wrong place."""


class JournalWriter(JournalReader):
    """What every way of writing shares."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        key: JournalKey | None,
        floor_bytes: int,
        clock: Callable[[], datetime],
        anchors: Sequence[str | Path] = (),
    ) -> None:
        super().__init__(folder, database, key, anchors)
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._trail: Trail | None = None

    def _trail_of(self, secrets: Secrets) -> Trail:
        if self._trail is None:
            self._trail = Trail(secrets, self._clock)
        return self._trail

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
        reason = content.get("reason")
        if isinstance(reason, str) and reason.strip() and says_nothing(reason):
            raise ExamRefused(f"exam {exam_id}: the reason holds nothing that can be read; type it again")
        for typed in ("reason", "note"):
            if len(content.get(typed) or "") > LONGEST_WORDS:
                raise ExamRefused(
                    f"exam {exam_id}: the {typed} has {len(content[typed])} characters, expected at most "
                    f"{LONGEST_WORDS}; say it shorter"
                )
        folded = step(self._current(exam_id, trail), trail.append(connection, exam_id, kind, who, content))
        lines.save(connection, self.unlocked(), lines.kept_of(folded))
        return folded

    def _current(self, exam_id: str, trail: Trail) -> Folded:
        """The exam, without a query when its last event is the trail's: nobody wrote since."""
        known, end = self._known, trail.end
        if known is not None and end is not None and (known.exam.exam_id, known.last_seq) == (exam_id, end.seq):
            return known
        return self.folded(exam_id)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, Trail]]:
        if self.key is None:
            raise KeyUnusable(f"journal {self.folder}: writing to it needs its key; {HOW}")
        secrets, name = self.unlocked(), f"journal {self.folder}"
        trail = self._trail_of(secrets)
        try:
            with self.database.writing() as connection:
                trail.start(connection)
                check_secret_in_use(connection, secrets, name)
                check_end(trail.end, secrets, name)  # nothing is added to an altered one
                yield connection, trail
            trail.committed()
        except JournalError:
            self._known = None
            raise
        self.witness.tell(trail.end)
        tell_all(self.anchors, trail.end, secrets)


def who_of(name: str) -> str:
    """Who did something; raises `ExamRefused` for nobody, and for what can stand in no name."""
    if says_nothing(name):
        raise ExamRefused("operator: got nobody, expected who works at the cart (--operator NAME)")
    if any(map(spoilt, name)):
        raise ExamRefused("operator: the name holds control characters or halves of characters; type it again")
    check_length("operator", name)
    return name


def check_length(what: str, name: str) -> None:
    """Raise `ExamRefused` for a name that is none."""
    if len(name) > LONGEST_NAME:
        raise ExamRefused(f"{what}: got {len(name)} characters, expected at most {LONGEST_NAME}; name it shorter")
