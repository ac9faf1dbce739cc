from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from device import open_camera
from runtime.gate import structure_measures
from runtime.preprocess import network_input
from runtime.quality import BLURRED, COLOURS, DRAWN_OVER, FIELD, TORN, grade
from runtime.structure import _faults, structure_faults

Picture = np.ndarray


def faults(picture: Picture) -> tuple[str, ...]:
    return structure_faults(picture, network_input(picture)[0])


def drawn(source: str) -> list[Picture]:
    with open_camera(source) as camera:
        frames = [camera.read() for _ in range(4)]
    return [np.array(frame.pixels) for frame in frames if frame is not None]


@pytest.fixture(scope="module", params=["neo", "retcam"])
def frames(request: pytest.FixtureRequest) -> list[Picture]:
    """Of two drawn eyes: two frames of the one, and two of the other."""
    return [*drawn(f"sim:device={request.param},seed=5")[::3], *drawn(f"sim:device={request.param},seed=8")[::3]]


def band(one: Picture, other: Picture) -> Picture:
    torn = one.copy()
    torn[200:290] = np.roll(one[200:290], 60, axis=1)
    return torn


def rest_of_another(one: Picture, other: Picture) -> Picture:
    return np.concatenate([one[:250], other[250:]])


def side_of_another(one: Picture, other: Picture) -> Picture:
    return np.concatenate([one[:, :333], other[:, 333:]], axis=1)


def rows_of_two(one: Picture, other: Picture) -> Picture:
    mixed = one.copy()
    mixed[1::2] = other[1::2]
    return mixed


def moved_between_fields(one: Picture, other: Picture) -> Picture:
    return rows_of_two(one, np.roll(one, (2, 9), axis=(0, 1)))


def odd_rows_brighter(one: Picture, other: Picture) -> Picture:
    return rows_of_two(one, np.where(one > 20, np.minimum(one, 225) + 30, one).astype(np.uint8))


def mirrored(one: Picture, other: Picture) -> Picture:
    half = one.shape[1] // 2
    return np.concatenate([one[:, :half], one[:, :half][:, ::-1]], axis=1)


def upside_down(one: Picture, other: Picture) -> Picture:
    half = len(one) // 2
    return np.concatenate([one[:half], one[:half][::-1]])


def row_repeated(one: Picture, other: Picture) -> Picture:
    stuck = one.copy()
    stuck[300:] = one[300]
    return stuck


