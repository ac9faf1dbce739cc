"""One suite that every camera passes: what the contract in `device.cameras.base` promises."""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from device import (
    Camera,
    Frame,
    FrameUnreadable,
    Pictures,
    Recording,
    SimulatedCamera,
    SimulatedConfig,
    WatchedFolder,
    open_camera,
)
from tests.device.cameras.opencv.kernel import plug_in
from tests.device.cameras.servers import gige_camera, mjpeg_over_http
from tests.ports import free_port

T = TypeVar("T")


@dataclass(frozen=True)
class Lab:
    """What a camera is made from: files, simulated hardware, and programs that run as long as the test."""

    pictures: Callable[..., Path]
    video: Callable[..., Path]
    patch: pytest.MonkeyPatch
    folder: Path
    programs: ExitStack

    def run(self, program: AbstractContextManager[T]) -> T:
        return self.programs.enter_context(program)


@dataclass(frozen=True)
class Case:
    """How to open one kind of camera that gives so many frames."""

    name: str
    make: Callable[[Lab], Camera]
    frames: int = 3
    endless: bool = False
    drops: bool = False
    """Whether it leaves frames out when they are not read in time."""
    live: bool = True
    counted: bool = True
    may_tear: bool = False
    """Whether a frame may come torn, as over a network on a busy machine."""


def watched(lab: Lab) -> Camera:
    return WatchedFolder(lab.pictures("a.png", "b.png", "c.png"), poll_s=0.001, state=lab.folder / "state")


def streamed(lab: Lab) -> Camera:
    port = free_port()
    lab.run(mjpeg_over_http(port))
    return open_camera(f"http://127.0.0.1:{port}/eye")


def gige(lab: Lab) -> Camera:
    lab.run(gige_camera())
    return open_camera("aravis:127.0.0.1,fps=50")


def stored(name: str, make: Callable[[Lab], Camera], *, frames: int = 3) -> Case:
    return Case(name, make, frames, live=False)


def streaming(name: str, make: Callable[[Lab], Camera], *, may_tear: bool = False) -> Case:
    return Case(name, make, endless=True, counted=False, may_tear=may_tear)


CASES = [
    stored("folder", lambda lab: Pictures(lab.pictures("a.png", "b.png", "c.png"))),
    stored("picture", lambda lab: Pictures(lab.pictures("a.png") / "a.png"), frames=1),
    Case("watched", watched, endless=True, live=False, counted=False),
    Case("recording", lambda lab: Recording(lab.video()), frames=12),
    Case("simulated", lambda _: SimulatedCamera(SimulatedConfig(frames=3, size=(96, 72)))),
    Case(
        "simulated, paced",
        lambda _: SimulatedCamera(SimulatedConfig(frames=3, size=(96, 72), fps=100)),
        endless=True,
        drops=True,
    ),
    streaming("v4l2", lambda lab: open_camera(f"camera:{plug_in(lab.patch, lab.folder).device}")),
    streaming("http", streamed),
    streaming("aravis", gige, may_tear=True),
]


def marked(case: Case) -> ParameterSet:
    return pytest.param(case, id=case.name, marks=[pytest.mark.system] if case.name in ("http", "aravis") else [])


@pytest.fixture(params=[marked(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
def camera(
    case: Case,
    make_pictures: Callable[..., Path],
    make_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Camera]:
    with ExitStack() as programs:
        camera = case.make(Lab(make_pictures, make_video, monkeypatch, tmp_path, programs))
        yield camera
        camera.close()


def some_frames(camera: Camera, case: Case, torn: list[int] | None = None) -> list[Frame]:
    """So many frames; `torn` takes the numbers of those that came torn between them."""
    frames: list[Frame] = []
    while len(frames) < (1 if case.drops else case.frames):
        try:
            frame = camera.read()
        except FrameUnreadable as error:
            assert case.may_tear
            if torn is not None:
                torn.append(error.sequence)
        else:
            assert frame is not None
            frames.append(frame)
    return frames


def test_frames_are_rgb_read_only_and_hashed(camera: Camera, case: Case) -> None:
    for frame in some_frames(camera, case):
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 3
        assert frame.pixels.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            frame.pixels[0, 0, 0] = 1
        assert frame.sha256 == hashlib.sha256(frame.pixels.tobytes()).hexdigest()


def test_sequence_and_time_go_up(camera: Camera, case: Case) -> None:
    before = time.monotonic_ns()
    torn: list[int] = []
    frames = some_frames(camera, case, torn)
    assert sorted([*torn, *(frame.sequence for frame in frames)]) == list(range(len(torn) + len(frames)))
    for earlier, later in itertools.pairwise(frames):
        assert later.sequence > earlier.sequence
        assert later.captured_ns >= earlier.captured_ns
        assert later.captured_at.tzinfo is not None
    assert all(frame.capture_ms >= 0 and frame.captured_ns <= time.monotonic_ns() for frame in frames)
    assert case.name != "simulated" or frames[0].captured_ns >= before


def test_sources_are_names_without_a_path_and_each_its_own(camera: Camera, case: Case) -> None:
    frames = some_frames(camera, case)
    assert len({frame.source for frame in frames}) == len(frames)
    assert not any("/" in frame.source for frame in frames)


def test_none_at_the_end_stays_none(camera: Camera, case: Case) -> None:
    if case.endless:
        pytest.skip("has no end of its own")
    some_frames(camera, case)
    assert camera.read() is None
    assert camera.read() is None


def test_frame_count_is_right_where_it_is_known(camera: Camera, case: Case) -> None:
    assert camera.frame_count in (None, case.frames)
    assert (camera.frame_count is not None) == case.counted


def test_closing_twice_is_fine_and_ends_it(camera: Camera, case: Case) -> None:
    some_frames(camera, case)
    camera.close()
    camera.close()
    assert camera.read() is None


def test_closing_before_the_first_read_is_fine(camera: Camera) -> None:
    camera.close()
    assert camera.read() is None


def test_leaving_the_context_closes(camera: Camera) -> None:
    with camera as entered:
        assert entered is camera
    assert camera.read() is None


def test_it_has_a_name_and_knows_whether_it_is_live(camera: Camera, case: Case) -> None:
    assert camera.name
    assert camera.live == case.live


@pytest.mark.parametrize("kind", [Pictures, lambda folder: WatchedFolder(folder, poll_s=0.001, settle_s=0.0)])
def test_a_bad_frame_does_not_end_a_folder(kind: Callable[[Path], Camera], make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("a.png", "b.png", "c.png")
    (folder / "b.png").write_text("not a picture")
    for path in folder.iterdir():
        os.utime(path, (1, 1))  # old files: none of them may still be being written
    newest_ns = max(path.stat().st_ctime_ns for path in folder.iterdir())
    while time.time_ns() - newest_ns < 20_000_000:  # or that which was touched last comes after the others
        time.sleep(0.005)
    with kind(folder) as camera:
        first = camera.read()
        with pytest.raises(FrameUnreadable, match=r"b\.png: not an image") as caught:
            camera.read()
        last = camera.read()
    assert first is not None
    assert last is not None
    assert [first.source, caught.value.source, last.source] == ["a.png", "b.png", "c.png"]
    assert [first.sequence, caught.value.sequence, last.sequence] == [0, 1, 2]
