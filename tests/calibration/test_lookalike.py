from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.lookalike import SAME_PICTURE, Looks, bits_apart, look
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
