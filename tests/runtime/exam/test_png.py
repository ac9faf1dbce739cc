"""What is stored of a picture is the picture, for this program, for others, and from before."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as pictures
from PIL import Image

from runtime.errors import ScreeningError
from runtime.exam.errors import JournalDamaged
from runtime.exam.journal import png
from runtime.exam.journal.png import decode_png, encode_png

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.just(3)
)


@settings(max_examples=50)
@given(pictures.arrays(np.uint8, SHAPES), st.booleans())
def test_every_picture_comes_back_pixel_for_pixel(pixels: np.ndarray, turned: bool) -> None:
    pixels = np.rot90(pixels) if turned else pixels  # not contiguous, as a camera's turned picture is
    file = encode_png(pixels)
    np.testing.assert_array_equal(decode_png(file), pixels)
    with Image.open(io.BytesIO(file)) as other_reader:  # a strict one: it checks every chunk's sum
        other_reader.load()
        np.testing.assert_array_equal(np.asarray(other_reader), pixels)


def test_without_the_quick_library_the_file_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "compress", zlib.compress)
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    np.testing.assert_array_equal(decode_png(encode_png(pixels)), pixels)


@pytest.mark.parametrize("shape", [(40, 30, 3), (40, 30)])
def test_files_of_before_are_read(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    file = cv2.imencode(".png", stored)[1].tobytes()
    np.testing.assert_array_equal(decode_png(file), pixels)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)],
    ids=["four channels", "16 bits", "no rows", "a line"],
)
def test_what_is_no_picture_is_said(pixels: np.ndarray) -> None:
    with pytest.raises(ScreeningError, match="a PNG is made of"):
        encode_png(pixels)


def test_a_file_that_was_cut_is_damaged() -> None:
    with pytest.raises(JournalDamaged, match="no PNG"):
        decode_png(encode_png(np.zeros((4, 4, 3), np.uint8))[:20])
