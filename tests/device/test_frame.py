"""`Frame`: what it refuses, that it cannot be changed, and its hash."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from device import Frame


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_anything_but_rgb_bytes_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frame a\.png: got .* expected uint8 \[H, W, 3\] RGB"):
        Frame(pixels=pixels, sequence=0, source="a.png")


def test_a_view_becomes_contiguous_with_the_same_values() -> None:
    wide = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    frame = Frame(pixels=wide[:, ::2], sequence=0, source="a.png")
    assert frame.pixels.flags.c_contiguous
    np.testing.assert_array_equal(frame.pixels, wide[:, ::2])
    assert (frame.width, frame.height) == (4, 6)


def test_the_hash_is_that_of_the_bytes_and_the_pixels_stay() -> None:
    frame = Frame(pixels=np.arange(27, dtype=np.uint8).reshape(3, 3, 3), sequence=0, source="a.png")
    assert frame.sha256 == hashlib.sha256(bytes(range(27))).hexdigest()
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 9
