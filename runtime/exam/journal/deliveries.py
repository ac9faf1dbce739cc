"""The outbox's table: which exam goes where, how far that came, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.database import Database
from runtime.exam.journal.lines import SealedContent
from runtime.exam.journal.once import Once
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import check_secret_in_use
from runtime.exam.machine import Phase

if TYPE_CHECKING:
    import sqlite3

    from runtime.exam.journal.records import ExamSummary

DONE = "done"
"""The one state whose word is fixed: the destination has, and keeps, every object. Retention waits for it."""
COLUMNS = "exam, destination, sealed"


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
    study_uid: str = ""
    series_uid: str = ""
    """Where it lies in the archive; empty in deliveries of software before 0.2.0."""
    revision: int = 0
    """`ExamSummary.changed_seq` of the exam that it was made of: whose it was then."""
    asked: str = ""
    """Transaction UIDs of the storage commitments that were asked for, oldest first, parted by spaces: a report to any
    of them counts, however late."""
    asked_at: str = ""
    """When the last one was; ISO 8601."""
    note: str = ""
    """SOP Instance UID of the Key Object Selection that rejects it; empty where none does."""


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
    typed: int = 0
    """`ExamSummary.typed_seq` of what these objects hold of a person's words; 0 when they hold none."""


class Deliveries:
    """The deliveries of a journal. Every change is one transaction, on disk when the call returns."""

    def __init__(
        self, database: Database, secrets: Callable[[], Secrets], lines: Callable[[], Sequence[SealedContent]]
    ) -> None:
        """lines: every exam's, newest first."""
        self._database = database
        self._secrets = secrets
        """Raises `KeyUnusable` where the key is missing."""
        self._lines = lines
        self._opened: Once[Delivery] = Once(opened)

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

        In the order of their revisions. Looks at every exam, so that none is left out whose delivery, or whose own
        row, was lost or altered.
        """
        known = {delivery.exam_id: delivery for delivery in self.all(destination=destination)}
        found = []
        for summary in self._summaries():
            there = known.get(summary.exam_id)
            finished = summary.phase is Phase.CLOSED and not summary.pending
            if finished and (there is None or there.revision < summary.changed_seq):
                found.append((summary.changed_seq, summary.exam_id))
        return sorted(found)

    def to_reject(self, destination: str) -> list[tuple[int, str]]:
        """(revision, exam id) of voided exams of which something was sent there and that is not rejected yet.

        A delivery of that revision, `done`, says that it is.
        """
        known = {delivery.exam_id: delivery for delivery in self.all(destination=destination)}
        found = []
        for summary in self._summaries():
            there = known.get(summary.exam_id)
            if summary.phase is not Phase.VOIDED or there is None or not there.instances:
                continue
            if there.revision < summary.changed_seq or there.state != DONE:
                found.append((summary.changed_seq, summary.exam_id))
        return sorted(found)

    def voided_exams_after(self, seq: int, limit: int = 100) -> list[tuple[int, str]]:
        """(revision, exam id) of exams that were voided after `seq`, in the order of their revisions."""
        rows = self._database.rows(
            "SELECT changed_seq, exam FROM exams WHERE changed_seq > ? AND phase = 'voided' "
            "ORDER BY changed_seq LIMIT ?",
            (seq, limit),
        )
        return [(int(revision), str(exam)) for revision, exam in rows]

    def get(self, exam_id: str, destination: str) -> Delivery | None:
        """The delivery, None when there is none, or its row was altered: it is then sent anew, under the same UIDs."""
        where = "WHERE exam = ? AND destination = ?"
        found = self._sound(where, (exam_id, destination))
        return found[0] if found else None

    def all(
        self, *, exam_id: str | None = None, destination: str | None = None, states: Sequence[str] | None = None
    ) -> list[Delivery]:
        """Deliveries by revision, oldest first; of one exam, to one destination, in certain states, when given.

        Rows that were altered are left out; `altered` names them.
        """
        where, arguments = ("WHERE exam = ?", (exam_id,)) if exam_id else ("", ())
        return [
            delivery
            for delivery in self._sound(where, arguments)
            if destination in (None, delivery.destination) and (states is None or delivery.state in states)
        ]

    def altered(self) -> list[str]:
        """The exams, as their rows name them, whose delivery was altered."""
        secrets = self._secrets()
        return [str(row[0]) for row in self._rows("", ()) if opened(secrets, row) is None]

    def _sound(self, where: str, arguments: Sequence[Any]) -> list[Delivery]:
        secrets = self._secrets()
        found = [self._opened(secrets, row[:2], row) for row in self._rows(where, arguments)]
        return sorted(
            (delivery for delivery in found if delivery is not None),
            key=lambda delivery: (delivery.revision, delivery.destination),
        )

    def _rows(self, where: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._database.rows(f"SELECT {COLUMNS} FROM deliveries {where} ORDER BY exam, destination", arguments)

    def _summaries(self) -> list[ExamSummary]:
        return [kept.summary for kept in self._lines()]

    def owed(
        self,
        exam_id: str,
        revision: int,
        destinations: Collection[str] = (),
        *,
        typed_seq: int = 0,
        only_where_sent: bool = False,
    ) -> list[str]:
        """Destinations that have not this revision of the exam with every word that a person typed into it.

        Of those given, and of all that were ever used; with `only_where_sent` of those that this exam went to.
        """
        mine = self.all(exam_id=exam_id)
        used = {delivery.destination for delivery in (mine if only_where_sent else self.all())}
        arrived = {d.destination for d in mine if d.state == DONE and d.revision >= revision and d.typed >= typed_seq}
        return sorted((used if only_where_sent else {*used, *destinations}) - arrived)

    def change(self, exam_id: str, destination: str, to: Callable[[Delivery | None], Delivery]) -> Delivery:
        """Read, let `to` give the new delivery, write: one transaction that no other process can come between.

        `to` gets None when there is no delivery yet; what it raises leaves the journal as it was.
        """
        with self._database.writing() as connection:
            delivery = to(self.get(exam_id, destination))
            if (delivery.exam_id, delivery.destination) != (exam_id, destination):
                raise ValueError(f"a delivery of {exam_id} to {destination} cannot become another's")
            save(connection, self._secrets(), delivery)
        return delivery


def save(connection: sqlite3.Connection, secrets: Secrets, delivery: Delivery) -> None:
    """Write a row, inside the caller's transaction. Raises `JournalUnwritable` after a change of secrets elsewhere."""
    check_secret_in_use(connection, secrets, "journal")
    bound_to = f"{delivery.exam_id} {delivery.destination}"
    connection.execute(
        f"INSERT OR REPLACE INTO deliveries({COLUMNS}) VALUES (?, ?, ?)",
        (delivery.exam_id, delivery.destination, secrets.seal_json("delivery", bound_to, _row(delivery))),
    )


