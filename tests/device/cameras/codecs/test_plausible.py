"""A colour profile that is damaged makes no colours of its own: it is passed over, and told."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from device.cameras.codecs.colours import SPACES, SRGB, matrix_profile
from device.cameras.codecs.plausible import plausible
from device.cameras.codecs.profile import to_srgb
from device.cameras.files.decode import decode_picture

WIDE, P3 = matrix_profile(SPACES["ADOBERGB"]), matrix_profile(SPACES["DISPLAYP3"])
D65 = np.array([0.9505, 1.0, 1.0891])
CURVE = 12
"""Where a curve's entries begin in its block."""


def changed(profile: bytes, at: int, to: bytes) -> bytes:
    return profile[:at] + to + profile[at + len(to) :]


def block(profile: bytes, tag: bytes) -> int:
    """Where the block of a tag begins."""
    entry = profile.index(tag, 128)
    return int.from_bytes(profile[entry + 4 : entry + 8], "big")


def fixed(values: Sequence[float] | np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def signed(profile: bytes) -> bytes:
    """With the check sum that version 4 has, for which flags, intent and itself are zero."""
    return changed(profile, 84, hashlib.md5(profile, usedforsecurity=False).digest())


def under_d65() -> bytes:
    """Of version 2, not adapted: colorants that make its own white."""
    own = changed(WIDE, block(WIDE, b"wtpt") + 8, fixed(D65))
    red, green = (np.frombuffer(WIDE[block(WIDE, tag) + 8 :][:12], ">i4") / 65536 for tag in (b"rXYZ", b"gXYZ"))
    return changed(own, block(WIDE, b"bXYZ") + 8, fixed(D65 - red - green))


def parametric(kind: int, *values: float) -> bytes:
    made = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(values)
    return changed(P3, block(P3, b"rTRC"), made)


def curve(values: np.ndarray) -> bytes:
    return changed(P3, block(P3, b"rTRC") + CURVE, (values * 65535).round().astype(">u2").tobytes())


RISING = np.linspace(0, 1, 1024) ** 2.2
WHOLE = {space.name: matrix_profile(space) for space in (*SPACES.values(), SRGB)} | {
    "linear": matrix_profile(replace(SRGB, gamma=1.0)),
    "of the library": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "check sum": signed(P3),
    "check sum, another intent": changed(signed(P3), 64, b"\0\0\0\1"),
    "under its own white": under_d65(),
    "a negative's curve": curve(RISING[::-1]),
    "rounded to 8 bits": curve(np.round(RISING * 255) / 255),
    "gamma": parametric(0, 2.4),
    "CIE 122": parametric(1, 2.4, 1.1, 0.1),
    "IEC 61966-3": parametric(2, 2.4, 1.1, 0.1, 0.05),
    "sRGB's": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "sRGB's with offsets": parametric(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0),
}
DAMAGED = {
    "cut": P3[:3000],
    "a byte of the name, with a check sum": changed(signed(P3), block(P3, b"desc") + 14, b"?"),
    "a colorant": changed(WIDE, block(WIDE, b"gXYZ") + 14, b"\x40"),
    "no colorant": changed(WIDE, WIDE.index(b"gXYZ", 128), b"gone"),
    "a hole in a curve": changed(P3, block(P3, b"gTRC") + CURVE + 900, bytes(64)),
    "an entry of a curve": curve(np.where(np.arange(1024) == 500, 0.9, RISING)),
    "a gamma of nothing": changed(WIDE, block(WIDE, b"rTRC") + CURVE, bytes(2)),
    "a gamma of 80": changed(WIDE, block(WIDE, b"rTRC") + CURVE, b"\x50\0"),
    "more entries than there are": changed(P3, block(P3, b"bTRC") + 8, b"\0\0\x40\0"),
    "a power of 200": parametric(3, 200, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "a step back": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 9, 0.04045),
    "a curve of no kind": changed(P3, block(P3, b"rTRC"), b"curb"),
    "a parametric one of no kind": parametric(9, 2.4),
}


@pytest.mark.parametrize("what", WHOLE)
def test_a_profile_as_makers_write_it_is_used(what: str) -> None:
    assert plausible(WHOLE[what])


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_profile_is_passed_over_and_told(tmp_path: Path, what: str) -> None:
    assert not plausible(DAMAGED[what])
    path = tmp_path / "eye.png"
    Image.new("RGB", (64, 64), (160, 80, 40)).save(path, icc_profile=DAMAGED[what])
    read = decode_picture(path)
    assert read.changes == ("colour profile passed over: it cannot be used",)
    assert read.pixels[32, 32].tolist() == [160, 80, 40]


@pytest.mark.parametrize("profile", [WIDE, P3, WHOLE["sRGB"], signed(P3)], ids=["gamma", "curve", "sRGB", "check sum"])
def test_of_bytes_changed_anywhere_next_to_none_makes_other_colours(profile: bytes) -> None:
    """Converted as by the whole profile, or not at all."""
    levels = np.linspace(0, 255, 6).round().astype(np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 36, 3))
    whole, draw, other = np.asarray(to_srgb(colours, profile)[0], np.int16), np.random.default_rng(5), 0
    for _ in range(100):
        at, count = int(draw.integers(128, len(profile))), int(draw.integers(1, 17))
        spoilt = changed(profile, at, draw.bytes(min(count, len(profile) - at)))
        converted, said = to_srgb(colours, spoilt)
        passed_over = said is not None and "cannot be used" in said
        other += not passed_over and bool(np.abs(np.asarray(converted, np.int16) - whole).max() > 3)
    assert other <= 1
