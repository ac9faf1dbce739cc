from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.preprocess import SIDE, TALLEST_SHARED, network_input


def training_side(pixels: np.ndarray) -> np.ndarray:
    """What the networks were trained on: one antialiased bilinear resize of the picture."""
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


@given(width=st.integers(1, 1400), height=st.integers(1, 959))
@settings(max_examples=25, deadline=None)
def test_up_to_959_pixels_it_is_the_training_resize_to_the_bit(width: int, height: int) -> None:
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(network_input(pixels)[0], training_side(pixels))
    with ThreadPoolExecutor(1) as helper:
        assert np.array_equal(network_input(pixels, helper)[0], training_side(pixels))


@pytest.mark.parametrize("height", [TALLEST_SHARED, TALLEST_SHARED + 1])
def test_a_frame_of_any_height_is_the_same_with_a_helper(height: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (height, 64, 3), dtype=np.uint8)
    with ThreadPoolExecutor(1) as helper:
        assert np.array_equal(network_input(pixels, helper)[0], training_side(pixels))


@pytest.mark.parametrize(("width", "height"), [(960, 960), (2040, 2040), (1279, 960)])
def test_a_large_frame_is_the_same_with_a_helper(width: int, height: int) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with ThreadPoolExecutor(1) as helper:
        assert np.array_equal(network_input(pixels, helper), network_input(pixels))


@pytest.mark.parametrize(("width", "height"), [(960, 960), (1280, 960), (2040, 2040), (2041, 2039), (1600, 1200)])
def test_larger_frames_stay_close_even_where_every_pixel_is_noise(width: int, height: int) -> None:
    noise = np.random.default_rng(1).normal(128, 20, (height, width, 3))
    pixels = np.clip(noise, 0, 255).astype(np.uint8)
    difference = np.abs(network_input(pixels)[0].astype(int) - training_side(pixels).astype(int))
    assert difference.max() <= 8
    assert difference.mean() <= 1.0


@pytest.mark.data
def test_on_large_frames_of_infants_the_difference_is_a_grey_level_or_two(data_root: Path) -> None:
    worst, means = 0, []
    for path in sorted((data_root / "hvdropdb_ridge" / "images").glob("Neo_*"))[:10]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((2040, 2040), Image.Resampling.BICUBIC))
        difference = np.abs(network_input(pixels)[0].astype(int) - training_side(pixels).astype(int))
        worst, means = max(worst, int(difference.max())), [*means, float(difference.mean())]
    assert worst <= 8
    assert np.mean(means) <= 0.4


def test_shape_and_type() -> None:
    image = network_input(np.zeros((480, 640, 3), np.uint8))
    assert image.shape == (1, 256, 256, 3)
    assert image.dtype == np.uint8
