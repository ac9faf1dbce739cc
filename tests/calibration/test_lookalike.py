from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.lookalike import SAME_PICTURE, Looks, bits_apart, cut_limits, look, look_inverted, looks_cut
from device.cameras.files import decode
from runtime.preprocess import network_input
from tests.pictures import retina


def saved_again(image: np.ndarray) -> np.ndarray:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "saved again": saved_again,
    "darker": lambda image: np.asarray(image * 0.8, np.uint8),
    "blurred a little": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8),
    "noise": lambda i: np.clip(i + np.random.default_rng(0).normal(0, 2, i.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_picture_looks_the_same(change: str) -> None:
    image = network_input(retina(3))[0]
    assert bits_apart(look(image), look(CHANGES[change](image))) <= SAME_PICTURE


def test_other_pictures_do_not() -> None:
    hashes = [look(network_input(retina(seed))[0]) for seed in range(12)]
    assert min(bits_apart(a, b) for a, b in combinations(hashes, 2)) > SAME_PICTURE


def cut(picture: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Without so many hundredths of each side."""
    height, width = picture.shape[:2]
    rows = slice(round(height * top / 100), height - round(height * bottom / 100))
    return np.ascontiguousarray(picture[rows, round(width * left / 100) : width - round(width * right / 100)])


CUTS = {
    **{f"{most} % all around": (most,) * 4 for most in (2, 3, 3.6, 5, 7.3, 10, 11.6)},
    **{f"{most} % at the left": (most, 0, 0, 0) for most in (2, 3, 5.3, 10)},
    **{f"{most} % at the bottom": (0, 0, 0, most) for most in (2, 3, 5.3, 10)},
    "3 % at the top": (0, 3, 0, 0),
    "7 % at the right": (0, 0, 7, 0),
}


def same_cut(whole: np.ndarray, part: np.ndarray) -> bool:
    looks = looks_cut(network_input(whole)[0])
    left = look(network_input(part)[0])
    return any(bits_apart(one, left) <= limit for one, limit in zip(looks, cut_limits(), strict=True))


@pytest.mark.parametrize("sides", CUTS.values(), ids=CUTS)
def test_a_picture_that_was_cut_is_what_is_left_of_its_whole(sides: tuple[float, float, float, float]) -> None:
    assert same_cut(retina(3), cut(retina(3), *sides))


def test_no_other_picture_is_what_is_left_of_one() -> None:
    looks = [look(network_input(retina(seed))[0]) for seed in range(12)]
    cuts = [looks_cut(network_input(retina(seed))[0]) for seed in range(12)]
    for (a, ways), (b, _) in permutations(enumerate(cuts), 2):
        assert all(bits_apart(way, looks[b]) > limit for way, limit in zip(ways, cut_limits(), strict=True)), (a, b)


def test_a_negative_is_its_picture() -> None:
    negative = look(network_input(255 - retina(3))[0])
    assert bits_apart(look_inverted(network_input(retina(3))[0]), negative) <= SAME_PICTURE
    assert bits_apart(look_inverted(network_input(retina(4))[0]), negative) > SAME_PICTURE


def test_looks_remember() -> None:
    looks = Looks(most_bits=2)
    looks.add(0b1111)
    assert looks.hold(0b1100)
    assert not looks.hold(0b1000)


@pytest.mark.data
def test_on_infants_frames_it_finds_the_known_duplicates_and_no_others(data_root: Path) -> None:
    """`frame_group` joins the frames that recur in the three parts of HVDROPDB."""
    seen: list[tuple[str, int]] = []
    for part in ("hvdropdb_vessels", "hvdropdb_disc", "hvdropdb_ridge"):
        with (data_root / part / "labels.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                if row["device"] == "RetCam":  # the smaller files; Neo's frames lie farther apart still
                    seen.append((row["frame_group"], look(network_input(decode(data_root / part / row["image"]))[0])))
    same = [bits_apart(a, b) for (g, a), (h, b) in combinations(seen, 2) if g == h]
    other = [bits_apart(a, b) for (g, a), (h, b) in combinations(seen, 2) if g != h]
    assert len(same) > 10
    assert max(same) <= SAME_PICTURE // 4
    assert min(other) > SAME_PICTURE
