from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import runtime.preprocess
from runtime.arrays import UInt8Array
from runtime.preprocess import SIDE, network_input, plain, reduction
from runtime.preprocess.weights import WEIGHT_BITS, weights_for
from tests.runtime.preprocess.golden_pictures import SIZES, digest, name_of, picture

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
MADE_BY = GOLDEN["pillow"]


@pytest.fixture(scope="module")
def kernel(compiled: Callable[[str], Any]) -> Any:
    return compiled("runtime.preprocess._kernel")


@pytest.fixture(params=["compiled", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way that the resize can be done, one after the other."""
    module = request.getfixturevalue("kernel") if request.param == "compiled" else None
    monkeypatch.setattr(runtime.preprocess, "_kernel", module)
    return str(request.param)


def noise(width: int, height: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def one_resize(pixels: UInt8Array) -> UInt8Array:
    """What the networks were trained on: one antialiased bilinear resize, by the Pillow that is installed."""
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: name_of(*size))
def test_the_networks_see_the_golden_pictures(way: str, size: tuple[int, int]) -> None:
    pixels, golden = picture(*size), GOLDEN["sha256"][name_of(*size)]
    assert digest(pixels) == golden["picture"], "the test's own picture came out differently"
    assert digest(network_input(pixels)[0]) == golden["input"], f"{way} resize differs from Pillow {MADE_BY}"


@given(width=st.integers(1, 1400), height=st.integers(1, 1400), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_compiled_and_plain_are_one(kernel: ModuleType, width: int, height: int, seed: int) -> None:
    pixels = noise(width, height, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime.preprocess, "_kernel", kernel)
        compiled = network_input(pixels)
        patch.setattr(runtime.preprocess, "_kernel", None)
        assert np.array_equal(compiled, network_input(pixels))


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("size", [(640, 480), (2040, 2040), (64, 64)], ids=lambda size: name_of(*size))
def test_a_plain_colour_stays_what_it_is(way: str, level: int, size: tuple[int, int]) -> None:
    assert (network_input(np.full((size[1], size[0], 3), level, np.uint8)) == level).all()


def test_the_largest_reduction_does_not_overflow(way: str) -> None:
    assert (network_input(np.full((7700, 8192, 3), 255, np.uint8)) == 255).all()


def test_parts_of_larger_arrays_and_turned_ones(way: str) -> None:
    whole = noise(700, 500)
    for view in (whole[10:490, 30:670], whole[::-1], whole.transpose(1, 0, 2), whole[:, :, ::-1]):
        assert np.array_equal(network_input(view), network_input(np.ascontiguousarray(view)))


@pytest.mark.skipif(
    PIL.__version__ != MADE_BY, reason=f"Pillow {PIL.__version__} is installed, contract is {MADE_BY}'s"
)
@given(width=st.integers(1, 1400), height=st.integers(1, 959))
@settings(max_examples=25, deadline=None)
def test_up_to_959_pixels_it_is_one_resize_to_the_bit(width: int, height: int) -> None:
    pixels = noise(width, height)
    assert np.array_equal(network_input(pixels)[0], one_resize(pixels))


@pytest.mark.parametrize("size", [(320, 480), (257, 257), (341, 511), (640, 480), (959, 959)])
def test_whatever_pillow_is_installed_it_is_within_a_level(size: tuple[int, int]) -> None:
    pixels = picture(*size)
    assert np.abs(network_input(pixels)[0].astype(int) - one_resize(pixels)).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(960, 960), (1280, 960), (2040, 2040), (2041, 2039), (1600, 1200)])
def test_larger_frames_stay_close_even_where_every_pixel_is_noise(width: int, height: int) -> None:
    pixels = np.clip(np.random.default_rng(1).normal(128, 20, (height, width, 3)), 0, 255).astype(np.uint8)
    difference = np.abs(network_input(pixels)[0].astype(int) - one_resize(pixels).astype(int))
    assert difference.max() <= 8
    assert difference.mean() <= 1.0


@pytest.mark.data
def test_on_large_frames_of_infants_the_difference_is_a_grey_level_or_two(data_root: Path) -> None:
    worst, means = 0, list[float]()
    for path in sorted((data_root / "hvdropdb_ridge" / "images").glob("Neo_*"))[:10]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((2040, 2040), Image.Resampling.BICUBIC))
        difference = np.abs(network_input(pixels)[0].astype(int) - one_resize(pixels).astype(int))
        worst, means = max(worst, int(difference.max())), [*means, float(difference.mean())]
    assert worst <= 8
    assert np.mean(means) <= 0.4


@pytest.mark.parametrize(
    ("width", "height", "factor"),
    [(64, 64, 1), (4000, 959, 1), (960, 960, 2), (1439, 5000, 2), (1440, 1440, 3), (2040, 2040, 4), (9000, 9000, 16)],
)
def test_the_shorter_side_decides_how_much_is_reduced_first(width: int, height: int, factor: int) -> None:
    pixels = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    assert reduction(pixels) == factor


@given(pixels=st.integers(1, 5000), part=st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_weights_add_up_to_one_and_stay_inside(pixels: int, part: float) -> None:
    weights = weights_for(pixels, max(pixels - 1 + part, 0.5))
    assert (weights.first >= 0).all()
    assert (weights.count >= 1).all()
    assert (weights.first + weights.count <= pixels).all()
    assert (weights.weights >= 0).all()
    off = np.abs(weights.weights.sum(axis=1) - (1 << WEIGHT_BITS))
    assert (off <= weights.count).all()


@pytest.mark.parametrize("height", [8, 9, 10, 11, 12])
def test_a_mean_of_pixels_is_rounded_as_the_contract_says(height: int) -> None:
    """Nine pixels of together nine times v minus four: floor(2**24 / 9) makes it v - 1, exact arithmetic would v."""
    pixels = np.zeros((height, 3, 3), np.uint8)
    pixels[:3] = np.array([[100, 100, 100], [100, 100, 100], [100, 100, 96]], np.uint8)[:, :, None]
    assert (plain.reduced(pixels, 3)[0] == 99).all()


def wrong_calls() -> list[tuple[str, tuple[Any, ...]]]:
    pixels, out = noise(40, 30), np.empty((1, SIDE, SIDE, 3), np.uint8)
    return [
        ("a smaller picture than its size says", (pixels[1:], out, (30, 40))),
        ("a larger picture than its size says", (pixels, out, (29, 40))),
        ("room for less than the result", (pixels, out[:, 1:], (30, 40))),
        ("sizes below zero", (pixels, out, (-30, -40))),
        ("no size", (pixels[:0], out, (0, 40))),
        ("a size whose bytes overflow", (pixels, out, (1 << 30, 1 << 30))),
        ("taller than a frame can be", (np.zeros((202, 2, 3), np.uint8), out, (202, 2))),
    ]


@pytest.mark.parametrize("case", wrong_calls(), ids=lambda case: case[0])
def test_the_kernel_refuses_what_would_read_past_the_end(kernel: Any, case: tuple[str, tuple[Any, ...]]) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        kernel.resize(*case[1])


def test_shape_and_type(way: str) -> None:
    image = network_input(np.zeros((480, 640, 3), np.uint8))
    assert image.shape == (1, 256, 256, 3)
    assert image.dtype == np.uint8
