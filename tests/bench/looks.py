"""Prints how far apart pictures of different places are by look, in bits: real ones by their tables, and drawn eyes.

`python -m tests.bench.looks TABLE...`: tables with `frame_group`, as hvdropdb's `labels.csv`. Frames of one group are
one place; of the others it is told how many pairs are within the two limits of `calibration.lookalike`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.lookalike import SAME_PICTURE, SAME_VIEW, look
from calibration.tables import read_table
from device.cameras import open_camera
from device.cameras.files.folder import read_picture
from runtime.preprocess import network_input

EYES = 52


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


def main() -> int:
    rows = [row for text in sys.argv[1:] for row in read_table(Path(text)).rows]
    if rows:
        looks = [look(network_input(read_picture(row.image, 0).pixels)[0]) for row in rows]
        print(told("real", looks, [row.group for row in rows]))
    for device in ("retcam", "neo"):
        drawn = []
        with open_camera(f"sim:device={device},seed=3,frames={EYES},frames_per_eye=1") as camera:
            while (frame := camera.read()) is not None:
                drawn.append(look(network_input(frame.pixels)[0]))
        print(told(f"drawn, {device}", drawn, [str(eye) for eye in range(EYES)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
