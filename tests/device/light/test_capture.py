"""The frame that is taken is the one that the flash lit, whatever the phase, the latency and the line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cameras.simulated import SimulatedConfig
from device.errors import BoardRefused, BoardSilent, Disconnected, DoseExceeded, FlashNotCaught, FrameTimeout
from device.frame import Frame
from device.light import BoardLink, CalibratedLight, DoseAccount, Eye, FlashReceipt, LineFaults, SimulatedBoard, capture
from device.light.capture import FlashedFrame, capture_with_flash
from device.light.exposure import ExposureTiming, flash_window_ns, margin_ms
from device.light.scene import FlashLitCamera
from device.live import LiveReader, Tap
from tests.busy import at_a_calm_moment
from tests.device.light.conftest import FAST
from tests.device.light.lab import calibration, hazard

pytestmark = pytest.mark.usefixtures("patient")

FLASH_US = 2000
MS = 1_000_000


@dataclass
class Studio:
    """A camera, a board and an account."""

    camera: FlashLitCamera
    reader: LiveReader
    board: SimulatedBoard
    light: CalibratedLight
    timing: ExposureTiming

    def shoot(self) -> FlashedFrame:
        return capture_with_flash(self.reader, self.light, self.timing, eye=Eye.OD, flash_us=FLASH_US, level=40)


@contextmanager
def studio(
    *, fps: float = 50, exposure_ms: float = 15, latency_ms: float = 4, stamped_ms: float = 0, limit: float = 1e6
) -> Iterator[Studio]:
    account = DoseAccount(calibration(hazard(limit=limit)))
    config = SimulatedConfig(size=(64, 48), fps=fps)
    timing = ExposureTiming(exposure_ms, stamped_ms, uncertainty_ms=0.2)
    with SimulatedBoard(ceilings=FAST) as board, BoardLink(board.port) as link:
        camera = FlashLitCamera(
            board, config, exposure_ms=exposure_ms, latency_ms=latency_ms, stamped_after_ms=stamped_ms
        )
        with LiveReader(lambda: camera, "studio") as reader:
            yield Studio(camera, reader, board, CalibratedLight(link, account), timing)


def shot_that_was_caught(scene: Studio) -> FlashedFrame:
    """The next one; a machine too busy to fire, to answer or to beat in time says so and never gives a wrong frame."""
    for _ in range(300):
        with suppress(FlashNotCaught, BoardRefused, BoardSilent, FrameTimeout):
            return scene.shoot()
    raise AssertionError("no flash of three hundred was caught")


def brightness(frame: Frame) -> float:
    return float(frame.pixels.mean())


CASES = [
    {"fps": 50, "exposure_ms": 15, "latency_ms": 4, "stamped_ms": 0},
    {"fps": 50, "exposure_ms": 15, "latency_ms": 37, "stamped_ms": 0},
    {"fps": 50, "exposure_ms": 20, "latency_ms": 4, "stamped_ms": 24},
    {"fps": 31, "exposure_ms": 30, "latency_ms": 60, "stamped_ms": 90},
    {"fps": 31, "exposure_ms": 12, "latency_ms": 1, "stamped_ms": -3},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: ",".join(f"{value:g}" for value in case.values()))
def test_the_frame_that_is_taken_holds_the_whole_flash(case: dict[str, float]) -> None:
    with studio(**case) as scene:
        taken = []
        for _ in range(3):
            shot = shot_that_was_caught(scene)
            taken.append(shot)
            assert scene.camera.share_of_flash(shot.frame.sequence) == pytest.approx(1)  # the last four are known
            before, _ = scene.camera._camera.render(shot.frame.sequence)
            assert brightness(shot.frame) == pytest.approx(before.mean(), rel=0.1)
            assert shot.margin_ms >= 0
        assert len({shot.frame.sequence for shot in taken}) == len(taken)


def test_the_rhythm_is_known_from_the_frames_that_went_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame is waited for before the flash; ten views would wait two seconds for that."""
    with studio() as scene:
        shot_that_was_caught(scene)
        waited = []

        def wait(*_: object) -> None:
            waited.append(1)
            raise FlashNotCaught("frames were waited for")

        monkeypatch.setattr(capture, "_learn", wait)
        shot = shot_that_was_caught(scene)  # on a busy machine the newest frame may be too old now and then
        assert scene.camera.share_of_flash(shot.frame.sequence) == pytest.approx(1)
        assert len(waited) < 300


