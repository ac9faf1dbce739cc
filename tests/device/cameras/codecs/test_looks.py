"""What is looked for by compiled code (`looks.h`, of which `rop-read` is built, too) is what Python and NumPy find."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from device.cameras.codecs import further, seams
from tests.pictures import retina

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def looks() -> Any:
    return pytest.importorskip("device.cameras.codecs._looks", reason="not compiled here")


def damaged() -> Iterator[tuple[str, Pixels]]:
    """Whole ones, flat rows in every place, wrong bits in a JPEG, sizes at the limits, drawings."""
    whole = retina(1, 320, 240)
    yield "whole", whole
    for first, end, level in (
        (100, 104, 90),
        (200, 240, 120),
        (234, 240, 120),
        (232, 240, 120),
        (0, 8, 24),
        (0, 8, 25),
    ):
        for most in (level, 245):
            flat = whole.copy()
            flat[first:end] = (level, level, most)
            yield f"rows {first} to {end} of {level}, {most}", flat
    framed = whole.copy()
    framed[:20], framed[220:] = 120, (120, 110, 90)
    yield "framed", framed
    yield "one colour", np.full((240, 320, 3), 120, np.uint8)
    yield "slowly brighter", np.tile(np.arange(240, dtype=np.uint8)[:, None, None], (1, 320, 3))
    shifted = whole.copy()
    shifted[160:] = np.roll(shifted[160:], 40, axis=1)
    yield "shifted", shifted
    brighter = whole.copy()
    brighter[120:] = np.clip(brighter[120:].astype(int) + 30, 0, 255)
    yield "brighter", brighter
    rng = np.random.default_rng(5)
    for height, width in (
        (47, 32),
        (48, 31),
        (48, 32),
        (49, 33),
        (55, 161),
        (64, 319),
        (64, 320),
        (1000, 321),
        (48, 4000),
    ):
        yield f"noise {height} x {width}", rng.integers(0, 256, (height, width, 3), np.uint8)
        yield f"retina {height} x {width}", retina(2, width, height)
    file = simplejpeg.encode_jpeg(whole, 60)
    for bit, at in enumerate(range(len(file) // 3, len(file) - 20, 97)):
        spoiled = bytearray(file)
        spoiled[at] ^= 1 << bit % 8
        try:
            yield f"bit {bit}", simplejpeg.decode_jpeg(bytes(spoiled))
        except ValueError:
            continue


def scores(pixels: Pixels) -> list[float]:
    """By the rounding of brightness: not known, and up to the strongest that a JPEG has."""
    return [seams.seam_score(pixels, quantum) for quantum in (0.0, 0.25, 2.0, 10.0, 31.875)]


def test_damage_is_the_same_by_both(looks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flat, torn, rounded = 0, 0, 0
    for name, pixels in damaged():
        monkeypatch.setattr(seams, "_looks", looks)
        compiled = seams._flat_rows(pixels), scores(pixels)
        monkeypatch.setattr(seams, "_looks", None)
        plain = seams._flat_rows(pixels), scores(pixels)
        assert compiled[0] == plain[0], name
        assert compiled[1] == pytest.approx(plain[1], rel=1e-5, abs=1e-5), name
        flat += plain[0] is not None
        torn += plain[1][0] > 1
        rounded += plain[1][0] > 1 > plain[1][-1]
    assert flat >= 3
    assert torn >= 10
    assert rounded >= 3


def test_views_are_seen_as_their_copies_are(looks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seams, "_looks", looks)
    whole = retina(3, 400, 300)
    for view in (whole[::-1], whole[:, ::-1], whole[20:280, 31:390], whole[:, :, ::-1]):
        assert seams.seam_score(view) == seams.seam_score(view.copy())
        assert seams._flat_rows(view) == seams._flat_rows(view.copy())


def picture_bytes(kind: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 40, 20)).save(buffer, kind)
    return buffer.getvalue()


PIECES = [
    *(picture_bytes(kind, size) for kind in ("JPEG", "PNG", "WEBP") for size in ((64, 48), (30, 20))),
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF....WEBP",
    b"RIFF\r\n\0\xffWEBP",
    b"\xff" * 40,
    bytes(20),
    b"\xff\xd8\xff\xc0\0\x0b\x08\0\x30\0\x40\x01",
    b"\xff\xd8\xff\xe0\0\x02\xff\xf7\0\x08\x08\0\x30\0\x40",
    b"abc",
]


@given(parts=st.lists(st.sampled_from(PIECES), max_size=8), cut=st.integers(0, 40), end=st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_as_many_pictures_are_found_by_both(looks: Any, parts: list[bytes], cut: int, end: int) -> None:
    data = b"".join(parts)
    data = data[: max(len(data) - cut, 0)]
    assert looks.pictures(data, end, (64, 48)) == further._pictures(data, end, (64, 48))


def test_beginnings_beyond_what_chance_makes_and_soups_of_bytes(looks: Any) -> None:
    for count in (999, 1000, 1001, 1500):
        data = b"\xff\xd8\xff\0" * count
        assert looks.pictures(data, 0, (64, 48)) == further._pictures(data, 0, (64, 48)), count
    rng = random.Random(3)
    for _ in range(400):
        soup = bytes(rng.choices((0, 1, 2, 8, 9, 0x30, 0xC0, 0xD8, 0xF7, 0xFF, 0x89), k=rng.randrange(200)))
        data = b"\xff\xd8\xff" + soup + b"\x89PNG\r\n\x1a\n" + soup
        assert looks.pictures(data, 0, (4, 4)) == further._pictures(data, 0, (4, 4)), data


@pytest.mark.parametrize("size", [(240, 319), (0, 320), (-240, -320), (1 << 30, 1 << 30)])
def test_pixels_of_another_size_are_refused(looks: Any, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        looks.flat(retina(1, 320, 240), size)
    with pytest.raises(ValueError, match="do not belong together"):
        looks.score(retina(1, 320, 240), size, 0.0)
    with pytest.raises(ValueError, match="expected 0 or more"):
        looks.pictures(b"", -1, (1, 1))
