"""What the operator is told to do, by where the eye lies and how it is lit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.arrays import UInt8Array
from runtime.cart.hints import Framing, Hint, framing
from runtime.cart.preview import shrunk


@pytest.fixture(scope="module")
def eye() -> UInt8Array:
    with SimulatedCamera(SimulatedConfig(seed=3, device="neo")) as camera:
        frame = camera.read()
        assert frame is not None
        return shrunk(frame.pixels)[1]


def moved(image: UInt8Array, across: float, down: float, scale: float = 1.0) -> UInt8Array:
    side = image.shape[0]
    centre = side * (1 - scale) / 2
    matrix = np.array([[scale, 0, across * side + centre], [0, scale, down * side + centre]], np.float32)
    return np.asarray(cv2.warpAffine(image, matrix, (side, side)), np.uint8)


def test_a_good_picture_needs_nothing(eye: UInt8Array) -> None:
    found = framing(eye)
    assert found.hint is Hint.GOOD
    assert found.focus > 0.66
    assert 0 < found.exposure < 1


@pytest.mark.parametrize(
    ("hint", "change"),
    [
        (Hint.TOO_DARK, lambda image: (image * 0.1).astype(np.uint8)),
        (Hint.TOO_BRIGHT, lambda image: np.maximum(image, 250)),
        (Hint.NO_EYE, lambda image: np.full_like(image, 120)),
        (Hint.CLOSER, lambda image: moved(image, 0, 0, 0.5)),
        (Hint.MOVE_RIGHT, lambda image: moved(image, 0.3, 0, 0.6)),
        (Hint.MOVE_LEFT, lambda image: moved(image, -0.3, 0, 0.6)),
        (Hint.MOVE_DOWN, lambda image: moved(image, 0, 0.3, 0.6)),
        (Hint.MOVE_UP, lambda image: moved(image, 0, -0.3, 0.6)),
        (Hint.TOO_BRIGHT, lambda image: cv2.circle(image.copy(), (128, 128), 35, (255, 255, 255), -1)),
        (Hint.HIDDEN, lambda image: cv2.circle(image.copy(), (128, 128), 45, (200, 140, 110), -1)),
        (Hint.FOCUS, lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 5), np.uint8)),
    ],
)
def test_what_is_wrong_is_said_as_what_to_do(eye: UInt8Array, hint: Hint, change: object) -> None:
    assert callable(change)
    assert framing(change(eye)).hint is hint


def test_motion_between_two_pictures_is_seen(eye: UInt8Array) -> None:
    assert framing(eye, before=moved(eye, 0.2, 0.2)).hint is Hint.HOLD_STILL
    assert framing(eye, before=eye).hint is Hint.GOOD


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_any_picture_gives_a_hint_and_shares_within_bounds(red: int, green: int, blue: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.full((256, 256, 3), (red, green, blue), np.uint8)
    image[rng.integers(0, 256) :, rng.integers(0, 256) :] = rng.integers(0, 256, 3, np.uint8)
    found = framing(image)
    assert isinstance(found, Framing)
    assert 0 <= found.focus <= 1
    assert 0 <= found.exposure <= 1
    assert all(0 <= value <= 1 for value in found.field)
