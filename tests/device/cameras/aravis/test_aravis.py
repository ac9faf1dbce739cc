"""`AravisCamera` against Aravis' own simulated GigE Vision camera, over the real protocol on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import device.cameras.aravis.camera as camera_module
from device import Disconnected, Frame, FrameUnreadable, SourceNotFound, open_camera
from device.cameras.aravis import AravisCamera, AravisConfig, discover
from device.cameras.aravis.library import AravisError
from device.cameras.listing import list_cameras
from device.errors import (
    CameraBusy,
    CameraError,
    CameraNotPermitted,
    DriverMissing,
    FrameMisshapen,
    FrameTimeout,
    SettingRefused,
)
from tests.busy import at_a_calm_moment
from tests.device.cameras.servers import Program, gige_camera
from tests.holding import goes_back_to, held

pytestmark = pytest.mark.system

ADDRESS = "aravis:127.0.0.1"
GOLDEN = json.loads((Path(__file__).parent / "golden_frames.json").read_text())["sha256"]


@pytest.fixture
def program() -> Iterator[Program]:
    """A fresh simulated camera, whose first frame is the first of the golden ones."""
    with gige_camera() as program:
        yield program


def opened(settings: str = "") -> AravisCamera:
    return AravisCamera(AravisConfig.parse(ADDRESS + settings))


def take_without_a_gap(count: int, fps: int = 20) -> None:
    with opened(f",fps={fps},buffers=32") as camera:
        frames = []
        for _ in range(count):
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                raise AssertionError(str(error)) from None
            assert frame is not None
            frames.append((frame.sequence, frame.sha256, frame.captured_ns))
        assert (camera.torn, camera.underruns) == (0, 0)
    first = GOLDEN.index(frames[0][1])
    assert [sequence for sequence, _, _ in frames] == list(range(count)), "the camera's own count began anew meanwhile"
    assert [digest for _, digest, _ in frames] == [GOLDEN[(first + index) % len(GOLDEN)] for index in range(count)]
    assert (frames[-1][2] - frames[0][2]) / 1e9 == pytest.approx((count - 1) / fps, rel=0.1)


def test_frames_without_a_gap_are_the_golden_ones(program: Program) -> None:
    at_a_calm_moment(lambda: take_without_a_gap(40, fps=40))


@pytest.mark.soak
def test_500_frames_at_20_a_second_without_a_gap_are_the_golden_ones(program: Program) -> None:
    at_a_calm_moment(lambda: take_without_a_gap(500))


def test_every_torn_frame_is_refused_and_counted_and_every_other_is_whole() -> None:
    whole: list[tuple[int, str]] = []
    torn: list[int] = []
    reasons: set[str] = set()
    with gige_camera(lost_per_thousand=1), opened(",fps=100,timeout_s=60") as camera:
        while len(whole) + len(torn) < 100 or min(len(whole), len(torn)) < 10:
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                torn.append(error.sequence)
                reasons.add(str(error).split(": ")[1])
            else:
                assert frame is not None
                whole.append((frame.sequence, frame.sha256))
        assert camera.torn == len(torn)
    missing, late = (
        f"torn frame, {why}; read the next one" for why in ("packets are missing", "no frame arrived in time")
    )
    assert missing in reasons
    assert reasons <= {missing, late}  # late: its packets did not all come in time, as on a busy machine
    first = GOLDEN.index(whole[0][1]) - whole[0][0]
    assert [digest for _, digest in whole] == [GOLDEN[(first + sequence) % len(GOLDEN)] for sequence, _ in whole]
    numbers = [sequence for sequence, _ in whole] + torn
    assert len(set(numbers)) == len(numbers)


def test_it_is_listed_and_found_by_name_and_serial(program: Program) -> None:
    (found,) = [camera for camera in discover() if camera.serial == "TEST"]
    assert (found.vendor, found.model, found.address, found.protocol) == ("Aravis", "Fake", "127.0.0.1", "GigEVision")
    (listed,) = [camera for camera in list_cameras() if camera.serial == "TEST"]
    assert listed.source == f"aravis:{found.id}"
    for source in (listed.source, "aravis:TEST"):
        began = time.monotonic()
        with open_camera(source) as camera:
            assert isinstance(camera, AravisCamera)
            frame = first_whole(camera)
            assert frame.source == f"aravis:{frame.sequence}"
            assert (frame.width, frame.height) == (512, 512)
            assert 0 <= frame.capture_ms <= (time.monotonic() - began) * 1000


def test_one_that_is_not_there_is_refused_with_those_that_are(program: Program) -> None:
    with pytest.raises(SourceNotFound, match="aravis:OTHER: no such camera; expected one of aravis:Aravis-Fake-TEST"):
        open_camera("aravis:OTHER")


@pytest.mark.parametrize("pixel_format", ["RGB8", "BayerRG8", "Mono8"])
def test_each_format_becomes_rgb(program: Program, pixel_format: str) -> None:
    with opened(f",pixel_format={pixel_format},width=256,height=128,fps=50,exposure_us=2000,gain=3") as camera:
        assert camera.size == (256, 128)
        frame = first_whole(camera)
    assert frame.pixels.shape == (128, 256, 3)
    if pixel_format == "Mono8":
        assert np.ptp(frame.pixels.astype(int), axis=2).max() == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("width=4096", "width=4096: it can do 1 to 2048"),
        ("fps=100000", r"fps=100000: it can do 0\.1 to 1000"),
        ("exposure_us=1e9", r"exposure_us=1e\+09: it can do 10 to "),
        ("gain=1000", "gain=1000: it can do 0 to 10"),
        ("pixel_format=BGR8", "pixel_format=BGR8: it can do RGB8, BayerRG8, .*Mono8"),
    ],
)
def test_what_the_camera_cannot_do_is_said_with_what_it_can(program: Program, setting: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        opened("," + setting)
    opened().close()  # and it was given back


def test_a_camera_that_another_program_controls_is_busy(program: Program) -> None:
    with opened(), pytest.raises(CameraBusy, match="another program controls the camera"):
        opened()
    opened().close()


def first_whole(camera: AravisCamera) -> Frame:
    """The next frame that did not come torn, or too late, as one may on a busy machine."""
    for _ in range(100):
        with contextlib.suppress(FrameUnreadable, FrameTimeout):
            frame = camera.read()
            assert frame is not None
            return frame
    raise AssertionError("every frame is torn or late")


def refused_whole(camera: AravisCamera) -> None:
    """Read up to a frame that did not come torn."""
    for _ in range(100):
        try:
            camera.read()
        except FrameMisshapen:
            raise
        except FrameUnreadable:
            continue


def read_until_lost(camera: AravisCamera) -> None:
    for _ in range(1000):
        with contextlib.suppress(FrameUnreadable):  # one that was torn by the loss
            camera.read()


def test_an_unplugged_camera_is_a_lost_source_and_can_be_opened_again() -> None:
    with gige_camera() as program, opened(",timeout_s=0.5") as camera:
        first_whole(camera)
        program.kill()
        with pytest.raises(CameraError) as lost:
            read_until_lost(camera)
        camera.close()  # neither reading nor closing waits for ever
        assert isinstance(lost.value, Disconnected)
        assert "does not answer any more" in str(lost.value)
    with gige_camera(), opened() as camera:
        assert first_whole(camera).sha256 in GOLDEN


def test_a_camera_that_gives_no_frame_but_answers_is_a_timeout(program: Program) -> None:
    with opened(",fps=0.2,timeout_s=0.3") as camera, pytest.raises(FrameTimeout, match=r"no frame came in 0\.3 s"):
        read_until_lost(camera)


def test_a_frame_of_the_wrong_shape_is_refused(program: Program) -> None:
    with opened(",fps=50") as camera:
        right = camera.layout
        camera.layout = dataclasses.replace(right, width=500)
        with pytest.raises(FrameMisshapen, match=r"got 512 x 512, .*; expected 500 x 512 RGB8"):
            refused_whole(camera)
        camera.layout = right
        first_whole(camera)


def test_closing_from_another_thread_ends_a_read_that_waits(program: Program) -> None:
    camera = opened(",fps=0.2,timeout_s=30")
    closer = threading.Timer(0.2, camera.close)
    closer.start()
    began = time.monotonic()
    ended = False
    while not ended:
        with contextlib.suppress(FrameUnreadable):  # one that was lost in the midst
            ended = camera.read() is None
    closer.join()
    assert time.monotonic() - began < 25, "it waits for 30 s"


def test_a_reader_that_is_too_slow_leaves_gaps_that_are_counted(program: Program) -> None:
    with opened(",fps=200,buffers=2") as camera:
        first_whole(camera)
        before, until = camera.underruns, time.monotonic() + 60
        while camera.underruns == before:
            assert time.monotonic() < until
        numbers: list[int] = []
        while len(numbers) < 4:
            with contextlib.suppress(FrameUnreadable):  # one that was lost in the midst
                frame = camera.read()
                assert frame is not None
                numbers.append(frame.sequence)
    assert numbers[-1] - numbers[0] > len(numbers) - 1


def test_opening_and_closing_leaks_no_file_and_no_thread(program: Program) -> None:
    def leaves_nothing() -> None:
        for _ in range(3):
            opened().close()
        before = held()
        for _ in range(10):
            with opened(",fps=100") as camera:
                first_whole(camera)
        goes_back_to(before)

    at_a_calm_moment(leaves_nothing, failures=(AssertionError, CameraError))  # a camera without time is a lost one


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from device.cameras.aravis import library

    monkeypatch.setattr(library, "_FILES", ("libaravis-nothing.so",))
    library.load.cache_clear()
    with pytest.raises(DriverMissing, match=r"sudo apt-get install libaravis-0\.8-0"):
        opened()
    (entry,) = [camera for camera in list_cameras() if camera.kind == "aravis"]
    assert entry.problem is not None
    assert "not installed" in entry.problem
    library.load.cache_clear()


class RefusingLibrary:
    """libaravis with a USB3 Vision camera that does not open."""

    def __init__(self, words: str | None) -> None:
        self.words = words

    def call(self, name: str, *_: object) -> None:
        assert name == "arv_camera_new"
        if self.words is not None:
            raise AravisError(self.words)


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        (
            "Failed to claim USB interface to 'a-b-c-d': LIBUSB_ERROR_BUSY",
            CameraBusy,
            "another program holds the camera",
        ),
        ("Failed to open USB device: LIBUSB_ERROR_ACCESS", CameraNotPermitted, "by a udev rule, as in the file aravis"),
        ("Failed to bootstrap USB device 'a-b-c-d'", SourceNotFound, "check cable, power and network"),
        (None, SourceNotFound, "no reason given"),
    ],
)
def test_a_camera_that_does_not_open_says_why(
    monkeypatch: pytest.MonkeyPatch, words: str | None, kind: type[CameraError], told: str
) -> None:
    monkeypatch.setattr(camera_module, "load", lambda: RefusingLibrary(words))
    with pytest.raises(kind, match=told) as caught:
        opened()
    assert type(caught.value) is kind


def test_exposure_gain_and_a_named_focus_are_turned_while_it_streams(program: Program) -> None:
    with opened(",fps=20,exposure_us=5000,focus_feature=BinningHorizontal") as camera:
        first_whole(camera)
        before = {one.name: one for one in camera.controls()}
        assert before["exposure"].value == pytest.approx(5.0)
        assert before["exposure"].unit == "ms"
        assert camera.adjust("exposure", 12.5).value == pytest.approx(12.5)
        assert camera.adjust("gain", 3).value == 3
        first_whole(camera)
        assert {one.name: one.value for one in camera.controls()} == {"exposure": 12.5, "gain": 3, "focus": 1}
        for name, value in (("exposure", 1e9), ("gain", -1), ("focus", 99), ("zoom", 1)):
            with pytest.raises(SettingRefused, match=name):
                camera.adjust(name, value)
    assert camera.controls() == ()
    with pytest.raises(Disconnected, match="closed"):
        camera.adjust("gain", 1)
