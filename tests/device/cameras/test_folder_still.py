"""A folder's stills: each picture is its own press's or nobody's, whenever and however its file comes."""

from __future__ import annotations

import heapq
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.cameras.stills import SETTLE_S, FolderStill, open_still
from device.errors import CameraError, FrameTimeout, FrameUnreadable, PictureOfNobody, PressTooSoon, RepeatedFrame
from device.frame import Frame

TIMEOUT_MS = 8000.0
STYLES = ("new", "over", "renamed over", "renamed", "half", "old time")


def picture(number: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((16, 16, 3), number, np.uint8))[1].tobytes())


class Bench:
    """A folder, its still source, and a clock of their own: files come when it is their time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.order = folder, 4096.0, 0  # the same each time: by it roundings differ
        self.due: list[tuple[float, int, Callable[[], object]]] = []
        self.start()
        self.passes(SETTLE_S + 1)

    def start(self) -> None:
        self.still = FolderStill(self.folder, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.due and self.due[0][0] <= until:
            self.now, _, happens = heapq.heappop(self.due)
            happens()
        self.now = until

    def passes(self, seconds: float) -> None:
        """Nobody presses; the cart looks."""
        for _ in range(round(seconds * 2)):
            self.sleep(0.5)
            self.still.look()

    def at(self, after_s: float, happens: Callable[[], object]) -> None:
        self.order += 1
        heapq.heappush(self.due, (self.now + after_s, self.order, happens))

    def comes(self, after_s: float, number: int, style: str = "new") -> None:
        """A camera's program lays a picture."""
        data, target, hidden = picture(number), self.folder / f"{number}.png", self.folder / ".part"

        def renamed(name: Path) -> None:
            hidden.write_bytes(data)
            hidden.rename(name)

        def dated() -> None:
            target.write_bytes(data)
            os.utime(target, (1e9 + number, 1e9 + number))  # as a camera's program that keeps its own clock

        def goes_on() -> None:
            with target.open("ab") as file:
                file.write(data[40:])

        if style == "half":
            self.at(after_s, lambda: target.write_bytes(data[:40]))
            self.at(after_s + 0.4, goes_on)
            return
        self.at(
            after_s,
            {
                "new": lambda: target.write_bytes(data),
                "over": lambda: (self.folder / "latest.png").write_bytes(data),
                "renamed": lambda: renamed(target),
                "renamed over": lambda: renamed(self.folder / "latest.png"),
                "old time": dated,
            }[style],
        )

    def press(self) -> Frame:
        return self.still.take(round(self.now * 1e9), TIMEOUT_MS)

    @property
    def nobodys(self) -> int:
        return self.still.not_asked_for(0, ())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "latest.png").write_bytes(picture(255))
    return Bench(tmp_path)


def shown(frame: Frame) -> int:
    return int(frame.pixels[0, 0, 0])


@pytest.mark.parametrize("style", STYLES)
def test_the_one_picture_that_comes_is_the_presses(bench: Bench, style: str) -> None:
    for number in (1, 2, 3):
        pressed = bench.now
        bench.comes(2, number, style)
        frame = bench.press()
        assert (shown(frame), frame.captured_ns) == (number, round(pressed * 1e9))
        assert frame.source == ("latest.png" if "over" in style else f"{number}.png")
        bench.passes(1)
    assert bench.still.not_asked_for(time.time_ns(), ()) == 0


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_that_came_late_is_not_the_next_presses(bench: Bench, style: str) -> None:
    bench.comes(8.6, 1, style)
    with pytest.raises(FrameTimeout, match="wait 20 s"):
        bench.press()
    with pytest.raises(PressTooSoon, match="nothing was taken") as told:
        bench.press()
    assert told.value.left_s == pytest.approx(20)
    bench.passes(3)  # it came
    with pytest.raises(PressTooSoon):
        bench.press()
    bench.passes(20)
    bench.comes(2, 2, style)
    assert shown(bench.press()) == 2
    assert bench.still.not_asked_for(1, {"latest.png"}) == 1


def test_a_camera_that_is_always_late_gives_none(bench: Bench) -> None:
    for number in range(1, 5):
        bench.comes(20, number)
        with pytest.raises(FrameTimeout):
            bench.press()
        with pytest.raises(PressTooSoon) as told:
            bench.press()
        bench.passes(told.value.left_s - 1)
        with pytest.raises(PressTooSoon):  # it came meanwhile
            bench.press()
        bench.passes(21)


@pytest.mark.parametrize("gap_s", [0.0, 0.04, 0.3, 0.9])
@pytest.mark.parametrize("style", ["new", "renamed", "over", "renamed over"])
def test_two_pictures_for_one_press_are_none(bench: Bench, style: str, gap_s: float) -> None:
    bench.comes(1, 1, style)
    bench.comes(1 + gap_s, 2, "renamed over" if style == "over" else style)
    if gap_s < 0.05 and "over" in style:
        bench.comes(1.3, 3, "renamed over")  # of the two before there is one file, and it was the last
    with pytest.raises(PictureOfNobody, match="more than one picture came for one press"):
        bench.press()
    with pytest.raises(PressTooSoon):
        bench.press()
    assert bench.still.not_asked_for(1, {"latest.png"}) == (1 if "over" in style else 2)


