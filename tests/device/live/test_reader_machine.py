"""A live reader in any order of frames, faults and reads: the newest wins, nothing comes twice, all is counted."""

from __future__ import annotations

import queue
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device.errors import CameraError, Disconnected, FrameTimeout, FrameUnreadable, NoNewFrame, RepeatedFrame
from device.frame import Frame
from device.live import CameraState, LiveReader
from tests.device.light.waiting import wait_until
from tests.device.live.scripted import QUICK, picture

CONFIG = replace(QUICK, connect_timeout_s=20, stalled_after_s=20, losses_allowed=1000, give_up_after_s=60)


class Puppet:
    """A camera whose every `read` waits for what the test hands it."""

    live, name, frame_count = True, "fake", None

    def __init__(self, strings: queue.SimpleQueue[Frame | Exception | None]) -> None:
        self.strings = strings

    def read(self) -> Frame | None:
        given = self.strings.get()
        if isinstance(given, Exception):
            raise given
        return given

    def close(self) -> None: ...

    def __enter__(self) -> Puppet:
        return self

    def __exit__(self, *_: object) -> None: ...


class ReaderMachine(RuleBasedStateMachine):
    """Each rule waits until the reader has noticed, so that a run is the same every time."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: queue.SimpleQueue[Frame | Exception | None] = queue.SimpleQueue()
        self.reader = LiveReader(lambda: Puppet(self.strings), "fake", CONFIG)
        self.number = self.value = 0  # of the present connection's next frame; of its colour
        self.first = 0  # what the present connection's numbers begin with
        self.good = self.torn = self.repeated = self.lost = 0
        self.waiting: int | None = None
        self.trouble: type[FrameUnreadable] | None = None
        self.given: list[int] = []
        self.ended = False

    def hand(self, what: Frame | Exception | None) -> None:
        self.strings.put(what)
        self.number += 1

    def noticed(self) -> None:
        def all_counted() -> bool:
            counts = self.reader.counts
            return (counts.captured, counts.unreadable, counts.repeated) == (self.good, self.torn, self.repeated)

        assert wait_until(all_counted), self.reader.counts

    @precondition(lambda self: not self.ended)
    @rule()
    def a_frame_comes(self) -> None:
        self.value = (self.value + 1) % 256
        self.good += 1
        self.waiting, self.trouble = self.first + self.number, None
        self.hand(picture(self.number, self.value))
        self.noticed()

    @precondition(lambda self: not self.ended and self.good)
    @rule()
    def the_same_picture_comes_again(self) -> None:
        self.repeated += 1
        self.trouble = RepeatedFrame
        self.hand(picture(self.number, self.value))
        self.noticed()

    @precondition(lambda self: not self.ended)
    @rule()
    def a_torn_frame_comes(self) -> None:
        self.torn += 1
        self.trouble = FrameUnreadable
        self.hand(FrameUnreadable("torn", source="fake", sequence=self.number))
        self.noticed()

    @precondition(lambda self: not self.ended)
    @rule()
    def the_camera_is_lost_and_comes_back(self) -> None:
        streaming = self.reader.state is CameraState.STREAMING
        self.hand(Disconnected("unplugged"))
        assert wait_until(lambda: self.reader.state is CameraState.RECONNECTING)
        self.trouble = NoNewFrame if streaming else self.trouble
        self.first, self.number = self.first + self.number - 1, 0
        self.a_frame_comes()
        assert self.reader.state is CameraState.STREAMING
        self.lost += 1

    @precondition(lambda self: not self.ended and self.good > 3)
    @rule()
    def the_source_ends(self) -> None:
        self.strings.put(None)
        assert wait_until(lambda: self.reader.state is CameraState.CLOSED)
        self.ended = True

    @rule()
    def somebody_reads(self) -> None:
        expected, trouble = self.waiting, self.trouble
        if expected is None and (trouble is not None or not self.ended):
            with pytest.raises(trouble or FrameTimeout) as caught:
                self.reader.next_unseen(0)
            assert caught.type is (trouble or FrameTimeout)
            self.trouble = None
            return
        frame = self.reader.next_unseen(0)
        assert (None if frame is None else frame.sequence) == expected
        if frame is not None:
            self.given.append(frame.sequence)
        self.waiting = None

    @rule()
    def somebody_looks_at_the_newest(self) -> None:
        if self.good:
            frame = self.reader.newest(60_000)
            assert not self.given or frame.sequence >= self.given[-1]
            if self.waiting is not None:
                assert frame.sequence == self.waiting
                self.given.append(frame.sequence)
                self.waiting = None

    @invariant()
    def no_frame_is_given_twice_or_after_a_newer_one(self) -> None:
        assert self.given == sorted(set(self.given))

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        counts = self.reader.counts
        assert counts.captured == counts.delivered + counts.dropped + (self.waiting is not None)
        assert counts.delivered == len(self.given)
        assert counts.reconnects == self.lost
        assert counts.missed == counts.abandoned == 0

    def teardown(self) -> None:
        self.strings.put(None)
        with suppress(CameraError):
            self.reader.close()


ReaderMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestReader = ReaderMachine.TestCase
