"""Retention: which exams are old enough to lose images and patient's fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtime.exam.errors import ExamRefused
from runtime.exam.journal.trail import trail_end
from runtime.exam.machine import Phase

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader

LONGEST_PAUSE = timedelta(days=60)
"""A clock this far past the newest event may be wrong; nothing is removed on its word alone."""


def due_for_retirement(
    journal: JournalReader, age: timedelta, now: datetime, *, trust_clock: bool = False
) -> list[str]:
    """Ids of exams that were closed longer than `age` ago, oldest first.

    Raises `ExamRefused` when the clock cannot be believed: behind the newest event, or far past it.
    """
    newest = trail_end(journal.database.connection)
    if newest is not None and not trust_clock:
        since = now - datetime.fromisoformat(newest.at)
        if since < timedelta(0) or since > LONGEST_PAUSE:
            raise ExamRefused(
                f"the cart's clock says {now:%Y-%m-%d %H:%M} UTC, the journal's newest event is of {newest.at[:16]}; "
                f"check the clock, then give --trust-clock"
            )
    closed = journal.exams(phase=Phase.CLOSED)
    return [s.exam_id for s in reversed(closed) if s.closed_at is not None and now - s.closed_at > age]
