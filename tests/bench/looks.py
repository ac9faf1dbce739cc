"""Prints how far apart pictures of different places are by look, in bits: real ones by their tables, and drawn eyes.

`python -m tests.bench.looks TABLE...`: tables with `frame_group`, as hvdropdb's `labels.csv`. Frames of one group are
one place; of the others it is told how many pairs are within the two limits of `calibration.lookalike`, and how near
one comes to what is left of another that was cut. Then how many of every ninth picture are found when they are cut.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.lookalike import SAME_PICTURE, SAME_VIEW, bits_apart, cut_limits, look, look_inverted, looks_cut
from calibration.tables import read_table
from device.cameras import open_camera
from device.cameras.files.folder import read_picture
from runtime.arrays import UInt8Array
from runtime.preprocess import network_input

EYES = 52
CUTS = {
    **{f"{most:g} % all around": (most,) * 4 for most in (2, 3, 4.5, 6, 8.5, 10, 11.5, 15)},
    **{f"{most:g} % at the left": (most, 0, 0, 0) for most in (2, 3, 5.5, 9.5, 13)},
    **{f"{most:g} % at the bottom": (0, 0, 0, most) for most in (2, 3, 5.5, 9.5, 13)},
    "3 % at the left and the right": (3, 0, 3, 0),
    "4 % at the top and the bottom": (0, 4, 0, 4),
    "3 % at the left and the top": (3, 3, 0, 0),
}
EVERY = 9


def told(name: str, looks: Sequence[int], groups: list[str]) -> str:
    bits = np.array([[int(bit) for bit in f"{value:0256b}"] for value in looks], np.int16)
    first, second = np.triu_indices(len(looks), 1)
    apart = np.abs(bits[first] - bits[second]).sum(axis=1)
    other = np.array([groups[a] != groups[b] for a, b in zip(first, second, strict=True)])
    words = []
    for kind, found in (("one place", apart[~other]), ("other places", apart[other])):
        if len(found):
            within = ", ".join(f"{(found <= most).sum()} within {most}" for most in (SAME_PICTURE, SAME_VIEW))
            words.append(f"{len(found):,} pairs of {kind}: least {found.min()}, {within}, most {found.max()}")
    return f"{name}, {len(looks)} frames: {'; '.join(words)}"


def told_of_cuts(name: str, images: Sequence[UInt8Array], groups: list[str]) -> str:
    """The least from what is left of one to another of another place, by limit; and of a negative."""
    looks, cuts = [look(image) for image in images], [looks_cut(image) for image in images]
    negatives = [look_inverted(image) for image in images]
    least = dict.fromkeys(("a negative", *(f"a cut, {limit} bits the limit" for limit in cut_limits())), 255)
    for a, ways in enumerate(cuts):
        for b, other in enumerate(looks):
            if groups[a] != groups[b]:
                named = [("a negative", negatives[a])]
                named += [
                    (f"a cut, {limit} bits the limit", way) for limit, way in zip(cut_limits(), ways, strict=True)
                ]
                for kind, way in named:
                    least[kind] = min(least[kind], bits_apart(way, other))
    return f"{name}, other places: " + ", ".join(f"{kind}: least {bits}" for kind, bits in least.items())


def found(pixels: Sequence[UInt8Array], sides: tuple[float, ...]) -> int:
    """How many are found by what is left of them without so many hundredths of each side."""
    count = 0
    for whole in pixels:
        height, width = whole.shape[:2]
        left, top, right, bottom = (share / 100 for share in sides)
        rest = whole[
            round(height * top) : height - round(height * bottom), round(width * left) : width - round(width * right)
        ]
        here, image = look(network_input(np.ascontiguousarray(rest))[0]), network_input(whole)[0]
        near = [(SAME_VIEW, look(image)), *zip(cut_limits(), looks_cut(image), strict=True)]
        count += any(bits_apart(here, one) <= limit for limit, one in near)
    return count


def main() -> int:
    rows = [row for text in sys.argv[1:] for row in read_table(Path(text)).rows]
    if rows:
        images = [network_input(read_picture(row.image, 0).pixels)[0] for row in rows]
        print(told("real", [look(image) for image in images], [row.group for row in rows]))
        print(told_of_cuts("real", images, [row.group for row in rows]))
        some = [read_picture(row.image, 0).pixels for row in rows[::EVERY]]
        for name, sides in CUTS.items():
            print(f"real, cut by {name}: {found(some, sides)} of {len(some)} found", flush=True)
    for device in ("retcam", "neo"):
        drawn: list[UInt8Array] = []
        with open_camera(f"sim:device={device},seed=3,frames={EYES},frames_per_eye=1") as camera:
            while (frame := camera.read()) is not None:
                drawn.append(network_input(frame.pixels)[0])
        print(told(f"drawn, {device}", [look(image) for image in drawn], [str(eye) for eye in range(EYES)]))
        print(told_of_cuts(f"drawn, {device}", drawn, [str(eye) for eye in range(EYES)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
