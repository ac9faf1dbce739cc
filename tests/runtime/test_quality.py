from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from runtime import quality
from runtime.preprocess import network_input
from runtime.quality import (
    BLURRED,
    FIELD,
    NOT_A_RETINA,
    NOT_ONE,
    TOO_BRIGHT,
    TOO_DARK,
    UNEVEN,
    QualityLimits,
    grade,
    measure,
)
from tests.bench.covers import SHAPES, Eye, hidden
from tests.bench.uneven_light import LIGHTS, lit
from tests.pictures import retina

Picture = np.ndarray
INFANT_SETS = ("hvdropdb_vessels", "hvdropdb_disc", "hvdropdb_ridge")


@pytest.fixture(scope="module")
def infants(data_root: Path) -> list[Picture]:
    paths = [
        data_root / name / row["image"]
        for name in INFANT_SETS
        for row in csv.DictReader((data_root / name / "labels.csv").read_text().splitlines())
    ]
    return [network_input(np.asarray(Image.open(path).convert("RGB")))[0] for path in paths]


@pytest.mark.data
def test_every_frame_of_an_infant_that_graders_kept_is_gradable(infants: list[Picture]) -> None:
    refused = [grade(picture).reasons for picture in infants if not grade(picture).gradable]
    assert refused == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["hrf", "chase_db1", "fives_amd20"])
def test_other_cameras_pass_too(data_root: Path, name: str) -> None:
    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((data_root / name / "images").iterdir())]
    assert [grade(network_input(p)[0]).reasons for p in pictures if not grade(network_input(p)[0]).gradable] == []


def _defocus(picture: Picture) -> Picture:
    return cv2.GaussianBlur(picture, (0, 0), 3)


def _darken(picture: Picture) -> Picture:
    return (picture * 0.12).astype(np.uint8)


def _overexpose(picture: Picture) -> Picture:
    return np.clip(picture * 3.0, 0, 255).astype(np.uint8)


def _cut(picture: Picture) -> Picture:
    half = np.array(picture)
    half[:, 118:] = 0
    return half


def _bluish(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[..., ::-1])


@pytest.mark.data
@pytest.mark.parametrize(
    ("spoil", "reason", "share"),
    [
        (_defocus, BLURRED, 1.0),
        (_darken, TOO_DARK, 1.0),
        (_overexpose, TOO_BRIGHT, 0.95),
        (_cut, FIELD, 1.0),
        (_bluish, NOT_A_RETINA, 1.0),
    ],
)
def test_spoilt_frames_are_refused_for_what_is_wrong(
    infants: list[Picture], spoil: Callable[[Picture], Picture], reason: str, share: float
) -> None:
    found = [reason in grade(spoil(picture)).reasons for picture in infants]
    assert np.mean(found) >= share


LARGE = [name for name in LIGHTS if name not in ("one side, a sixth", "a slope", "towards the rim, steep")]
"""Those that leave more than a small part in the dark, of a drawn eye that is evenly lit."""


@pytest.mark.parametrize("name", LARGE)
def test_a_part_in_the_dark_is_told_whatever_its_shape_and_side(name: str) -> None:
    whole = retina(3, 640, 480)
    assert grade(network_input(whole)[0]).gradable
    for turn in (0.0, 2.0, 4.4):
        assert UNEVEN in grade(network_input(lit(whole, LIGHTS[name], 0.1, turn))[0]).reasons
        assert grade(network_input(lit(whole, LIGHTS[name], 0.6, turn))[0]).gradable


@pytest.mark.parametrize("share", [0.25, 0.3])
def test_a_part_without_any_light_is_told_though_it_is_no_field_any_more(share: float) -> None:
    whole = np.ascontiguousarray(network_input(retina(3, 640, 480))[0])
    for turned in range(4):
        spoilt = np.rot90(whole, turned).copy()
        spoilt[:, : int(256 * share)] = 0
        assert UNEVEN in grade(spoilt).reasons


def test_a_field_that_lies_a_little_off_the_middle_is_evenly_lit() -> None:
    whole = network_input(retina(3, 480, 480))[0]
    for moved in (-12, 12):
        assert UNEVEN not in grade(np.roll(whole, moved, axis=1)).reasons


