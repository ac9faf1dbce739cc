"""A delivery, whatever happens to it in whatever order."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.dicom.outbox import steps
from runtime.exam.journal.deliveries import Delivery, DeliveryInstance

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
UIDS = [f"2.25.{number}" for number in range(6)]


def instances(uids: list[str]) -> list[DeliveryInstance]:
    return [DeliveryInstance(uid, "1.2", "photograph", steps.UNSENT) for uid in uids]


class AnyDelivery(RuleBasedStateMachine):
    """The archive as it is, beside what the delivery believes of it."""

    @initialize(uids=st.lists(st.sampled_from(UIDS), min_size=1, unique=True))
    def begin(self, uids: list[str]) -> None:
        self.now, self.revision = NOW, 1
        self.archive: set[str] = set()
        self.delivery: Delivery = steps.begun(None, "exam", steps.DESTINATION, 1, instances(uids))

    @precondition(lambda self: bool(steps.with_state(self.delivery, steps.UNSENT)))
    @rule()
    def store_next(self) -> None:
        uid = steps.with_state(self.delivery, steps.UNSENT)[0].uid
        self.archive.add(uid)
        self.delivery = steps.stored(self.delivery, uid)

    @precondition(lambda self: bool(steps.with_state(self.delivery, steps.UNSENT)))
    @rule()
    def store_and_lose_the_answer(self) -> None:
        self.archive.add(steps.with_state(self.delivery, steps.UNSENT)[0].uid)

    @rule()
    def archive_loses_what_it_did_not_answer_for(self) -> None:
        self.archive -= {i.uid for i in self.delivery.instances if i.state != steps.PROVEN}

    @precondition(lambda self: bool(steps.with_state(self.delivery, steps.STORED)))
    @rule()
    def ask(self) -> None:
        asked = {i.uid for i in steps.with_state(self.delivery, steps.STORED)}
        self.delivery = steps.answered(self.delivery, asked & self.archive, asked - self.archive)

    @precondition(lambda self: self.delivery.state != steps.DONE)
    @rule(held=st.booleans())
    def fail(self, held: bool) -> None:
        self.delivery = steps.failed(self.delivery, self.now, "said no", held=held)
        assert not steps.due(self.delivery, self.now)
        assert steps.due(self.delivery, self.now + steps.LONGEST_WAIT)

    @rule(uids=st.lists(st.sampled_from(UIDS), min_size=1, unique=True))
    def correct_the_exam(self, uids: list[str]) -> None:
        self.revision += 1
        proven = {i.uid for i in self.delivery.instances if i.state == steps.PROVEN}
        self.delivery = steps.begun(self.delivery, "exam", steps.DESTINATION, self.revision, instances(uids))
        assert {i.uid for i in self.delivery.instances if i.state == steps.PROVEN} == proven & set(uids)

    @rule(days=st.integers(-5000, 5000))
    def jump_the_clock(self, days: int) -> None:
        self.now = NOW + timedelta(days=days)
        assert steps.due(self.delivery, self.now + steps.LONGEST_WAIT) or self.delivery.state == steps.DONE or days < 0

    @invariant()
    def done_means_that_the_archive_has_it(self) -> None:
        if self.delivery.state == steps.DONE:
            assert {i.uid for i in self.delivery.instances} <= self.archive
            assert not steps.due(self.delivery, self.now)

    @invariant()
    def what_is_not_done_is_tried_again(self) -> None:
        if self.delivery.state != steps.DONE:
            later = max(self.now, self.delivery.next_try or self.now) + timedelta(seconds=1)
            assert steps.due(self.delivery, later)


TestAnyDelivery = AnyDelivery.TestCase


@given(st.integers(1, 60))
def test_waits_grow_to_ten_minutes_and_no_further(failures: int) -> None:
    delivery = steps.begun(None, "exam", steps.DESTINATION, 1, instances(UIDS))
    waits = []
    for _ in range(failures):
        delivery = steps.failed(delivery, NOW, "down", held=False)
        assert delivery.next_try is not None
        waits.append(delivery.next_try - NOW)
    assert waits == sorted(waits)
    assert waits[0] == steps.FIRST_WAIT
    assert waits[-1] <= steps.LONGEST_WAIT


def test_a_clock_that_was_set_back_a_year_does_not_stop_it() -> None:
    delivery = steps.failed(steps.begun(None, "exam", steps.DESTINATION, 1, instances(UIDS)), NOW, "down", held=False)
    assert steps.due(delivery, NOW - timedelta(days=365))


def test_an_exam_without_an_image_owes_nothing() -> None:
    assert steps.begun(None, "exam", steps.DESTINATION, 1, []).state == steps.DONE


def test_a_plan_that_failed_is_held_and_not_done() -> None:
    delivery = steps.failed(steps.begun(None, "exam", steps.DESTINATION, 1, []), NOW, "unusable", held=True)
    assert delivery.state == steps.HELD
    assert steps.failed(delivery, NOW, "archive down", held=False).state == steps.HELD
