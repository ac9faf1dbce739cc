"""How a delivery goes on: pure functions from one `Delivery` to the next.

    waiting --every instance stored--> proving --the archive answers for all--> done
       ^  \\                              |
       |   `--refused--> held            `--some are missing--> waiting
       `------------------'  (what is held is tried again like the others)

Nothing leads out of `done` but a correction of the exam, and nothing is ever given up. An instance that was sent and
is no longer what the exam says (another infant, another eye, a voided exam) is superseded, until a note that rejects
it is proven in the archive, or its administrator has it on a list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from runtime.dicom.configuration import ARCHIVE
from runtime.exam.journal import deliveries
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance

DESTINATION = ARCHIVE
WAITING, PROVING, DONE, HELD = "waiting", "proving", deliveries.DONE, "held"
UNSENT, STORED, PROVEN = "unsent", "stored", "proven"
SUPERSEDED, UNSURE, REJECTED, LISTED = "superseded", "unsure", "rejected", "listed"
"""`UNSURE` is superseded too, and was sent without an answer: it may be there or not."""
LEFT_OUT = "left out"
"""The archive does not take the report's page; the structured report says the same."""
LIVE, WRONG = (UNSENT, STORED, PROVEN), (SUPERSEDED, UNSURE)
NOTE = "rejection"
"""How the kind of an instance begins that rejects others; the code of the reason follows."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)
MOST_TRANSACTIONS = 20
"""That a stored instance remembers: the first and the last ones. An archive that is days behind answers the first one
first, and each that were forgotten meanwhile would be a report that nobody waits for.
"""


def begun(
    before: Delivery | None,
    exam_id: str,
    destination: str,
    revision: int,
    instances: Iterable[DeliveryInstance],
    typed: int = 0,
) -> Delivery:
    """The delivery of an exam at a revision. Instances that an earlier one delivered are not sent again.

    What an earlier one sent and this one does not hold is superseded. An exam without an image makes no instance, and
    nothing is owed for it.
    """
    known = {} if before is None else {instance.uid: instance for instance in before.instances}
    wanted = [_carried(known.get(instance.uid), instance) for instance in instances]
    uids = {instance.uid for instance in wanted}
    left = [] if before is None else [i for i in _left(before) if i.uid not in uids]
    delivery = Delivery(exam_id, destination, revision, WAITING, instances=(*left, *wanted), typed=typed)
    return _onward(delivery) if delivery.instances else replace(delivery, state=DONE)


def _carried(known: DeliveryInstance | None, planned: DeliveryInstance) -> DeliveryInstance:
    if known is None:
        return planned
    # Software before 0.2.0 kept neither study nor series.
    lies = {"study_uid": planned.study_uid, "series_uid": planned.series_uid}
    known = replace(known, revision=known.revision or planned.revision, **lies)
    if known.state in (*LIVE, LEFT_OUT):
        return known
    if known.state in WRONG and not known.note:  # it is right after all, and nobody was told otherwise
        return replace(known, state=STORED if known.state == SUPERSEDED else UNSENT)
    raise ValueError(f"{known.uid} was rejected; what is sent anew needs another UID, see `taken`")


def taken(delivery: Delivery | None) -> frozenset[str]:
    """UIDs that are, or may be, rejected in the archive, which takes none of them again."""
    if delivery is None:
        return frozenset()
    gone = (i for i in delivery.instances if i.state in (REJECTED, LISTED) or (i.state in WRONG and i.note))
    return frozenset(instance.uid for instance in gone)


def _left(before: Delivery) -> Iterable[DeliveryInstance]:
    """What stays of an earlier delivery: notes, what they are about, and what is or may be in the archive."""
    next_unsent = next((i for i in before.instances if i.state == UNSENT and not is_note(i)), None)
    for instance in before.instances:
        if instance.state == LEFT_OUT:
            continue
        if is_note(instance) or instance.state not in LIVE:
            yield instance
        elif instance.state != UNSENT:
            yield replace(instance, state=SUPERSEDED)
        elif instance is next_unsent:
            yield replace(instance, state=UNSURE)  # it may have been stored although its answer was lost


def is_note(instance: DeliveryInstance) -> bool:
    """Whether an instance rejects others."""
    return instance.kind.startswith(NOTE)


def noted(delivery: Delivery, notes: Mapping[str, tuple[DeliveryInstance, Collection[str]]]) -> Delivery:
    """With notes, by their UID, each with the superseded instances that it rejects. They are sent first."""
    by_target = {uid: note for note, (_, targets) in notes.items() for uid in targets}
    old = [replace(i, note=by_target.get(i.uid, i.note)) for i in delivery.instances]
    return _onward(replace(delivery, instances=(*(note for note, _ in notes.values()), *old)))


def settled(delivery: Delivery, targets: Collection[str], state: str) -> Delivery:
    """The superseded instances are rejected in the archive, or on the administrator's list."""
    return _onward(_with(delivery, targets, state))


def without(delivery: Delivery, uid: str) -> Delivery:
    """The delivery without a note that the archive does not take."""
    return _onward(replace(delivery, instances=tuple(i for i in delivery.instances if i.uid != uid)))


def stored(delivery: Delivery, uid: str) -> Delivery:
    """The archive said that it stored an instance."""
    return _onward(_with(delivery, {uid}, STORED))


def asked(delivery: Delivery, uids: Collection[str], transaction: str, at: datetime) -> Delivery:
    """The archive is about to be asked to answer for these."""

    def one(instance: DeliveryInstance) -> DeliveryInstance:
        transactions = [*instance.asked.split(), transaction]
        if len(transactions) > MOST_TRANSACTIONS:
            del transactions[MOST_TRANSACTIONS // 2]
        return replace(instance, asked=" ".join(transactions), asked_at=at.isoformat())

    return replace(delivery, instances=tuple(one(i) if i.uid in uids else i for i in delivery.instances))


def not_asked(delivery: Delivery, uids: Collection[str]) -> Delivery:
    """The archive has to be asked for these anew; a report to an earlier question still counts."""
    instances = (replace(i, asked_at="") if i.uid in uids else i for i in delivery.instances)
    return replace(delivery, instances=tuple(instances))


def asked_in(delivery: Delivery, transaction: str) -> list[DeliveryInstance]:
    """What the archive was asked to answer for in a transaction, and is stored and not yet answered for."""
    return [i for i in with_state(delivery, STORED) if transaction in i.asked.split()]


def awaits(instance: DeliveryInstance, now: datetime, again: timedelta) -> bool:
    """Whether a report may still come to what was asked; a clock that jumped must not let it wait for ever."""
    if not instance.asked_at:
        return False
    since = now - datetime.fromisoformat(instance.asked_at)
    return timedelta(0) <= since < again


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


def live(delivery: Delivery) -> list[DeliveryInstance]:
    """What the exam consists of as it is now, without notes and what they are about."""
    return [i for i in with_state(delivery, *LIVE, LEFT_OUT) if not is_note(i)]


def _with(delivery: Delivery, wanted: Collection[str], state: str) -> Delivery:
    instances = (replace(i, state=state) if i.uid in wanted else i for i in delivery.instances)
    return replace(delivery, instances=tuple(instances))


def _onward(delivery: Delivery) -> Delivery:
    """The state that follows from the instances'; without any it stays what it is."""
    if not delivery.instances:
        return delivery
    if with_state(delivery, UNSENT):
        return replace(delivery, state=WAITING)
    if with_state(delivery, STORED, *WRONG):
        return replace(delivery, state=PROVING)
    return replace(delivery, state=DONE, attempts=0, next_try=None, last_error="")
