"""How a delivery goes on: pure functions from one `Delivery` to the next.

    waiting --every instance stored--> proving --the archive answers for all--> done
       ^  \\                              |
       |   `--refused--> held            `--some are missing--> waiting
       `------------------'  (what is held is tried again like the others)

Nothing leads out of `done` but a correction of the exam, and nothing is ever given up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from runtime.dicom.site import ARCHIVE
from runtime.exam.journal import deliveries
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance

DESTINATION = ARCHIVE
WAITING, PROVING, DONE, HELD = "waiting", "proving", deliveries.DONE, "held"
UNSENT, STORED, PROVEN = "unsent", "stored", "proven"
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)


def begun(
    before: Delivery | None, exam_id: str, destination: str, revision: int, instances: Iterable[DeliveryInstance]
) -> Delivery:
    """The delivery of an exam at a revision. Instances that an earlier one delivered are not sent again.

    An exam without an image makes no instance, and nothing is owed for it.
    """
    known = {} if before is None else {instance.uid: instance.state for instance in before.instances}
    carried = tuple(replace(instance, state=known.get(instance.uid, UNSENT)) for instance in instances)
    return _onward(Delivery(exam_id, destination, revision, WAITING if carried else DONE, instances=carried))


def stored(delivery: Delivery, uid: str) -> Delivery:
    """The archive said that it stored an instance."""
    return _onward(_with(delivery, {uid}, STORED))


def answered(delivery: Delivery, kept: Collection[str], missing: Collection[str]) -> Delivery:
    """The archive answers for `kept`; `missing` have to be sent again."""
    return _onward(_with(_with(delivery, set(kept) - set(missing), PROVEN), missing, UNSENT))


def failed(delivery: Delivery, now: datetime, error: str, *, held: bool) -> Delivery:
    """It did not go on. `held`: the archive said no, and a person has to change something."""
    attempts = delivery.attempts + 1
    state = HELD if held else _onward(delivery).state
    return replace(delivery, state=state, attempts=attempts, next_try=now + wait_after(attempts), last_error=error)


def wait_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row, at least one."""
    return min(FIRST_WAIT * (1 << min(failures - 1, 30)), LONGEST_WAIT)


def due(delivery: Delivery, now: datetime) -> bool:
    """Whether to try it now. A clock that was set back must not put it off for ever."""
    if delivery.state == DONE:
        return False
    until = delivery.next_try
    return until is None or until <= now or until - now > LONGEST_WAIT


def with_state(delivery: Delivery, *states: str) -> list[DeliveryInstance]:
    """Its instances in one of these states, in the order of sending."""
    return [instance for instance in delivery.instances if instance.state in states]


def _with(delivery: Delivery, wanted: Collection[str], state: str) -> Delivery:
    instances = (replace(i, state=state) if i.uid in wanted else i for i in delivery.instances)
    return replace(delivery, instances=tuple(instances))


def _onward(delivery: Delivery) -> Delivery:
    """The state that follows from the instances'; without any it stays what it is."""
    if not delivery.instances:
        return delivery
    if with_state(delivery, UNSENT):
        return replace(delivery, state=WAITING)
    if with_state(delivery, STORED):
        return replace(delivery, state=PROVING)
    return replace(delivery, state=DONE, attempts=0, next_try=None, last_error="")