def opened(secrets: Secrets, row: Sequence[Any]) -> Delivery | None:
    """The delivery in a row; None when it is not as it was written: nobody without the key can write one."""
    try:
        found = _delivery(secrets.open_json("delivery", f"{row[0]} {row[1]}", row[2]))
    except (JournalDamaged, ValueError, TypeError):
        return None
    return found if (found.exam_id, found.destination) == tuple(row[:2]) else None


def forget_altered(connection: sqlite3.Connection, secrets: Secrets) -> list[str]:
    """Remove rows that were altered, inside the caller's transaction; each named."""
    told = []
    for row in connection.execute(f"SELECT {COLUMNS} FROM deliveries").fetchall():
        if opened(secrets, row) is None:
            connection.execute("DELETE FROM deliveries WHERE exam IS ? AND destination IS ?", row[:2])
            told.append(f"delivery of exam {row[0]} to {row[1]}: its row was altered, and is sent anew")
    return told


def _row(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.exam_id,
        delivery.destination,
        delivery.revision,
        delivery.state,
        delivery.attempts,
        None if delivery.next_try is None else delivery.next_try.isoformat(),
        delivery.last_error,
        [asdict(instance) for instance in delivery.instances],
        delivery.typed,
    )


def _delivery(row: Sequence[Any]) -> Delivery:
    exam_id, destination, revision, state, attempts, next_try, last_error, instances, typed = row
    return Delivery(
        exam_id,
        destination,
        revision,
        state,
        attempts,
        None if next_try is None else datetime.fromisoformat(next_try),
        last_error,
        tuple(DeliveryInstance(**instance) for instance in instances),
        typed,
    )