def black_corner(one: Picture, other: Picture) -> Picture:
    covered = one.copy()
    covered[: len(one) // 2, : one.shape[1] // 2] = 0
    return covered


def flat_block(one: Picture, other: Picture) -> Picture:
    covered = one.copy()
    covered[140:330, 180:420] = one[one.max(axis=2) > 20].mean(axis=0)
    return covered


def rolled(one: Picture, other: Picture) -> Picture:
    return np.roll(one, 170, axis=0)


def captioned(colour: tuple[int, int, int]) -> Callable[[Picture, Picture], Picture]:
    def write(one: Picture, other: Picture) -> Picture:
        written = one.copy()
        cv2.putText(written, "OD 12:30", (170, 260), cv2.FONT_HERSHEY_SIMPLEX, 1.0, colour, 2, cv2.LINE_AA)
        return written

    return write


def labelled(colour: tuple[int, int, int]) -> Callable[[Picture, Picture], Picture]:
    def write(one: Picture, other: Picture) -> Picture:
        """As a camera's program burns it in: 9 pixels high, strokes of one."""
        written = one.copy()
        cv2.putText(written, "OD 2026-11-30 12:30", (200, 260), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
        return written

    return write


def sepia(one: Picture, other: Picture) -> Picture:
    tones = one @ np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]).T
    _, data = cv2.imencode(".jpg", np.clip(tones, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def angiogram_in_colour(one: Picture, other: Picture) -> Picture:
    grey = one[..., 1].astype(float)
    shown = np.clip(110 - 2 * (grey - cv2.GaussianBlur(grey, (0, 0), 16)), 0, 255) * (one.max(axis=2) > 20)
    return np.asarray(shown[..., np.newaxis] * np.array([1, 0.6, 0.3]), np.uint8)


def circled(one: Picture, other: Picture) -> Picture:
    return np.asarray(cv2.circle(one.copy(), (300, 240), 90, (255, 255, 0), 2, cv2.LINE_AA))


def noise_band(one: Picture, other: Picture) -> Picture:
    noisy = one.copy()
    noisy[220:270] = np.random.default_rng(1).integers(0, 256, noisy[220:270].shape)
    return noisy


def green_for_blue(one: Picture, other: Picture) -> Picture:
    return np.ascontiguousarray(one[..., [0, 2, 1]])


def no_blue(one: Picture, other: Picture) -> Picture:
    return (one * np.array([1, 1, 0], np.uint8)).astype(np.uint8)


MADE: list[tuple[Callable[[Picture, Picture], Picture], str]] = [
    (band, TORN),
    (rest_of_another, TORN),
    (side_of_another, TORN),
    (rows_of_two, TORN),
    (moved_between_fields, TORN),
    (odd_rows_brighter, TORN),
    (mirrored, TORN),
    (upside_down, TORN),
    (row_repeated, TORN),
    (flat_block, TORN),
    (black_corner, FIELD),
    (rolled, FIELD),
    (captioned((255, 255, 255)), DRAWN_OVER),
    (captioned((0, 0, 0)), DRAWN_OVER),
    (captioned((0, 255, 0)), DRAWN_OVER),
    (labelled((255, 255, 255)), DRAWN_OVER),
    (labelled((255, 255, 0)), DRAWN_OVER),
    (labelled((0, 0, 0)), DRAWN_OVER),
    (circled, DRAWN_OVER),
    (noise_band, DRAWN_OVER),
    (green_for_blue, COLOURS),
    (no_blue, COLOURS),
    (sepia, COLOURS),
    (angiogram_in_colour, COLOURS),
]


@pytest.mark.parametrize(("make", "reason"), MADE, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_no_whole_picture_has_its_reason(
    frames: list[Picture], make: Callable[[Picture, Picture], Picture], reason: str
) -> None:
    made = make(frames[0], frames[2])
    gate = grade(network_input(made)[0]).reasons
    assert reason in faults(made) or gate, "it would get an outcome"


def halved(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def enlarged(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))


def compressed(picture: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def brightened(picture: Picture) -> Picture:
    return np.clip(picture * 1.3, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [np.copy, halved, enlarged, compressed, brightened, np.fliplr, np.rot90])
def test_whole_frames_have_none(frames: list[Picture], change: Callable[[Picture], Picture]) -> None:
    assert [faults(np.ascontiguousarray(change(frame))) for frame in frames] == [()] * len(frames)


@pytest.mark.parametrize("shape", [(64, 64), (64, 160), (65, 67), (2040, 2040)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_size_and_any_flat_picture_is_looked_at(shape: tuple[int, int], level: int) -> None:
    faults(np.full((*shape, 3), level, np.uint8))


@pytest.mark.parametrize(
    ("rows", "said"), [(0, ()), (11, ()), (12, (BLURRED,)), (80, (BLURRED,)), (81, (TORN,)), (480, (TORN,))]
)
def test_a_part_that_is_soft_is_not_called_torn(rows: int, said: tuple[str, ...]) -> None:
    whole = structure_measures(np.full((64, 64, 3), 128, np.uint8), np.full((256, 256, 3), 128, np.uint8))
    measured = whole._replace(
        hull_share=1.0, spread=3.0, own_colour=9.0, blue_excess=0.0, comb_ratio=0.5, seam=1.0, likeness=0.0
    )
    assert _faults(measured._replace(comb_offset=0.0, strokes=0, grains=0, repeated_rows=rows)) == said


@pytest.mark.data
def test_reference_frames_that_are_soft_are_not_called_torn(data_root: Path) -> None:
    said: set[str] = set()
    for path in sorted((data_root / "hvdropdb_ridge" / "images").iterdir())[::6]:
        picture = np.asarray(Image.open(path).convert("RGB"))
        for sigma in (0.7, 1.0, 1.5):
            made = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma * picture.shape[1] / 640), np.uint8)
            said |= set(() if grade(network_input(made)[0]).reasons else faults(made))
    assert said == {BLURRED}


@pytest.mark.data
def test_reference_frames_have_none_and_torn_ones_do(data_root: Path) -> None:
    paths = [
        path
        for name in ("hvdropdb_ridge", "hvdropdb_vessels", "hrf", "chase_db1", "fives_amd20")
        for path in sorted((data_root / name / "images").iterdir())[::24]
    ]
    whole = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    assert [(path.name, faults(picture)) for path, picture in zip(paths, whole, strict=True) if faults(picture)] == []
    assert [
        path.name for path, picture in zip(paths, whole, strict=True) if not faults(green_for_blue(picture, picture))
    ] == []
    assert [
        path.name for path, picture in zip(paths, whole, strict=True) if not faults(mirrored(picture, picture))
    ] == []
    for make in (captioned((255, 255, 255)), labelled((255, 255, 255)), labelled((255, 255, 0)), sepia):
        assert [path.name for path, p in zip(paths, whole, strict=True) if not faults(make(p, p))] == [], make


@pytest.mark.parametrize("row", [900, 901, 902, 903])
def test_a_large_frame_is_seen_to_be_torn_wherever_its_rows_are_put_together(frames: list[Picture], row: int) -> None:
    one, other = (enlarged(frames[number]) for number in (0, 2))
    assert TORN in faults(np.concatenate([one[:row], other[row:]]))
