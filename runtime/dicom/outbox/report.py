"""What the outbox holds: how many exams, the oldest, the last error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runtime.dicom.outbox.steps import DESTINATION, DONE, HELD, PROVING, WAITING

if TYPE_CHECKING:
    from runtime.exam.journal import Journal


@dataclass(frozen=True)
class OutboxState:
    """Counts of exams; nothing of an infant."""

    waiting: int
    """To be sent, or sent in part."""
    proving: int
    """Sent; the archive has not yet answered for them."""
    held: int
    """Refused by the archive: somebody has to change something. They are tried again like the others."""
    done: int
    oldest_age_s: float | None
    """Seconds since the closing of the oldest exam that is not done; None when all are."""
    next_try: datetime | None
    """When the next one is due; None when one is due now or none is left."""
    last_error: str

    @property
    def undone(self) -> int:
        """Exams that the archive does not answer for yet."""
        return self.waiting + self.proving + self.held


def outbox_state(journal: Journal, now: datetime, destination: str = DESTINATION) -> OutboxState:
    """The state of the outbox, with exams that no sender has seen yet; needs no key."""
    deliveries = journal.deliveries.all(destination=destination)
    unseen = [exam_id for _, exam_id in journal.deliveries.behind(destination)]
    states = {delivery.exam_id: delivery.state for delivery in deliveries} | dict.fromkeys(unseen, WAITING)
    count = Counter(states.values())
    undone = [exam_id for exam_id, state in states.items() if state != DONE]
    closings = [closed for exam_id in undone if (closed := journal.summary(exam_id).closed_at) is not None]
    pending = [delivery for delivery in deliveries if delivery.state != DONE]
    tries = [delivery.next_try for delivery in pending]
    failing = [delivery for delivery in pending if delivery.last_error and delivery.next_try is not None]
    latest = max(failing, key=lambda delivery: (delivery.next_try, delivery.attempts), default=None)
    return OutboxState(
        waiting=count[WAITING],
        proving=count[PROVING],
        held=count[HELD],
        done=count[DONE],
        oldest_age_s=max(0.0, (now - min(closings)).total_seconds()) if closings else None,
        next_try=None if unseen or not tries or None in tries else min(t for t in tries if t is not None),
        last_error="" if latest is None else latest.last_error,
    )