def test_a_frame_is_no_older_than_its_press() -> None:
    with studio(fps=20, exposure_ms=48) as scene:
        for _ in range(12):
            with suppress(FlashNotCaught, BoardRefused, BoardSilent, FrameTimeout):
                asked_ns = time.monotonic_ns()
                assert scene.shoot().frame.captured_ns >= asked_ns


@given(
    period_ms=st.floats(5, 200),
    offset=st.floats(0.01, 0.9),
    asked_ms=st.floats(0, 1000),
    later_ms=st.floats(0, 1000),
)
def test_the_flash_lies_in_an_exposure_that_begins_after_it_was_asked_for(
    period_ms: float, offset: float, asked_ms: float, later_ms: float
) -> None:
    """An exposure that runs already would show what was aimed at before, and its frame is older than the press."""
    rhythm = capture._Rhythm(0, period_ms * MS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic_ns", lambda: round((asked_ms + later_ms) * MS))
        moment_ns = rhythm.next_ns(offset * period_ms * MS, round(asked_ms * MS))
    begins_ms = moment_ns / MS - offset * period_ms
    assert begins_ms >= asked_ms
    assert moment_ns / MS >= asked_ms + later_ms
    assert begins_ms <= asked_ms + max(later_ms, 0.1 * period_ms) + period_ms + 1e-3
    assert begins_ms / period_ms == pytest.approx(round(begins_ms / period_ms), abs=1e-3)


OLD_MS, FPS_50_MS = 60, 20
STAMPS = {
    "none": [],
    "two": [(1, 0.0), (2, FPS_50_MS)],
    "of one frame": [(1, 0.0), (1, 1.0), (1, 2.0)],
    "old": [(1, 0.0), (2, FPS_50_MS), (3, 2 * FPS_50_MS - OLD_MS)],
    "of another rate": [(1, -100.0), (2, -40.0), (3, 20.0), (4, 2 * FPS_50_MS)],
    "of the future": [(1, 0.0), (2, FPS_50_MS), (3, 90.0)],
}


@pytest.mark.parametrize("stamps", STAMPS.values(), ids=STAMPS)
def test_frames_that_tell_no_rhythm_are_waited_for(
    stamps: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader:
        def __init__(self) -> None:
            self.stamps = tuple((number, round(at_ms * MS)) for number, at_ms in stamps)

    monkeypatch.setattr(time, "monotonic_ns", lambda: 2 * FPS_50_MS * MS + 5 * MS)
    assert capture._known(Reader(), ExposureTiming(15)) is None  # type: ignore[arg-type]


def test_without_a_flash_the_frames_are_dark() -> None:
    with studio() as scene:
        shot = shot_that_was_caught(scene)
        after = scene.reader.wait_next()
        assert after is not None
        assert brightness(after) < 0.3 * brightness(shot.frame)


def test_a_camera_lost_after_the_flash_is_no_flash_that_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its `CameraError` would say that nothing was fired."""
    with studio() as scene:
        fire = scene.light.link.fire

        def unplugged(tap: Tap, timeout_ms: float) -> Frame:
            raise Disconnected("studio: unplugged")

        def fire_and_unplug() -> FlashReceipt:
            monkeypatch.setattr(Tap, "next", unplugged)
            return fire()

        monkeypatch.setattr(scene.light.link, "fire", fire_and_unplug)
        with pytest.raises(FlashNotCaught, match=r"no frame came.*it counts as given") as caught:
            scene.shoot()
        assert isinstance(caught.value.__cause__, Disconnected)
        assert len(scene.board.flashes) == 1


def test_a_line_too_slow_to_be_sure_gives_no_frame_and_counts_the_dose() -> None:
    with studio(fps=50, exposure_ms=10) as scene:
        scene.board.faults = LineFaults(delay_ms=20)
        with pytest.raises(FlashNotCaught, match=r"flash 1 lay within \d+\.\d ms, and no frame is sure"):
            scene.shoot()
        assert len(scene.board.flashes) == 1
        assert scene.light.account.used(Eye.OD)["made-up exposure"] == pytest.approx(100 * FLASH_US / 1e6)


def test_the_dose_is_counted_for_the_eye_and_refused_before_anything_is_fired() -> None:
    def is_counted() -> None:
        with studio(limit=0.5) as scene:
            for _ in range(2):
                with_or_without(scene)
            with pytest.raises(DoseExceeded):
                scene.shoot()
            assert len(scene.board.flashes) == 2
            assert scene.light.account.used(Eye.OS)["made-up exposure"] == 0

    # A machine that stands still for two seconds lets the arming lapse.
    at_a_calm_moment(is_counted, failures=(AssertionError, BoardSilent, BoardRefused))


def with_or_without(scene: Studio) -> None:
    with suppress(FlashNotCaught):
        scene.shoot()


def test_a_camera_that_gives_nothing_is_told_before_anything_is_fired() -> None:
    with studio() as scene:
        scene.camera.close()
        with pytest.raises(FrameTimeout, match="closed before the flash"):
            scene.shoot()
        assert not scene.board.flashes
        assert scene.light.account.used(Eye.OD)["made-up exposure"] == 0


def test_a_flash_longer_than_the_exposure_is_refused() -> None:
    with studio(exposure_ms=2) as scene:
        with pytest.raises(ValueError, match=r"flash of 2 ms: an exposure of 2 ms holds for sure at most 1\.6 ms"):
            scene.shoot()
        assert not scene.board.flashes


@given(
    period_ms=st.floats(5, 100),
    exposed=st.floats(0.1, 1),
    stamped_ms=st.floats(-20, 120),
    doubt=st.floats(0, 0.4),
    off=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    asked_ms=st.floats(0, 400),
    took_ms=st.floats(0, 60),
    began=st.floats(0, 1),
    flash_us=st.integers(10, 20_000),
)
def test_a_frame_with_a_margin_holds_all_of_the_flash_wherever_the_truth_lies(
    period_ms: float,
    exposed: float,
    stamped_ms: float,
    doubt: float,
    off: tuple[float, float],
    asked_ms: float,
    took_ms: float,
    began: float,
    flash_us: int,
) -> None:
    """`off` moves true start and end within the uncertainty, `began` the flash between request and reply."""
    exposure_ms = max(0.1, period_ms * exposed)
    timing = ExposureTiming(exposure_ms, stamped_ms, uncertainty_ms=exposure_ms * doubt)
    asked_ns = round(asked_ms * MS)
    receipt = FlashReceipt(asked_ns, asked_ns + round(took_ms * MS), 1, 1, 0)
    flash_ns = asked_ns + round(began * took_ms * MS)
    window_ns = flash_window_ns(receipt, flash_us)
    holders = []
    for number in range(8):
        start_ns = round(number * period_ms * MS)
        frame = Frame(np.zeros((1, 1, 3), np.uint8), number, "f", captured_ns=start_ns + round(stamped_ms * MS))
        true_start_ns = start_ns + off[0] * timing.uncertainty_ms * MS
        true_end_ns = start_ns + (exposure_ms + off[1] * timing.uncertainty_ms) * MS
        if margin_ms(frame, window_ns, timing) >= 0:
            holders.append(number)
            assert true_start_ns - 2 <= flash_ns
            assert flash_ns + flash_us * 1000 <= true_end_ns + 2
    assert len(holders) <= 1


@pytest.mark.parametrize("wrong", [{"exposure_ms": 1.0}, {"exposure_ms": 9.0, "uncertainty_ms": -1}])
def test_timings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exposure_ms"):
        ExposureTiming(**wrong)
