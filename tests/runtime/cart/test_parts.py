"""Events, the desk and kept parts: none can hold up another, nothing that was promised is forgotten."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from runtime.cart.desk import LONGEST_QUEUE, Desk
from runtime.cart.errors import CartBusy, DeskGone
from runtime.cart.events import ROOM, Events
from runtime.cart.kept import Supervised


def test_a_slow_listener_is_told_that_it_missed_something_and_holds_nobody_up() -> None:
    events = Events()
    with events.listen() as slow, events.listen() as quick:
        for number in range(ROOM + 5):
            events.tell("state", number=number)
            quick.take()
        kinds = [event.kind for event in slow.take()]
    assert kinds[0] == "missed"
    assert len(kinds) <= ROOM + 1
    events.tell("state")
    assert slow.take() == []


def test_the_desk_does_one_thing_after_the_other_in_its_own_thread() -> None:
    seen: list[tuple[int, str]] = []
    desk: Desk[list[int]] = Desk(list, lambda room: None, lambda room: None)
    try:

        def job(number: int, room: list[int]) -> int:
            seen.append((number, threading.current_thread().name))
            return number

        futures = [desk.do(partial(job, number)) for number in range(20)]
        assert [future.result(120) for future in futures] == list(range(20))
    finally:
        desk.close()
    assert [number for number, _ in seen] == list(range(20))
    assert {name for _, name in seen} == {"desk"}


def test_what_a_command_raises_comes_by_its_future_and_the_desk_goes_on() -> None:
    desk: Desk[int] = Desk(lambda: 7, lambda room: None, lambda room: None)
    try:
        with pytest.raises(ZeroDivisionError):
            desk.do(lambda room: room // 0).result(120)
        assert desk.do(lambda room: room).result(120) == 7
    finally:
        desk.close()


@pytest.mark.parametrize("where", ["a command", "between two commands"])
def test_a_desk_that_an_engine_ends_tells_everybody_at_once_and_for_ever(where: str) -> None:
    """As `keep_warm` does it when the GPU is lost: the thread ends, whoever waits must not wait for ever."""
    said: list[str] = []
    ends = threading.Event()

    def lost(room: int) -> int:
        if ends.is_set():
            raise SystemExit(75)
        return room

    def tick(room: int) -> None:
        lost(room)

    desk: Desk[int] = Desk(
        lambda: 0, lambda room: None, tick, failed=lambda error: said.append(str(error or "")), every_s=0.01
    )
    go = threading.Event()
    first = desk.do(lambda room: (go.wait(120), room)[1])
    waiting = [desk.do(lambda room: room) for _ in range(3)]
    if where == "a command":
        waiting = [desk.do(lost) for _ in range(4)]
    ends.set()
    go.set()
    assert first.result(120) == 0
    answers = [future.exception(120) for future in waiting]
    assert all(isinstance(answer, DeskGone) or (answer is None and where != "a command") for answer in answers)
    _until(lambda: not desk.alive)
    assert isinstance(desk.do(lambda room: room).exception(120), DeskGone)
    assert "started anew" in said[-1]
    assert desk.ended_by_itself
    desk.close()
    assert desk.ended_by_itself


def test_a_desk_that_is_closed_did_not_end_by_itself() -> None:
    desk: Desk[int] = Desk(lambda: 0, lambda room: None, lambda room: None)
    desk.close()
    assert not desk.ended_by_itself


def test_whoever_gave_up_waiting_harms_nobody() -> None:
    tries: list[int] = []

    def open_room() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no disk")
        return 5

    desk: Desk[int] = Desk(open_room, lambda room: None, lambda room: None, retry_s=0.3)
    try:
        assert desk.do(lambda room: room).cancel() or True  # a browser that is gone
        _until(lambda: len(tries) == 2)
        assert desk.do(lambda room: room).result(120) == 5
    finally:
        desk.close()


def test_how_long_a_command_takes_can_be_seen() -> None:
    go, began = threading.Event(), threading.Event()
    desk: Desk[int] = Desk(lambda: 0, lambda room: None, lambda room: None)
    try:
        assert desk.busy_s == 0

        def block(room: int) -> int:
            began.set()
            go.wait(120)
            return room

        done = desk.do(block)
        assert began.wait(120)
        time.sleep(0.02)
        assert desk.busy_s >= 0.02
        go.set()
        done.result(120)
        _until(lambda: desk.busy_s == 0)
    finally:
        desk.close()


def test_a_full_desk_refuses_and_those_that_wait_at_the_end_are_told() -> None:
    go, began = threading.Event(), threading.Event()
    desk: Desk[int] = Desk(lambda: 0, lambda room: None, lambda room: None)

    def block(room: int) -> None:
        began.set()
        go.wait(120)

    first = desk.do(block)
    began.wait(120)
    waiting = [desk.do(lambda room: room) for _ in range(LONGEST_QUEUE)]
    with pytest.raises(CartBusy, match="busy"):
        desk.do(lambda room: room).result(0)
    closing = threading.Thread(target=desk.close)
    closing.start()
    while not desk._ending.is_set():
        time.sleep(0.001)
    go.set()
    closing.join(120)
    first.result(0)
    for future in waiting:
        with pytest.raises(CartBusy, match="closed"):
            future.result(0)


def test_a_room_that_cannot_be_opened_is_told_to_each_command_and_tried_again() -> None:
    tries: list[int] = []
    said: list[str] = []

    def open_room() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("no disk")
        return 5

    desk: Desk[int] = Desk(
        open_room,
        lambda room: None,
        lambda room: None,
        failed=lambda error: said.append("" if error is None else str(error)),
        retry_s=0.05,
    )
    try:
        answers: list[object] = []
        while not answers or isinstance(answers[-1], Exception):
            done = desk.do(lambda room: room)
            answers.append(done.exception(120) or done.result(0))
    finally:
        desk.close()
    assert answers[-1] == 5
    assert {str(answer) for answer in answers[:-1]} <= {"no disk"}
    assert said == ["no disk", "no disk", ""]


class Part:
    def __init__(self) -> None:
        self.problem, self.lost, self.closed = "", False, False

    def close(self) -> None:
        self.closed = True


def test_a_part_that_is_lost_is_closed_and_opened_anew_and_its_problem_is_said() -> None:
    made: list[Part] = []
    changed = threading.Event()

    def open_it() -> Part:
        if len(made) == 1 and not made[0].closed:
            raise AssertionError("opened anew before the lost one was closed")
        made.append(Part())
        return made[-1]

    kept: Supervised[Part] = Supervised(
        "part", open_it, lambda part: (part.problem, part.lost), changed.set, every_s=0.005, retry_s=0.005
    )
    try:
        _until(lambda: kept.part is not None)
        made[0].problem = "warm"
        _until(lambda: kept.problem == "warm")
        assert kept.part is made[0]
        made[0].lost = True
        _until(lambda: kept.part is not None and kept.part is not made[0])
        assert made[0].closed
    finally:
        kept.close()
    assert made[1].closed
    assert changed.is_set()


def test_a_part_that_cannot_be_opened_says_why() -> None:
    def fails() -> Part:
        raise OSError("no such port")

    kept: Supervised[Part] = Supervised("part", fails, lambda part: ("", False), retry_s=0.005)
    try:
        _until(lambda: kept.problem == "no such port")
        assert kept.part is None
    finally:
        kept.close()


def _until(condition: object, seconds: float = 120) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.002)
