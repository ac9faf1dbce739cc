from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import TracebackType

import pytest

from device.errors import Disconnected, FrameUnreadable
from device.frame import Frame
from runtime import Bundle, Outcome, Screener
from runtime.commands.stop import Interrupted, Stop
from runtime.engines.fake import FakeEngine
from runtime.errors import OutputError
from runtime.reading import Reading
from runtime.screen.loop import Progress, screen_frames
from runtime.screen.waiting import Waiting
from tests.pictures import retina

LONG_S = 30.0
OFTEN_S = 0.005


class SlowCamera:
    """Gives what it is told to, each when `go` was set; `close` ends a read that waits."""

    name, live, frame_count = "slow", True, None

    def __init__(self, *gives: Frame | Exception) -> None:
        self.gives = list(gives)
        self.go = threading.Event()
        self.closed = False
        self.threads: set[int] = set()

    def read(self) -> Frame | None:
        self.threads.add(threading.get_ident())
        assert self.go.wait(LONG_S)
        self.go.clear()
        if self.closed or not self.gives:
            return None
        given = self.gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def close(self) -> None:
        self.closed = True
        self.go.set()

    def __enter__(self) -> SlowCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def counting(camera: SlowCamera, until: int) -> tuple[list[int], Callable[[], None]]:
    """Notes the thread of each call; the frame comes after `until` of them."""
    calls: list[int] = []

    def idle() -> None:
        calls.append(threading.get_ident())
        if len(calls) % until == 0:
            camera.go.set()

    return calls, idle


def test_while_a_frame_keeps_it_waiting_what_is_due_is_done_in_the_thread_that_waits() -> None:
    frame = Frame(retina(), 0, "slow:0")
    camera = SlowCamera(frame)
    calls, idle = counting(camera, until=3)
    with camera, Waiting(camera, idle, OFTEN_S) as waiting:
        assert waiting.read() is frame
        assert len(calls) == 3
        assert set(calls) == {threading.get_ident()}
        assert threading.get_ident() not in camera.threads
        assert waiting.read() is None  # the end of the source


@pytest.mark.parametrize("error", [FrameUnreadable("torn", source="slow:0", sequence=0), Disconnected("unplugged")])
def test_what_the_camera_raises_is_raised_once(error: Exception) -> None:
    frame = Frame(retina(), 1, "slow:1")
    camera = SlowCamera(error, frame)
    _, idle = counting(camera, until=1)
    with camera, Waiting(camera, idle, OFTEN_S) as waiting:
        with pytest.raises(type(error), match=str(error)):
            waiting.read()
        assert waiting.read() is frame


def test_ctrl_c_ends_the_wait_and_closing_the_camera_the_thread() -> None:
    camera = SlowCamera()
    with camera, Stop() as stop:
        with (
            pytest.raises(Interrupted),
            Waiting(camera, lambda: signal.raise_signal(signal.SIGINT), OFTEN_S) as waiting,
            stop.interruptible,
        ):
            waiting.read()
        assert stop.requested
    for thread in threading.enumerate():
        if thread.ident in camera.threads:
            thread.join(LONG_S)
            assert not thread.is_alive()


def test_a_gpu_is_kept_warm_while_the_camera_gives_nothing(bundle: Bundle) -> None:
    engine = FakeEngine((0.99, 0.01))
    engine.idle_every_s = OFTEN_S
    camera = SlowCamera(*(Frame(retina(seed), seed, f"slow:{seed}") for seed in range(2)))
    calls, idle = counting(camera, until=3)
    engine.keep_warm = idle  # type: ignore[method-assign]
    readings: list[Reading] = []

    class Kept:
        def write(self, frame: Frame | None, reading: Reading) -> None:
            readings.append(reading)

        def close(self) -> None: ...

    with camera, Stop() as stop, Screener(bundle, engine=engine) as screener:
        screen_frames(camera, screener, [Kept()], stop, Progress())
    assert [reading.outcome for reading in readings] == [Outcome.NO_REFERRAL_FINDINGS] * 2
    assert len(calls) >= 8  # three a frame and for the end, less those that come once after a frame
    assert set(calls) == {threading.get_ident()}


def test_without_anything_to_keep_warm_the_camera_is_read_in_this_thread(bundle: Bundle) -> None:
    camera = SlowCamera(Frame(retina(), 0, "slow:0"))
    camera.go.set()
    with camera, Stop() as stop, Screener(bundle, engine=FakeEngine()) as screener:
        assert screener.idle_every_s is None
        screen_frames(camera, screener, [], stop, Progress(), frames=1)
    assert camera.threads == {threading.get_ident()}


@pytest.mark.parametrize(("failing", "counted"), [(0, 0), (1, 1), (2, 1)], ids=["the record", "a picture", "the last"])
def test_what_the_record_holds_is_counted_and_told_to_all(bundle: Bundle, failing: int, counted: int) -> None:
    """A disk that fills up at a picture: the reading, which may refer, stands in the record and in the summary."""
    told: list[int] = []

    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

        def write(self, frame: Frame | None, reading: Reading) -> None:
            if self.number == failing:
                raise OutputError("No space left on device")
            told.append(self.number)

        def close(self) -> None: ...

    camera, progress = SlowCamera(Frame(retina(), 0, "slow:0")), Progress()
    camera.go.set()
    full = pytest.raises(OutputError, match="No space left")
    with camera, Stop() as stop, Screener(bundle, engine=FakeEngine()) as screener, full:
        screen_frames(camera, screener, [Numbered(n) for n in range(3)], stop, progress)
    assert (progress.frames, progress.readable) == (counted, counted)
    assert told == ([n for n in range(3) if n != failing] if counted else [])
