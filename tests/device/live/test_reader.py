"""The reads of a live camera, and what becomes of a camera that stalls, hangs, is lost or freezes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from device.errors import (
    CameraError,
    Disconnected,
    FrameTimeout,
    FrameUnreadable,
    NoNewFrame,
    RepeatedFrame,
    SourceNotFound,
    StaleFrame,
)
from device.frame import Frame
from device.live import CameraState, LiveConfig, LiveReader, StateChange, abandoned_threads
from tests.busy import at_a_calm_moment
from tests.device.light.waiting import wait_until
from tests.device.live.scripted import QUICK, Hang, Opener, Step, picture

PATIENT = LiveConfig(close_timeout_s=0.2, stalled_after_s=60, kept_s=60, reconnect_after_s=60)
AGES = replace(PATIENT, kept_s=10)
"""For frames that are too old from the start."""


def reader_of(opener: Opener, config: LiveConfig = PATIENT) -> LiveReader:
    return LiveReader(opener, "fake", config)


def taken(reader: LiveReader) -> int:
    frame = reader.next_unseen(60_000)
    assert frame is not None
    return frame.sequence


def captured(reader: LiveReader, count: int) -> None:
    assert wait_until(lambda: reader.counts.captured == count)


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    opener = Opener([picture(n) for n in range(5)])
    with reader_of(opener) as reader:
        captured(reader, 5)
        assert taken(reader) == 4
        opener.let_go()
        assert reader.read() is None
    assert (reader.counts.delivered, reader.counts.dropped) == (1, 4)
    assert opener.opened[0].closed


def test_numbers_that_the_camera_leaves_out_are_counted() -> None:
    opener = Opener([picture(0), picture(3), picture(4)])
    with reader_of(opener) as reader:
        captured(reader, 3)
        opener.let_go()
        assert reader.counts.missed == 2


def test_the_frame_is_handed_over_without_a_copy() -> None:
    frame = picture(0)
    opener = Opener([frame])
    with reader_of(opener) as reader:
        assert reader.read() is frame
        opener.let_go()


def test_next_unseen_waits_no_longer_than_it_is_told() -> None:
    hang = Hang()
    opener = Opener([picture(0), hang, picture(1)])
    with reader_of(opener) as reader:
        assert taken(reader) == 0
        with pytest.raises(FrameTimeout, match=r"fake: no new frame within 5 ms, the camera is STREAMING"):
            reader.next_unseen(5)
        hang.free.set()
        assert taken(reader) == 1
        opener.let_go()


def test_wait_next_passes_over_what_waited_before() -> None:
    hang = Hang()
    opener = Opener([picture(0), hang, picture(1)])
    with reader_of(opener) as reader:
        captured(reader, 1)
        got: list[Frame | None] = []
        waiting = threading.Thread(target=lambda: got.append(reader.wait_next()))
        waiting.start()
        assert wait_until(lambda: reader.counts.dropped == 1)
        hang.free.set()
        waiting.join(60)
        assert [frame.sequence for frame in got if frame is not None] == [1]
        opener.let_go()


def test_newest_gives_a_frame_again_while_it_is_young_and_refuses_an_old_one() -> None:
    opener = Opener([picture(0), picture(1)])
    with reader_of(opener) as reader:
        captured(reader, 2)
        first, again = reader.newest(60_000), reader.newest(60_000)
        assert first is again
        assert first.sequence == 1
        assert reader.counts.delivered == 1
        with pytest.raises(StaleFrame, match=r"the newest frame is \d+ ms old, expected at most 0\.001 ms"):
            reader.newest(0.001)
        with pytest.raises(FrameTimeout):
            reader.next_unseen(1)
        opener.let_go()


def test_a_frame_that_waited_too_long_is_not_given_as_a_new_one() -> None:
    old = replace(picture(0), captured_ns=time.monotonic_ns() - 11 * 10**9)
    opener = Opener([old])
    with reader_of(opener, AGES) as reader:
        captured(reader, 1)
        with pytest.raises(
            NoNewFrame, match=r"fake#0: \d+\.\d s old when it was asked for; nothing newer came"
        ) as caught:
            reader.read()
        assert caught.value.sequence == 0
        assert (reader.counts.delivered, reader.counts.dropped) == (0, 1)
        opener.let_go()


def test_an_old_frame_that_comes_while_somebody_waits_is_not_given_either() -> None:
    """A driver may have queued it; the consumer is woken by it and must not take it for a new one."""
    hang = Hang()
    old = replace(picture(1), captured_ns=time.monotonic_ns() - 11 * 10**9)
    opener = Opener([picture(0), hang, old])
    with reader_of(opener, AGES) as reader:
        assert taken(reader) == 0
        got: list[Exception | Frame | None] = []

        def read() -> None:
            try:
                got.append(reader.read())
            except NoNewFrame as error:
                got.append(error)

        waiting = threading.Thread(target=read)
        waiting.start()
        assert hang.reached.wait(60)
        hang.free.set()
        waiting.join(60)
        (error,) = got
        assert isinstance(error, NoNewFrame)
        assert "s old when it was asked for" in str(error)
        opener.let_go()


def test_before_the_first_frame_there_is_no_newest() -> None:
    opener = Opener([])
    with reader_of(opener) as reader:
        assert reader.state is CameraState.CONNECTING
        with pytest.raises(StaleFrame, match="no frame yet"):
            reader.newest(1000)
        opener.let_go()


def test_the_last_frame_before_the_end_is_still_given() -> None:
    with reader_of(Opener([picture(0), None])) as reader:
        assert wait_until(lambda: reader.state is CameraState.CLOSED)
        assert taken(reader) == 0
        assert reader.read() is None
        assert reader.next_unseen(1) is None
        assert reader.wait_next() is None


def test_a_torn_frame_does_not_hide_a_good_one_and_is_told_after_it() -> None:
    torn = FrameUnreadable("fake#1: torn", source="fake#1", sequence=1)
    opener = Opener([picture(0), torn])
    with reader_of(opener) as reader:
        assert wait_until(lambda: reader.counts.unreadable == 1)
        assert taken(reader) == 0
        with pytest.raises(FrameUnreadable, match="torn") as caught:
            reader.read()
        assert caught.value.sequence == 1
        assert reader.state is CameraState.STREAMING
        opener.let_go()


def test_the_same_picture_again_is_a_fault_and_never_a_frame() -> None:
    """Also when nobody saw the first one: its copy would pass for a fresh picture."""
    hang = Hang()
    opener = Opener([picture(0), picture(1), picture(2, value=1), hang, picture(3, value=1), picture(4)])
    with reader_of(opener) as reader:
        assert wait_until(lambda: reader.counts.repeated == 1)
        first = reader.read()
        assert first is not None
        assert first.sequence == 1
        with pytest.raises(RepeatedFrame, match="fake#2: the camera gave the same picture again"):
            reader.read()
        hang.free.set()
        captured(reader, 3)
        assert taken(reader) == 4
        assert reader.counts.repeated == 2
        opener.let_go()


def test_while_it_is_frozen_the_newest_frame_grows_old() -> None:
    opener = Opener([replace(picture(0), captured_ns=time.monotonic_ns() - 10**9), picture(1, value=0)])
    with reader_of(opener) as reader:
        assert wait_until(lambda: reader.counts.repeated == 1)
        with pytest.raises(StaleFrame, match="old"):
            reader.newest(500)
        opener.let_go()


def test_a_driver_that_says_timeout_is_only_silent() -> None:
    opener = Opener([picture(0), FrameTimeout("fake: 1 s"), picture(1)])
    with reader_of(opener) as reader:
        captured(reader, 2)
        assert reader.counts.unreadable == 0
        opener.let_go()


@pytest.mark.parametrize("error", [SourceNotFound("no such camera"), Disconnected("unplugged"), CameraError("other")])
def test_what_opening_says_is_raised_at_once(error: CameraError) -> None:
    opener = Opener(error)
    with pytest.raises(type(error), match=str(error)):
        reader_of(opener)
    assert opener.calls == 1


def test_a_driver_that_breaks_in_opening_is_a_camera_error_with_its_cause() -> None:
    with pytest.raises(CameraError, match=r"fake: its driver failed: ZeroDivisionError: oh") as caught:
        reader_of(Opener(ZeroDivisionError("oh")))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_opening_that_hangs_is_given_up_in_time() -> None:
    hang = Hang()
    began = time.monotonic()
    with pytest.raises(FrameTimeout, match=r"fake: not open, or no first frame, within 0\.4 s"):
        reader_of(Opener(hang), replace(QUICK, connect_timeout_s=0.4))
    assert time.monotonic() - began < 10
    assert abandoned_threads() == ("camera fake",)
    hang.free.set()


def test_a_camera_that_is_lost_comes_back_and_goes_on_counting() -> None:
    changes: list[StateChange] = []
    opener = Opener(
        [picture(0), picture(1), Disconnected("fake: unplugged")],
        SourceNotFound("not yet"),
        [picture(0, 7), picture(1)],
    )
    with LiveReader(opener, "fake", QUICK, changes.append) as reader:
        captured(reader, 4)
        frame = reader.read()
        assert frame is not None
        assert (frame.sequence, frame.source) == (3, "fake#1~1")
        assert reader.counts.reconnects == 1
        opener.let_go()
    assert [change.after for change in changes][:3] == [
        CameraState.STREAMING,
        CameraState.RECONNECTING,
        CameraState.STREAMING,
    ]
    assert changes[1].why == "unplugged"
    assert all(camera.closed for camera in opener.opened)


def test_a_torn_frame_after_a_reconnection_has_a_name_of_its_own_and_its_gap_counts() -> None:
    torn = FrameUnreadable("torn", source="fake#2", sequence=2)
    opener = Opener([picture(0), Disconnected("fake: unplugged")], [picture(0, 7), torn])
    with reader_of(opener, QUICK) as reader:
        assert wait_until(lambda: reader.counts.unreadable == 1)
        assert taken(reader) == 1
        with pytest.raises(FrameUnreadable, match="torn") as caught:
            reader.read()
        assert (caught.value.source, caught.value.sequence) == ("fake#2~1", 3)
        assert reader.counts.missed == 1
        opener.let_go()


def test_a_driver_that_hangs_in_closing_is_abandoned_and_the_camera_opened_anew() -> None:
    closing = Hang()
    opener = Opener([picture(0), Disconnected("fake: unplugged")], [picture(1)], closing=closing)
    with reader_of(opener, QUICK) as reader:
        captured(reader, 2)
        assert closing.reached.is_set()
        assert abandoned_threads() == ("camera fake",)
        assert reader.counts.abandoned == 1
        opener.let_go()
        closing.free.set()


def test_a_camera_is_opened_anew_only_when_the_driver_has_been_left() -> None:
    """Or its driver would find the camera busy, held by this very program."""
    closing = Hang()
    opener = Opener([picture(0), Disconnected("fake: unplugged")], [picture(1)], closing=closing)
    with reader_of(opener, replace(QUICK, close_timeout_s=30)) as reader:
        assert closing.reached.wait(60)
        time.sleep(5 * QUICK.longest_retry_s)
        assert opener.calls == 1
        closing.free.set()
        captured(reader, 2)
        assert reader.counts.abandoned == 0
        opener.let_go()


def test_closing_while_the_old_driver_hangs_in_closing_opens_nothing() -> None:
    closing = Hang()
    opener = Opener([picture(0), Disconnected("fake: unplugged")], [picture(1)], closing=closing)
    reader = reader_of(opener, replace(QUICK, close_timeout_s=30))
    assert closing.reached.wait(60)
    ending = threading.Thread(target=reader.close)
    ending.start()
    assert wait_until(lambda: reader.state is CameraState.CLOSED)
    closing.free.set()
    ending.join(60)
    assert not ending.is_alive()
    assert opener.calls == 1


def test_the_loss_is_told_once_to_who_waits() -> None:
    hang = Hang()
    opener = Opener([picture(0), Disconnected("fake: unplugged")], hang)
    with reader_of(opener, replace(QUICK, connect_timeout_s=20)) as reader:
        assert taken(reader) == 0
        with pytest.raises(NoNewFrame, match="fake: unplugged"):
            reader.read()
        with pytest.raises(FrameTimeout, match="RECONNECTING"):
            reader.next_unseen(5)
        hang.free.set()


def test_a_repeated_picture_across_a_reconnection_is_none() -> None:
    """A server that sends its last picture first must not pass it for a new one."""
    opener = Opener([picture(5), Disconnected("gone")], [picture(0, value=5), picture(1)])
    with reader_of(opener, QUICK) as reader:
        captured(reader, 2)
        assert reader.counts.repeated == 1
        assert taken(reader) == 7
        opener.let_go()


def test_a_camera_that_stalls_says_so_and_recovers() -> None:
    hang = Hang()
    changes: list[StateChange] = []
    opener = Opener([picture(0), hang, picture(1)])
    with LiveReader(opener, "fake", replace(QUICK, stalled_after_s=0.15), changes.append) as reader:
        assert taken(reader) == 0
        with pytest.raises(NoNewFrame, match=r"fake: no frame for 0\.15 s") as caught:
            reader.read()
        assert caught.value.sequence == 1
        assert reader.state is CameraState.STALLED
        hang.free.set()
        assert taken(reader) == 1
        assert reader.counts.abandoned == 0
        opener.let_go()
    stalls = reader.counts.stalls  # a busy machine may stall again before it is closed
    again = [CameraState.STALLED, CameraState.STREAMING] * (stalls - 1)
    states = [CameraState.CONNECTING, CameraState.STREAMING, CameraState.STALLED, CameraState.STREAMING, *again]
    assert stalls >= 1
    assert [(change.before, change.after) for change in changes[: len(states) - 1]] == list(pairwise(states))
    assert changes[-1].after is CameraState.CLOSED


def test_a_read_that_hangs_is_abandoned_and_what_it_brings_later_is_not_taken() -> None:
    """Tried again where a busy machine gives the next camera up, too, before it is looked at."""

    def is_abandoned() -> None:
        hang = Hang()
        opener = Opener([picture(0), hang, picture(1)], [picture(0, 9), picture(1, 10)])
        with reader_of(opener, replace(QUICK, stalled_after_s=0.15, reconnect_after_s=0.3)) as reader:
            try:
                assert taken(reader) == 0
                captured(reader, 3)
                assert "camera fake" in abandoned_threads()
                assert reader.counts.abandoned >= 1
                assert taken(reader) == 2
                hang.free.set()
                assert wait_until(lambda: opener.opened[0].closed)
                assert reader.counts.captured == 3
                with pytest.raises(FrameTimeout):
                    reader.next_unseen(5)
            finally:
                hang.free.set()
                opener.let_go()

    at_a_calm_moment(is_abandoned, failures=(AssertionError, CameraError))


def test_it_stops_at_so_many_threads_that_hang() -> None:
    hangs = [Hang() for _ in range(4)]
    scripts: list[list[Step]] = [[picture(n), hang] for n, hang in enumerate(hangs)]
    opener = Opener(*scripts)
    with (
        reader_of(
            opener, replace(QUICK, stalled_after_s=0.15, reconnect_after_s=0.3, abandoned_allowed=2, give_up_after_s=10)
        ) as reader,
        pytest.raises(Disconnected, match=r"2 camera threads hang in their driver \(camera fake, camera fake #2\)"),
    ):
        read_to_the_end(reader)
    assert opener.calls == 2
    for hang in hangs:
        hang.free.set()
    opener.let_go()


def read_to_the_end(reader: LiveReader) -> None:
    while True:
        with suppress(FrameUnreadable):
            assert reader.read() is not None


def test_a_camera_that_does_not_come_back_is_given_up_within_the_bound() -> None:
    opener = Opener([picture(0), Disconnected("fake: unplugged")])
    with reader_of(opener, replace(QUICK, stalled_after_s=0.15, reconnect_after_s=0.3, give_up_after_s=1)) as reader:
        assert taken(reader) == 0
        began = time.monotonic()
        with pytest.raises(Disconnected, match=r"fake: not back within 1 s, last: gone; look at the camera"):
            read_to_the_end(reader)
        assert time.monotonic() - began < 10
        given_up = reader.state
        assert 2 <= opener.calls <= 60
        for read in (reader.wait_next, lambda: reader.next_unseen(10)):
            with pytest.raises(Disconnected):
                read()
    assert [given_up, reader.state] == [CameraState.FAILED, CameraState.CLOSED]


def test_a_loose_plug_is_given_up() -> None:
    scripts: list[list[Step]] = [[picture(n), Disconnected("unplugged")] for n in range(10)]
    opener = Opener(*scripts)
    with reader_of(opener, QUICK) as reader:
        assert wait_until(lambda: reader.state is CameraState.FAILED)
        assert opener.calls == 6
        with pytest.raises(Disconnected, match="lost 6 times in 60 s, last: unplugged"):
            read_to_the_end(reader)


def test_a_driver_that_breaks_is_a_loss_with_its_cause() -> None:
    opener = Opener([picture(0), RuntimeError("segment 3")], [picture(1)])
    with reader_of(opener, QUICK) as reader:
        captured(reader, 2)
        opener.let_go()
    assert opener.opened[0].closed


def test_the_driver_is_used_in_one_thread_only() -> None:
    opener = Opener([picture(0), Disconnected("gone")], [picture(1)])
    with reader_of(opener, QUICK) as reader:
        captured(reader, 2)
        opener.let_go()
    assert wait_until(lambda: opener.opened[1].closed)
    assert [camera.threads for camera in opener.opened] == [{"camera fake"}, {"camera fake #2"}]


def test_closing_does_not_wait_for_a_read_that_hangs() -> None:
    opener = Opener([picture(0)])
    reader = reader_of(opener, QUICK)
    began = time.monotonic()
    reader.close()
    reader.close()
    assert time.monotonic() - began < 10
    assert reader.counts.abandoned == 1
    assert reader.read() is None
    assert "camera fake" in abandoned_threads()
    opener.let_go()


def test_closing_frees_who_waits() -> None:
    opener = Opener([])
    reader = reader_of(opener, QUICK)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(reader.read()))
    waiting.start()
    reader.close()
    waiting.join(60)
    assert got == [None]
    opener.let_go()


def test_a_listener_that_fails_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    def listen(change: StateChange) -> None:
        raise ValueError(change.after.value)

    opener = Opener([picture(0), Disconnected("gone")], [picture(1)])
    with LiveReader(opener, "fake", QUICK, listen) as reader:
        captured(reader, 2)
        opener.let_go()
    assert "a listener failed" in caplog.text


def test_a_tap_gives_every_frame_in_order_while_the_reads_give_the_newest() -> None:
    start = Hang()
    torn = FrameUnreadable("torn", source="fake#3", sequence=3)
    steps: list[Step] = [start, *(picture(n) for n in range(3)), torn, picture(4)]
    opener = Opener(steps)
    with reader_of(opener) as reader, reader.tap() as tap:
        start.free.set()
        captured(reader, 4)
        assert taken(reader) == 4
        frames = [tap.next(1000) for _ in range(3)]
        assert [frame.sequence for frame in frames if frame is not None] == [0, 1, 2]
        with pytest.raises(FrameUnreadable, match="torn"):
            tap.next(1000)
        last = tap.next(1000)
        assert last is not None
        assert last.sequence == 4
        with pytest.raises(FrameTimeout):
            tap.next(1)
        opener.let_go()
        assert wait_until(lambda: reader.state is CameraState.CLOSED)
        assert tap.next(1) is None
        assert tap.dropped == 0


def test_a_tap_that_nobody_empties_loses_the_oldest_and_says_how_many() -> None:
    start = Hang()
    opener = Opener([start, *(picture(n) for n in range(5))])
    with reader_of(opener) as reader, reader.tap(room=2) as tap:
        start.free.set()
        captured(reader, 5)
        first = tap.next(1000)
        assert first is not None
        assert first.sequence == 3
        assert tap.dropped == 3
        opener.let_go()


def test_it_is_a_camera() -> None:
    with reader_of(Opener([picture(0), None])) as reader:
        assert reader.live
        assert reader.name == "fake"
        assert reader.frame_count is None


@pytest.mark.parametrize(
    ("setting", "value"), [("stalled_after_s", 0), ("give_up_after_s", float("nan")), ("reconnect_after_s", 1.0)]
)
def test_bounds_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    changed: dict[str, Any] = {setting: value}
    with pytest.raises(ValueError, match=setting):
        LiveConfig(**changed)
