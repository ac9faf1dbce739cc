"""The outbox's table: which exam goes where, how far that came, and what is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runtime.exam.journal.chain import canonical, digest
from runtime.exam.journal.database import Database

if TYPE_CHECKING:
    import sqlite3

DONE = "done"
"""The one state whose word is fixed: the destination has, and keeps, every object. Retention waits for it."""
COLUMNS = "exam, destination, revision, state, attempts, next_try, last_error, instances"


@dataclass(frozen=True)
class DeliveryInstance:
    """One object of a delivery."""

    uid: str
    """SOP Instance UID."""
    sop_class: str
    """SOP Class UID."""
    kind: str
    """What it is, in the outbox's own words."""
    state: str
    """How far it came, in the outbox's own words."""


@dataclass(frozen=True)
class Delivery:
    """One exam on its way to one destination."""

    exam_id: str
    destination: str
    revision: int
    """`ExamSummary.changed_seq` of what is being delivered; an exam that changed later has a higher one."""
    state: str
    """In the outbox's own words."""
    attempts: int = 0
    next_try: datetime | None = None
    """Not before this; None when nothing more is to be tried, or at once, as the state says."""
    last_error: str = ""
    instances: tuple[DeliveryInstance, ...] = ()


class Deliveries:
    """The deliveries of a journal. Every change is one transaction, on disk when the call returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def closed_exams_after(self, seq: int, limit: int = 100) -> list[tuple[int, str]]:
        """(revision, exam id) of exams that are closed, with every reading finished, and changed after `seq`.

        In the order of their revisions. An exam that is corrected after its closing comes again, with a new one.
        """
        rows = self._database.rows(
            "SELECT changed_seq, exam FROM exams WHERE changed_seq > ? AND phase = 'closed' AND pending = 0 "
            "ORDER BY changed_seq LIMIT ?",
            (seq, limit),
        )
        return [(int(revision), str(exam)) for revision, exam in rows]

    def behind(self, destination: str) -> list[tuple[int, str]]:
        """(revision, exam id) of closed and read exams that have no delivery there as they are now.

        In the order of their revisions. Looks at every exam, so that none is left out whose delivery was lost.
        """
        rows = self._database.rows(
            "SELECT e.changed_seq, e.exam FROM exams e "
            "LEFT JOIN deliveries d ON d.exam = e.exam AND d.destination = ? "
            "WHERE e.phase = 'closed' AND e.pending = 0 AND (d.exam IS NULL OR d.revision < e.changed_seq) "
            "ORDER BY e.changed_seq",
            (destination,),
        )
        return [(int(revision), str(exam)) for revision, exam in rows]

    def get(self, exam_id: str, destination: str) -> Delivery | None:
        """The delivery, None when there is none."""
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM deliveries WHERE exam = ? AND destination = ?", (exam_id, destination)
        )
        return _delivery(rows[0]) if rows else None

    def all(
        self, *, exam_id: str | None = None, destination: str | None = None, states: Sequence[str] | None = None
    ) -> list[Delivery]:
        """Deliveries by revision, oldest first; of one exam, to one destination, in certain states, when given."""
        where, arguments = ("WHERE exam = ?", (exam_id,)) if exam_id else ("", ())
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM deliveries {where} ORDER BY revision, destination", arguments
        )
        found = map(_delivery, rows)
        return [
            delivery
            for delivery in found
            if destination in (None, delivery.destination) and (states is None or delivery.state in states)
        ]

    def owed(self, exam_id: str, revision: int, destinations: Collection[str] = ()) -> list[str]:
        """Destinations that have not this revision of the exam: of those given, and of all that were ever used."""
        used = {str(name) for (name,) in self._database.rows("SELECT DISTINCT destination FROM deliveries")}
        arrived = {d.destination for d in self.all(exam_id=exam_id) if d.state == DONE and d.revision >= revision}
        return sorted({*used, *destinations} - arrived)

    def change(self, exam_id: str, destination: str, to: Callable[[Delivery | None], Delivery]) -> Delivery:
        """Read, let `to` give the new delivery, write: one transaction that no other process can come between.

        `to` gets None when there is no delivery yet; what it raises leaves the journal as it was.
        """
        with self._database.writing() as connection:
            delivery = to(self.get(exam_id, destination))
            if (delivery.exam_id, delivery.destination) != (exam_id, destination):
                raise ValueError(f"a delivery of {exam_id} to {destination} cannot become another's")
            row = _row(delivery)
            connection.execute(
                f"INSERT OR REPLACE INTO deliveries({COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, checksum(row)),
            )
        return delivery


def checksum(row: Sequence[Any]) -> str:
    """What the row's `checksum` must be; `row` holds the columns of `COLUMNS`."""
    return digest(canonical(list(row)))


def _row(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.exam_id,
        delivery.destination,
        delivery.revision,
        delivery.state,
        delivery.attempts,
        None if delivery.next_try is None else delivery.next_try.isoformat(),
        delivery.last_error,
        canonical([asdict(instance) for instance in delivery.instances]),
    )


def _delivery(row: sqlite3.Row | tuple[Any, ...]) -> Delivery:
    exam_id, destination, revision, state, attempts, next_try, last_error, instances = row
    return Delivery(
        exam_id,
        destination,
        revision,
        state,
        attempts,
        None if next_try is None else datetime.fromisoformat(next_try),
        last_error,
        tuple(DeliveryInstance(**instance) for instance in json.loads(instances)),
    )
