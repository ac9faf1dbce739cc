"""The simulated camera: reproducible, never twice the same, and its truth fits what it drew."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest

from device import Frame, SimulatedCamera, SimulatedConfig
from device.cameras.simulated.faults import FAULTS
from device.cameras.simulated.look import NEO, RETCAM, Look
from device.cameras.simulated.retina import CENTRE, EXTENT, draw_retina
from device.frame import GroundTruth


def frames_of(**settings: Any) -> list[Frame]:
    with SimulatedCamera(SimulatedConfig(**settings)) as camera:
        return list(iter(camera.read, None))


def truth_of(frame: Frame) -> GroundTruth:
    assert frame.truth is not None
    return frame.truth


def lit_mean(frame: Frame) -> float:
    return float(frame.pixels[frame.height // 4 : -frame.height // 4, frame.width // 4 : -frame.width // 4].mean())


def test_the_same_seed_gives_the_same_frames_whatever_was_read_before() -> None:
    settings: dict[str, Any] = {"seed": 5, "size": (160, 120), "frames": 9, "frames_per_eye": 4, "faults": 0.5}
    first, second = frames_of(**settings), frames_of(**settings)
    assert [frame.sha256 for frame in first] == [frame.sha256 for frame in second]
    with SimulatedCamera(SimulatedConfig(**settings)) as camera:
        for k in (8, 0, 5):
            pixels, truth = camera.render(k)
            np.testing.assert_array_equal(pixels, first[k].pixels)
            np.testing.assert_array_equal(truth.vessels, truth_of(first[k]).vessels)
            assert truth.ridge_in_view == truth_of(first[k]).ridge_in_view


def test_another_seed_gives_another_infant() -> None:
    one, other = (frames_of(seed=seed, size=(160, 120), frames=1)[0] for seed in (1, 2))
    assert np.count_nonzero(truth_of(one).vessels != truth_of(other).vessels) > 200


def test_no_two_frames_are_equal() -> None:
    frames = frames_of(size=(96, 72), frames=300, frames_per_eye=100, motion=0, faults=0.3)
    assert len({frame.sha256 for frame in frames}) == 300


@pytest.mark.parametrize("device", ["retcam", "neo"])
@pytest.mark.parametrize("seed", range(3))
def test_green_is_darker_on_the_vessels_than_beside_them(device: str, seed: int) -> None:
    frame = frames_of(device=device, seed=seed, frames=1, ridge=0)[0]
    on = truth_of(frame).vessels > 0
    near = cv2.dilate(truth_of(frame).vessels, np.ones((13, 13))) > 0
    beside = near & ~(cv2.dilate(truth_of(frame).vessels, np.ones((5, 5))) > 0) & (frame.pixels.max(axis=2) > 30)
    green = frame.pixels[..., 1].astype(float)
    assert 0.03 < on.mean() < 0.15, "about as much vessel as experts mark"
    assert 0.80 < green[on].mean() / green[beside].mean() < 0.97


def test_the_mask_lies_on_the_vessels_to_a_pixel() -> None:
    frame = frames_of(seed=3, frames=1, ridge=0)[0]
    inner = np.s_[100:380, 120:520]
    smooth = cv2.GaussianBlur(frame.pixels[..., 1].astype(np.float32), (0, 0), 1)
    darker = (cv2.GaussianBlur(smooth, (0, 0), 12) - smooth)[inner]

    def overlap(dx: int, dy: int) -> float:
        moved = np.roll(truth_of(frame).vessels, (dy, dx), (0, 1))[inner] > 0
        return float(darker[moved].mean())

    shifts = {(dx, dy): overlap(dx, dy) for dx in range(-4, 5) for dy in range(-4, 5)}
    dx, dy = max(shifts, key=shifts.__getitem__)
    assert abs(dx) <= 1
    assert abs(dy) <= 1


def test_masks_are_zero_or_255_and_inside_the_field() -> None:
    for frame in frames_of(frames=5, frames_per_eye=5, faults=0.5, ridge=1):
        assert truth_of(frame).vessels.shape == frame.pixels.shape[:2]
        assert set(np.unique(truth_of(frame).vessels)) <= {0, 255}
        assert not truth_of(frame).vessels[:10, :10].any()


def test_a_ridge_is_seen_only_where_there_is_one_and_from_where_it_can_be_seen() -> None:
    without = frames_of(seed=2, size=(96, 72), frames=100, frames_per_eye=100, ridge=0)
    assert not any(truth_of(frame).ridge_in_view for frame in without)
    having = [
        [
            truth_of(frame).ridge_in_view
            for frame in frames_of(seed=seed, size=(96, 72), frames=100, frames_per_eye=100, ridge=1)
        ]
        for seed in range(4)
    ]
    assert all(any(seen[20:40]) for seen in having), "in the temporal view"
    assert not any(any(seen[90:]) for seen in having), "not in the nasal view"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("look", [RETCAM, NEO], ids=["retcam", "neo"])
def test_the_ridge_is_a_line_brighter_than_both_of_its_sides(seed: int, look: Look) -> None:
    scale = 300.0
    retina = draw_retina(np.random.default_rng(seed), look, scale=scale, ridge=True, tortuosity=1.0, vessel_width=1.0)
    outward = retina.ridge / np.hypot(*retina.ridge.T)[:, None]

    def green(offset: float) -> float:
        x, y = np.round((retina.ridge + offset * outward - CENTRE + EXTENT) * scale).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < len(retina.pixels)) & (y < len(retina.pixels))
        return float(retina.pixels[y[inside], x[inside], 1].mean())

    assert green(0.0) > green(-0.09) + 2
    assert green(0.0) > green(0.09) + 2


def test_the_share_of_ridges_is_kept() -> None:
    eyes = [
        any(truth_of(one).ridge_in_view for one in frames_of(seed=seed, size=(64, 48), frames=15, frames_per_eye=30))
        for seed in range(30)
    ]
    assert 7 <= sum(eyes) <= 23


def test_faults_come_at_their_rate_and_all_kinds_of_them() -> None:
    kinds = [truth_of(frame).fault for frame in frames_of(size=(64, 48), frames=400, faults=0.25)]
    assert set(kinds) == {None, *FAULTS}
    assert 60 <= sum(kind is not None for kind in kinds) <= 140
    assert {truth_of(frame).fault for frame in frames_of(size=(64, 48), frames=20)} == {None}


def test_each_fault_spoils_the_frame_in_its_own_way() -> None:
    settings: dict[str, Any] = {"seed": 6, "size": (320, 240), "frames": 40, "frames_per_eye": 40}
    good, spoilt = frames_of(**settings), frames_of(**settings, faults=1.0)
    for before, after in zip(good, spoilt, strict=True):
        if truth_of(after).fault == "dark":
            assert lit_mean(after) < 0.25 * lit_mean(before)
        elif truth_of(after).fault == "glare":
            assert np.count_nonzero(after.pixels.min(axis=2) > 230) > 1000
        elif truth_of(after).fault == "defocus":
            sharp, soft = (cv2.blur(f.pixels[80:160, 80:240, 1], (3, 3)) for f in (before, after))
            assert cv2.Laplacian(soft, cv2.CV_64F).var() < 0.8 * cv2.Laplacian(sharp, cv2.CV_64F).var()
        else:
            assert truth_of(after).fault == "blink"
            assert np.count_nonzero(after.pixels.max(axis=2) > 30) < 0.85 * np.count_nonzero(
                before.pixels.max(axis=2) > 30
            )
            assert np.count_nonzero(truth_of(after).vessels) < np.count_nonzero(truth_of(before).vessels)


@pytest.mark.parametrize(("device", "covered"), [("retcam", 0.866), ("neo", 0.787)])
def test_the_field_has_the_shape_of_the_device(device: str, covered: float) -> None:
    frame = frames_of(device=device, frames=1)[0]
    share = (frame.pixels.max(axis=2) > 25).mean()
    assert share == pytest.approx(covered, abs=0.02), "share of the frame that is lit in real images"


@pytest.mark.parametrize(("device", "rgb"), [("retcam", (184, 115, 65)), ("neo", (167, 136, 83))])
def test_colours_are_near_those_of_real_images(device: str, rgb: tuple[int, int, int]) -> None:
    means = []
    for seed in range(8):
        pixels = frames_of(device=device, seed=seed, size=(160, 120), frames=1)[0].pixels
        means.append(pixels[pixels.max(axis=2) > 25].mean(axis=0))
    assert np.abs(np.median(means, axis=0) - rgb).max() < 35


def test_tortuosity_and_width_change_the_vessels() -> None:
    def length_and_area(**settings: Any) -> tuple[float, float]:
        vessels = truth_of(frames_of(seed=9, frames=1, **settings)[0]).vessels
        contours, _ = cv2.findContours(vessels, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        return sum(cv2.arcLength(contour, True) for contour in contours), float(np.count_nonzero(vessels))

    assert length_and_area(vessel_width=1.6)[1] > 1.25 * length_and_area()[1]
    smooth, winding = frames_of(seed=9, frames=1, tortuosity=0)[0], frames_of(seed=9, frames=1, tortuosity=4)[0]
    assert np.count_nonzero(truth_of(smooth).vessels != truth_of(winding).vessels) > 5000


@pytest.mark.parametrize("size", [(32, 32), (33, 4096), (641, 479)])
def test_odd_sizes_are_drawn(size: tuple[int, int]) -> None:
    frame = frames_of(size=size, frames=1, faults=1.0)[0]
    assert (frame.width, frame.height) == size


def test_frames_come_on_schedule() -> None:
    frames = frames_of(size=(64, 48), fps=200, frames=12)
    times = [frame.captured_ns for frame in frames]
    for frame in frames:
        late_ns = frame.captured_ns - times[0] - (frame.sequence - frames[0].sequence) * 5_000_000
        assert abs(late_ns) <= 2, "times of capture are the schedule's, to rounding"


def test_frames_that_the_reader_is_too_slow_for_are_dropped() -> None:
    with SimulatedCamera(SimulatedConfig(size=(64, 48), fps=1000)) as camera:
        first = camera.read()
        assert first is not None
        while time.monotonic_ns() < first.captured_ns + 20_000_000:
            pass
        late = camera.read()
    assert late is not None
    assert late.sequence >= 20
    assert late.captured_ns >= first.captured_ns + 20_000_000


def test_the_next_eye_comes_after_its_frames() -> None:
    frames = frames_of(seed=1, size=(160, 120), frames=4, frames_per_eye=2, motion=0)

    def changed(a: Frame, b: Frame) -> int:
        return int(np.count_nonzero(truth_of(a).vessels != truth_of(b).vessels))

    assert changed(frames[1], frames[2]) > 3 * 100
    assert changed(frames[1], frames[2]) > changed(frames[2], frames[3]) / 2


def test_the_next_eye_is_drawn_from_the_middle_of_this_one_on(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []
    draw = SimulatedCamera._draw_eye

    def counted(camera: SimulatedCamera, number: int) -> Any:
        numbers.append(number)
        return draw(camera, number)

    monkeypatch.setattr(SimulatedCamera, "_draw_eye", counted)
    seen = []
    for frames in range(1, 6):
        numbers.clear()
        with SimulatedCamera(SimulatedConfig(size=(64, 48), frames_per_eye=4)) as camera:
            for _ in range(frames):
                camera.read()
            camera._painter.submit(lambda: None).result()  # what is in the queue before it is drawn
        seen.append(len(numbers))
    assert seen == [1, 1, 2, 2, 2]