def test_of_a_picture_that_is_dark_all_over_it_is_not_told() -> None:
    assert UNEVEN not in grade(np.zeros((256, 256, 3), np.uint8)).reasons
    assert grade(network_input(retina(3) // 6)[0]).reasons[0] == TOO_DARK


@pytest.mark.parametrize("share", [0.4, 0.33, 0.25, 0.1])
def test_a_darkened_picture_is_told_of_its_light_first(share: float) -> None:
    for darker in (retina(3, 640, 480), cv2.GaussianBlur(retina(4, 640, 480), (0, 0), 2)):
        found = grade(network_input(np.asarray(darker * share, np.uint8))[0])
        assert found.gradable or found.reasons[0] == TOO_DARK, (share, found)
    soft = np.asarray(cv2.GaussianBlur(retina(4, 640, 480), (0, 0), 6), np.uint8)
    assert grade(network_input(soft)[0]).reasons[0] == BLURRED


PLACE = Eye(retina(3, 640, 480), (400.0, 200.0), (320.0, 240.0, 320.0))


@pytest.mark.parametrize("soft", [0.0, 0.02])
@pytest.mark.parametrize("shape", ["spot, 10 %", "spot, 20 %", "side", "finger", "lid"])
def test_a_part_of_the_eye_that_is_hidden_is_told_whatever_its_shape_and_colour(shape: str, soft: float) -> None:
    assert grade(network_input(PLACE.pixels)[0]).gradable
    for colour, reason in (
        ((255, 255, 255), TOO_BRIGHT),
        ((240, 240, 236), TOO_BRIGHT),
        ((255, 245, 210), TOO_BRIGHT),
        ((205, 150, 125), FIELD),
        ((95, 60, 45), FIELD),
        ((40, 30, 28), FIELD),
    ):
        covered = hidden(PLACE, SHAPES[shape], np.array(colour, np.uint8), soft, 0.0)
        found = grade(network_input(covered)[0])
        assert reason in found.reasons or UNEVEN in found.reasons, (colour, found)
        assert not found.gradable


@pytest.mark.parametrize("noise", [1.5, 4.0, 8.0])
@pytest.mark.parametrize("shape", ["spot, 10 %", "spot, 20 %", "side", "lid"])
def test_a_sensors_noise_on_what_hides_the_eye_is_no_relief(shape: str, noise: float) -> None:
    for colour in ((205, 150, 125), (190, 120, 70), (95, 60, 45)):
        covered = hidden(PLACE, SHAPES[shape], np.array(colour, np.uint8), 0.02, noise)
        found = grade(network_input(covered)[0])
        assert FIELD in found.reasons or UNEVEN in found.reasons, (colour, found)


@pytest.mark.parametrize(("noise", "grains", "jpeg"), [(8, 0, 75), (8, 0, 85), (4, 1, None), (8, 1.5, 85)])
@pytest.mark.parametrize("shape", ["spot, 10 %", "spot, 20 %", "side", "lid"])
def test_noise_that_was_stored_or_knows_its_neighbours_is_no_relief(
    shape: str, noise: float, grains: float, jpeg: int | None
) -> None:
    drawn = np.random.default_rng(3).normal(0, 1, PLACE.pixels.shape).astype(np.float32)
    soft = cv2.GaussianBlur(drawn, (0, 0), grains) if grains else drawn
    for colour in ((205, 150, 125), (190, 120, 70)):
        layer = np.array(colour, np.float32) + soft * (noise / soft.std())
        covered = hidden(PLACE, SHAPES[shape], layer, 0.02, 0.0)
        found = grade(network_input(covered if jpeg is None else _stored(covered, jpeg))[0])
        assert FIELD in found.reasons or UNEVEN in found.reasons, (colour, found)


def _stored(pixels: Picture, quality: int) -> Picture:
    stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)


def _crops(pixels: Picture) -> dict[str, Picture]:
    """Parts of a picture that nobody would call its whole field, some on black again."""
    height, width = pixels.shape[:2]
    parts = {f"middle {share}": _middle(pixels, share) for share in (0.7, 0.6, 0.4)}
    parts |= {
        "upper left": pixels[: height * 4 // 5, : width * 4 // 5],
        "lower right": pixels[height // 4 :, width // 4 :],
        "upper half": pixels[: height // 2],
        "left": pixels[:, : width * 3 // 5],
    }
    parts |= {f"{name}, on black": _on_black(part) for name, part in parts.items()}
    return {name: np.ascontiguousarray(part) for name, part in parts.items()}


def _middle(pixels: Picture, share: float) -> Picture:
    rows, columns = (round(side * (1 - share) / 2) for side in pixels.shape[:2])
    return pixels[rows:-rows, columns:-columns]


def _on_black(pixels: Picture) -> Picture:
    sides = [side // 8 for side in pixels.shape[:2]]
    return np.pad(pixels, ((sides[0],) * 2, (sides[1],) * 2, (0, 0)))


@pytest.mark.parametrize("cut", [0, 40], ids=["round", "cut by the sensor above and below"])
def test_a_part_of_a_picture_is_no_whole_field(cut: int) -> None:
    whole = retina(3, 640, 640)[cut : 640 - cut]
    assert grade(network_input(whole)[0]).gradable
    assert grade(network_input(_on_black(whole))[0]).gradable
    for name, part in _crops(whole).items():
        assert not grade(network_input(part)[0]).gradable, name
        if name.startswith("middle"):  # of the others it may be told that one side lies in the dark
            assert FIELD in grade(network_input(part)[0]).reasons, name


@pytest.mark.data
def test_no_part_of_an_infants_picture_is_a_whole_field(data_root: Path) -> None:
    for path in sorted((data_root / "hvdropdb_ridge" / "images").iterdir())[::9]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        kept = [name for name, part in _crops(pixels).items() if grade(network_input(part)[0]).gradable]
        assert kept == [], path.name


def test_a_whole_eye_with_a_sensors_noise_is_gradable() -> None:
    for seed in range(4):
        noisy = PLACE.pixels + np.random.default_rng(seed).normal(0, 2.5, PLACE.pixels.shape)
        assert FIELD not in grade(network_input(np.clip(noisy, 0, 255).astype(np.uint8))[0]).reasons


def test_small_bright_spots_are_no_hole_and_do_not_add_up() -> None:
    shown = PLACE.pixels.copy()
    for place in range(8):
        cv2.circle(shown, (180 + 40 * place, 240), 13, (255, 255, 255), -1)
    assert measure(network_input(shown)[0])["glare_spot"] < 0.005
    assert TOO_BRIGHT not in grade(network_input(shown)[0]).reasons


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((256, 256, 3), np.uint8), TOO_DARK),
        (np.full((256, 256, 3), 255, np.uint8), TOO_BRIGHT),
        (np.full((256, 256, 3), 128, np.uint8), NOT_A_RETINA),
        (np.full((256, 256, 3), (190, 120, 70), np.uint8), BLURRED),
        (np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8), NOT_A_RETINA),
    ],
    ids=["black", "white", "grey", "one colour", "noise"],
)
def test_pictures_that_are_no_retina_are_refused(picture: Picture, reason: str) -> None:
    quality = grade(picture)
    assert not quality.gradable
    assert reason in quality.reasons


def test_every_measure_is_a_finite_number_even_of_nothing() -> None:
    measures = grade(np.zeros((256, 256, 3), np.uint8)).measures
    assert all(np.isfinite(value) for value in measures.values())


@pytest.mark.parametrize("name", [limit.name for limit in fields(QualityLimits)])
def test_a_limit_that_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"quality limit {name}: got not-a-number"):
        QualityLimits(**{name: math.nan})


def test_a_measure_that_is_no_number_fails_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = {
        "brightness": 120.0,
        "glare_share": 0.0,
        "field_share": 0.9,
        "fields": 1.0,
        "detail": 3.0,
        "edge_ratio": 5.0,
        "redness": 0.2,
        "green_excess": 0.0,
        "dark_twentieth": 0.5,
        "dark_third": 0.7,
        "glare_spot": 0.0,
        "blank": 0.0,
        "edge_lit": 0.0,
        "corner_lit": 0.0,
        "relief": 0.3,
    }
    picture = np.zeros((256, 256, 3), np.uint8)
    monkeypatch.setattr("runtime.quality.measure", lambda image: sound)
    assert grade(picture).gradable
    for name in sound:
        monkeypatch.setattr("runtime.quality.measure", lambda image, name=name: sound | {name: math.nan})
        assert not grade(picture).gradable, name


@pytest.mark.parametrize(("across", "down"), [(2, 1), (1, 2), (2, 2), (3, 2)])
def test_several_eyes_in_one_picture_are_not_one_retina(across: int, down: int) -> None:
    eyes = [
        [retina(seed=across * row + column, width=240, height=240) for column in range(across)] for row in range(down)
    ]
    sheet = np.vstack([np.hstack(row) for row in eyes])
    small = np.asarray(cv2.resize(sheet, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    assert NOT_ONE in grade(small).reasons
    one = np.asarray(cv2.resize(eyes[0][0], (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    assert NOT_ONE not in grade(one).reasons


GOOD = {
    "brightness": 120.0,
    "glare_share": 0.05,
    "field_share": 0.8,
    "detail": 4.0,
    "edge_ratio": 6.0,
    "fields": 1.0,
    "redness": 0.2,
    "green_excess": -0.1,
    "dark_twentieth": 0.6,
    "dark_third": 0.8,
    "glare_spot": 0.001,
    "blank": 0.001,
    "edge_lit": 0.3,
    "corner_lit": 0.0,
    "relief": 0.3,
}
LIMITS = {
    "brightness_min": (32.0, TOO_DARK),
    "brightness_max": (232.0, TOO_BRIGHT),
    "glare_share_max": (0.25, TOO_BRIGHT),
    "field_share_min": (0.5, FIELD),
    "detail_min": (1.45, BLURRED),
    "detail_max": (14.0, NOT_A_RETINA),
    "edge_ratio_min": (3.4, BLURRED),
    "fields_max": (1, NOT_ONE),
    "redness_min": (0.03, NOT_A_RETINA),
    "green_excess_max": (0.04, NOT_A_RETINA),
    "dark_twentieth_min": (0.21, UNEVEN),
    "dark_third_min": (0.54, UNEVEN),
    "glare_spot_max": (0.03, TOO_BRIGHT),
    "blank_max": (0.015, FIELD),
    "edge_lit_max": (0.55, FIELD),
    "corner_lit_max": (0.4, FIELD),
    "relief_min": (0.14, FIELD),
}
"""Each limit as it ships, and what is said beyond it."""


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_holds_to_the_last_digit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    limit, reason = LIMITS[name]
    assert getattr(QualityLimits(), name) == limit
    measured, _, side = name.rpartition("_")
    beyond = math.nextafter(limit, math.inf if side == "max" else -math.inf)
    for value, told in ((limit, ()), (beyond, (reason,))):
        monkeypatch.setattr(quality, "measure", lambda _, v=value: GOOD | {measured: float(v)})
        found = grade(np.zeros((256, 256, 3), np.uint8))
        assert (found.gradable, found.reasons) == (not told, told)


def test_every_limit_and_every_measure_stands_in_the_table() -> None:
    assert set(LIMITS) == {limit.name for limit in fields(QualityLimits)}
    assert set(GOOD) == set(measure(np.zeros((256, 256, 3), np.uint8)))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"fields": 0.0}, (NOT_ONE,)),  # much is lit, in many small parts
        ({"fields": 0.0, "field_share": 0.1}, (FIELD,)),
        ({"blank": 0.5}, (FIELD,)),
        ({"edge_lit": 1.0, "corner_lit": 1.0}, (FIELD,)),
        ({"edge_lit": 1.0, "redness": 0.0}, (NOT_A_RETINA,)),  # no retina has no round field
        ({"blank": 0.5, "detail": 1.0}, (BLURRED,)),  # what is blurred is blank, too
        ({"dark_third": 0.1, "brightness": 20.0}, (TOO_DARK,)),
        ({"dark_third": 0.1, "field_share": 0.4}, (FIELD,)),
        ({"dark_third": 0.1, "brightness": 32.0}, (UNEVEN,)),  # bright enough, to the last digit
        ({"dark_third": 0.1, "field_share": 0.5}, (UNEVEN,)),
        ({"fields": 0.0, "field_share": 0.5}, (NOT_ONE,)),
        ({"detail": 1.0, "brightness": math.nextafter(quality.DIM, 0)}, (TOO_DARK, BLURRED)),
        ({"detail": 1.0, "brightness": quality.DIM}, (BLURRED,)),
        ({"detail": 1.0, "brightness": 50.0, "redness": 0.0}, (TOO_DARK, NOT_A_RETINA, BLURRED)),  # worst first
        ({"brightness": 20.0, "detail": 1.0, "redness": 0.0}, (TOO_DARK, NOT_A_RETINA, BLURRED)),
    ],
)
def test_what_goes_together_and_what_does_not(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, float], reasons: tuple[str, ...]
) -> None:
    monkeypatch.setattr(quality, "measure", lambda _: GOOD | changes)
    assert grade(np.zeros((256, 256, 3), np.uint8)).reasons == reasons
