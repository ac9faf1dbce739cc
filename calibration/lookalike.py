"""A perceptual hash: the same picture saved again, brightened or a little blurred has nearly the same one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array

SIDE = 64
LOW_FREQUENCIES = 16
"""Of the 64 x 64 cosine terms the 16 x 16 lowest: 255 bits without the mean. The customary 64 bits take different
eyes for the same, as every fundus is a bright disc: on HVDROPDB they are 4 bits apart, here 22 (tests.bench.looks)."""
BACKGROUND_SIGMA = 24.0
"""Pixels of 256; what changes more slowly than this is light, not retina."""
SAME_PICTURE = 20
"""Bits: the same frame in another part of HVDROPDB is 2 apart at most, different views 22 at least."""
SAME_VIEW = 28
"""Bits: used for frames that must stay out of a set, where taking too many for the same does no harm."""
SAME_MIDDLE, SAME_REST = 32, 16
"""Bits: a frame of which a margin is cut off all around, or one side, against what is left of the other. Of other
places the least is 42 of a middle and 24 of a rest, of drawn eyes 46 and 20 (tests.bench.looks)."""
MARGINS, SIDES = range(5, 32, 2), range(3, 28, 3)
"""Pixels of 256 that are cut off: 2 to 12 % all around, 1 to 10 % of one side, so near to each other that a cut between
two of them is found by either."""


def look(image: UInt8Array) -> int:
    """The hash of a frame as 255 bits. image: RGB, uint8 [256, 256, 3]."""
    return _hash(_small(image))


def looks_turned(image: UInt8Array) -> tuple[int, ...]:
    """The same of the frame mirrored and turned by quarters, seven ways, without the one in which it is."""
    small = _small(image)
    ways = [np.rot90(side, turns) for side in (small, small[:, ::-1]) for turns in range(4)]
    return tuple(_hash(np.ascontiguousarray(way)) for way in ways[1:])


def look_inverted(image: UInt8Array) -> int:
    """The same of the frame's negative."""
    return _hash(-_small(image))


def looks_cut(image: UInt8Array) -> tuple[int, ...]:
    """The same of the frame without a margin, and without a part of one side, in the order of `cut_limits`."""
    flat = _flat(image)
    middles = [flat[most:-most, most:-most] for most in MARGINS]
    rests = [rest for most in SIDES for rest in (flat[most:], flat[:-most], flat[:, most:], flat[:, :-most])]
    return tuple(_hash(_shrunk(part)) for part in (*middles, *rests))


def cut_limits() -> tuple[int, ...]:
    """Up to how many bits a whole frame is the same as each of `looks_cut`."""
    return (SAME_MIDDLE,) * len(MARGINS) + (SAME_REST,) * 4 * len(SIDES)


def _small(image: UInt8Array) -> FloatArray:
    return _shrunk(_flat(image))


def _flat(image: UInt8Array) -> FloatArray:
    """The green channel without what changes slowly."""
    green: FloatArray = image[..., 1].astype(np.float32)
    flat: FloatArray = green - cv2.GaussianBlur(green, (0, 0), BACKGROUND_SIGMA)
    return flat


def _shrunk(flat: FloatArray) -> FloatArray:
    small: FloatArray = cv2.resize(flat, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    return small


def _hash(small: FloatArray) -> int:
    terms = cv2.dct(small)[:LOW_FREQUENCIES, :LOW_FREQUENCIES].reshape(-1)[1:]
    return int.from_bytes(np.packbits(terms > np.median(terms)).tobytes(), "big")


def bits_apart(a: int, b: int) -> int:
    """How many bits two hashes differ by."""
    return (a ^ b).bit_count()


@dataclass(frozen=True)
class Ways:
    """A frame's looks: as it is, and in each way by which it is known when it was changed."""

    whole: int
    changed: tuple[int, ...]
    """Mirrored and turned by quarters, and as a negative."""
    cut: tuple[int, ...]
    """As `looks_cut`."""

    @classmethod
    def of(cls, image: UInt8Array) -> Ways:
        """image: RGB, uint8 [256, 256, 3]."""
        return cls(look(image), (*looks_turned(image), look_inverted(image)), looks_cut(image))

    def same(self, other: Ways) -> bool:
        """Whether one is the other or nearly so, was made of it, or is a part of it."""
        return (
            bits_apart(self.whole, other.whole) <= SAME_VIEW
            or any(bits_apart(way, other.whole) <= SAME_PICTURE for way in self.changed)
            or any(
                bits_apart(mine, other.whole) <= limit or bits_apart(self.whole, theirs) <= limit
                for limit, mine, theirs in zip(cut_limits(), self.cut, other.cut, strict=True)
            )
        )


class Looks:
    """The hashes of the frames seen so far."""

    def __init__(self, most_bits: int) -> None:
        self._most_bits = most_bits
        self._hashes: list[int] = []

    def hold(self, image_hash: int) -> bool:
        """Whether a frame of that look is among them."""
        return any(bits_apart(image_hash, other) <= self._most_bits for other in self._hashes)

    def add(self, image_hash: int) -> None:
        """Put a frame among them."""
        self._hashes.append(image_hash)
