"""Retention: which exams are old enough to lose images and patient's fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtime.exam.errors import ExamRefused
from runtime.exam.journal.chain import moment_of
from runtime.exam.journal.fold import CLOSED, STOPPED, VOIDED
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

    An exam is no older than the event before its closing: a clock that was set back for a while ages nothing. Only
    with `trust_clock` the time that was written is believed.
    Raises `ExamRefused` when the clock cannot be believed: behind the newest event, or far past it.
    """
    newest = trail_end(journal.database.connection)
    if newest is not None and not trust_clock:
        since = now - newest.moment
        if since < timedelta(0) or since > LONGEST_PAUSE:
            raise ExamRefused(
                f"the cart's clock says {now:%Y-%m-%d %H:%M} UTC, the journal's newest event is of {newest.at[:16]}; "
                f"check the clock, then give --trust-clock"
            )
    floor = {} if trust_clock else _no_older_than(journal, now)
    ages = {
        summary.exam_id: now - max(summary.closed_at, floor.get(summary.exam_id, summary.closed_at))
        for summary in reversed(journal.exams())
        if summary.phase in (Phase.CLOSED, Phase.VOIDED) and summary.closed_at is not None
    }
    return [exam_id for exam_id, since in ages.items() if since > age]


def _no_older_than(journal: JournalReader, now: datetime) -> dict[str, datetime]:
    """By exam the latest time that any event up to its closing tells, apart from times that are still to come."""
    latest = datetime.min.replace(tzinfo=now.tzinfo)
    found: dict[str, datetime] = {}
    for exam, kind, at in journal.database.rows("SELECT exam, kind, at FROM events ORDER BY seq"):
        moment = moment_of(at)
        latest = max(latest, moment if moment <= now else latest)
        if kind in (CLOSED, STOPPED, VOIDED):
            found.setdefault(str(exam), latest)
    return found