def test_a_second_picture_that_comes_later_still_is_told_and_keeps_the_next_press_off(bench: Bench) -> None:
    bench.comes(1, 1)
    bench.comes(2.5, 2)
    assert shown(bench.press()) == 1
    bench.passes(2)
    with pytest.raises(PressTooSoon):
        bench.press()
    assert bench.still.not_asked_for(0, {"latest.png"}) == 1


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_that_was_there_at_the_press_is_nobodys(bench: Bench, style: str) -> None:
    bench.comes(0, 1, style)
    bench.sleep(0.1)  # no look since
    with pytest.raises(PressTooSoon):
        bench.press()


def test_one_that_is_never_whole_is_none(bench: Bench) -> None:
    for tenth in range(1, 100):  # between two looks: it grows before the third that would find it standing still
        bench.at(tenth / 10 + 0.02, partial((bench.folder / "a.png").write_bytes, bytes(tenth)))
    with pytest.raises(FrameTimeout, match="not whole"):
        bench.press()


def test_one_that_stays_half_is_none_and_its_rest_is_not_the_next_presses(bench: Bench) -> None:
    bench.at(1, lambda: (bench.folder / "a.png").write_bytes(picture(1)[:40]))
    with pytest.raises(FrameUnreadable):
        bench.press()
    bench.at(5, lambda: (bench.folder / "a.png").write_bytes(picture(1)))
    bench.passes(6)
    with pytest.raises(PressTooSoon):
        bench.press()


def test_after_a_start_the_folder_has_to_be_quiet_and_what_came_meanwhile_is_told(bench: Bench) -> None:
    """The cart was killed during a press: the picture came before, or comes after, it was started again."""
    bench.comes(1, 1)
    assert shown(bench.press()) == 1
    since_ns = time.time_ns() - 1_000_000_000
    bench.comes(0, 2)
    bench.sleep(1)
    bench.start()
    bench.comes(3, 3)
    with pytest.raises(PressTooSoon):
        bench.press()
    bench.passes(4)
    assert bench.still.not_asked_for(since_ns, {"1.png", "latest.png"}) == 2
    assert bench.still.not_asked_for(time.time_ns() + 1, ()) == 0


def test_old_pictures_that_are_moved_about_or_seen_again_are_no_new_ones(bench: Bench) -> None:
    bench.comes(1, 1)
    bench.press()
    bench.at(1, lambda: (bench.folder / "1.png").rename(bench.folder / "moved.png"))
    bench.at(1, lambda: (bench.folder / "latest.png").chmod(0o600))
    with pytest.raises(FrameTimeout, match="no new or changed picture"):
        bench.press()
    bench.passes(21)
    bench.at(1, lambda: os.utime(bench.folder / "moved.png"))
    with pytest.raises(RepeatedFrame, match="earlier press"):
        bench.press()


def test_a_file_whose_time_is_before_the_press_is_nobodys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a share that shows late what was there already."""
    bench.comes(1, 1)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 60_000_000_000)
    with pytest.raises(PictureOfNobody, match="compare the clocks"):
        bench.press()


def test_a_folder_that_goes_is_told(tmp_path: Path) -> None:
    still = open_still(f"folder:{tmp_path}")
    tmp_path.rmdir()
    with pytest.raises(CameraError, match="cannot be read"):
        still.look()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["in time", "late", "never", "twice", "early"]),
        st.sampled_from(STYLES),
        st.floats(0.3, 7),
        st.booleans(),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_no_press_is_ever_given_the_picture_of_another(events: list[tuple[str, str, float, bool]]) -> None:
    """Whatever a camera does within 28 s of a press, and whether or not one who is told to wait triggers it."""
    with tempfile.TemporaryDirectory() as folder:
        bench, number, right = Bench(Path(folder)), 0, 0
        for what, style, after_s, impatient in events:
            for _ in range(60):
                number += 1
                if what == "early":
                    bench.comes(0, 100 + number, style)
                    bench.passes(1)
                    what = "in time"
                before = bench.still._ready_at > bench.now
                if not before or impatient:
                    if what in ("in time", "twice"):
                        bench.comes(min(after_s, 4) if before else after_s, number, style)
                    if what == "twice":
                        bench.comes(after_s + 0.5, 100 + number, style)
                    if what == "late":
                        bench.comes(4 if before else 8.1 + 2 * after_s, number, style)
                try:
                    assert shown(bench.press()) == number
                    assert what == "in time"
                    right += 1
                    break
                except PressTooSoon as error:
                    bench.passes(error.left_s + 0.5)
                    impatient = False
                except CameraError:
                    assert what != "in time"
                    break
            else:
                pytest.fail("it never was ready again")
        assert right >= sum(what in ("in time", "early") for what, *_ in events)
