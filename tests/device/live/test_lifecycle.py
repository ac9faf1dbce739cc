"""The states of a connection: only legal ways, always an end, never two connections, never a busy loop."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device.live import TRANSITIONS, CameraState, LiveConfig
from device.live.lifecycle import OVER, Do, Lifecycle

CONFIG = LiveConfig()
WAITS_S = st.sampled_from([0.0, 0.01, 0.19, 0.2, 0.5, 1.99, 2.0, 3.1, 8.0, 9.99, 20.0, 61.0])


class Watched(Lifecycle):
    """Keeps every state it goes through, also those within one call."""

    def __init__(self, now_s: float) -> None:
        super().__init__(CONFIG, now_s)
        self.gone_through = [self.state]

    def _go(self, state: CameraState, why: str) -> None:
        super()._go(state, why)
        self.gone_through.append(state)


class LifecycleMachine(RuleBasedStateMachine):
    """A camera that does anything at any time, and an owner that does as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.life = Watched(self.now_s)
        self.connected = True
        self.tries_s: list[float] = []
        self.sign_s = self.now_s

    @rule(wait_s=WAITS_S)
    def time_passes(self, wait_s: float) -> None:
        """The owner looks whenever something is due, as the watching thread does."""
        until_s = self.now_s + wait_s
        looks = 0
        while (due_s := self.life.due_s) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            do = self.life.tick(self.now_s)
            if do is Do.CONNECT:
                assert not self.connected, "two connections"
                self.connected = True
                self.tries_s.append(self.now_s)
            elif do is Do.ABANDON:
                assert self.connected
                self.connected = False
                looks += 1
            assert looks < 2000, "it never comes to rest"
        self.now_s = until_s
        assert self.life.tick(self.now_s) is Do.NOTHING

    @precondition(lambda self: self.connected)
    @rule()
    def a_frame_comes(self) -> None:
        self.life.alive(self.now_s)
        self.sign_s = self.now_s

    @precondition(lambda self: self.connected)
    @rule()
    def the_camera_is_lost(self) -> None:
        self.life.lost(self.now_s, "unplugged")
        self.connected = False

    @precondition(lambda self: self.connected and self.life.state in (CameraState.CONNECTING, CameraState.RECONNECTING))
    @rule()
    def it_does_not_open(self) -> None:
        self.life.refused(self.now_s, "no such camera")
        self.connected = False

    @rule()
    def an_abandoned_one_speaks(self) -> None:
        if not self.connected:
            before = self.life.state
            self.life.alive(self.now_s)
            self.life.lost(self.now_s, "late")
            assert self.life.state is before

    @precondition(lambda self: len(self.life.gone_through) > 6)
    @rule()
    def it_is_closed(self) -> None:
        self.life.ended()
        self.connected = False

    @invariant()
    def only_legal_ways_were_gone(self) -> None:
        assert all(after in TRANSITIONS[before] for before, after in pairwise(self.life.gone_through))

    @invariant()
    def streaming_means_frames(self) -> None:
        if self.life.state is CameraState.STREAMING:
            assert self.connected
            assert self.now_s - self.sign_s <= CONFIG.stalled_after_s

    @invariant()
    def a_stall_ends(self) -> None:
        if self.life.state is CameraState.STALLED:
            assert self.now_s - self.sign_s <= CONFIG.reconnect_after_s

    @invariant()
    def tries_keep_their_pauses(self) -> None:
        gaps = [b - a for a, b in pairwise(self.tries_s)]
        assert all(gap >= CONFIG.first_retry_s - 1e-9 for gap in gaps)

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.life.state in OVER:
            assert self.life.due_s is None
            assert not self.connected


LifecycleMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLifecycle = LifecycleMachine.TestCase


def run_until(life: Lifecycle, until_s: float) -> list[tuple[float, Do]]:
    """What is to be done up to then, when every try fails at once."""
    done = []
    while (due_s := life.due_s) is not None and due_s <= until_s:
        do = life.tick(due_s)
        done.append((due_s, do))
        if do is Do.CONNECT:
            life.refused(due_s, "gone")
    return done


def test_pauses_grow_to_their_bound_and_then_it_is_given_up() -> None:
    life = Lifecycle(CONFIG, 0)
    life.alive(0)
    life.lost(0, "unplugged")
    tries_s = [at for at, do in run_until(life, 1000) if do is Do.CONNECT]
    gaps = [b - a for a, b in pairwise([0, *tries_s])]
    assert gaps[:6] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3, 3])
    assert max(gaps) == 3
    assert len(tries_s) == 22
    assert life.state is CameraState.FAILED
    assert life.why == "not back within 60 s, last: gone"


def test_a_camera_that_comes_back_has_short_pauses_again() -> None:
    life = Lifecycle(CONFIG, 0)
    life.alive(0)
    life.lost(0, "unplugged")
    run_until(life, 10)
    due_s = life.due_s
    assert due_s is not None
    assert life.tick(due_s) is Do.CONNECT
    life.alive(due_s)
    assert life.state is CameraState.STREAMING
    life.lost(due_s + 1, "again")
    assert life.due_s == pytest.approx(due_s + 1.2)


def test_losses_long_ago_do_not_count() -> None:
    life = Lifecycle(CONFIG, 0)
    now_s = 0.0
    for _ in range(20):
        life.alive(now_s)
        states = [life.state]
        life.lost(now_s, "unplugged")
        assert [*states, life.state] == [CameraState.STREAMING, CameraState.RECONNECTING]
        now_s += 13
        while life.tick(now_s) is not Do.CONNECT:
            pass


def test_a_suspended_program_finds_its_camera_stalled_and_tries_again() -> None:
    life = Lifecycle(CONFIG, 0)
    life.alive(0)
    assert life.tick(3600) is Do.ABANDON
    assert life.state is CameraState.RECONNECTING
    assert life.why == "no frame within 10 s"


def test_failed_is_left_only_by_closing_and_closed_by_nothing() -> None:
    assert TRANSITIONS[CameraState.FAILED] == {CameraState.CLOSED}
    assert TRANSITIONS[CameraState.CLOSED] == frozenset()
    assert set(TRANSITIONS) == set(CameraState)
