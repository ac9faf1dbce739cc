"""How many torn, mixed, covered or drawn-over frames the gate catches, and how many whole ones it refuses, by device.

    python -m tests.bench.put_together ../shared/data --each 12

Whole frames are all tried as they are, `--each` of a device spoiled in every way of `tests/runtime/test_structure.py`;
those that the gate refuses as they are count in the first row only. Decisions without the networks: a frame that passes
here may still be refused by them as no fundus.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.preprocess import network_input
from runtime.quality import grade
from runtime.structure import structure_faults
from tests.runtime.test_structure import MADE, Picture, halved

DEVICES = {
    "RetCam": "hvdropdb_*/images/RetCam*",
    "Neo": "hvdropdb_*/images/Neo*",
    "adults": "[!h][!v]*/images/*",
    "adults, HRF": "hrf/images/*",
}
ALSO: dict[str, Callable[[Picture, Picture], Picture]] = {
    "blended": lambda one, other: ((one.astype(np.uint16) + other) // 2).astype(np.uint8),
    "band moved by 5 pixels": lambda one, other: np.concatenate(
        [one[:200], np.roll(one[200:290], 5, axis=1), one[290:]]
    ),
    "torn, made smaller": lambda one, other: halved(np.concatenate([one[:250], other[250:]])),
    "red moved by 15 pixels": lambda one, other: np.dstack([np.roll(one[..., 0], 15, axis=1), one[..., 1:]]),
}


def refused(picture: Picture) -> bool:
    """Whether the gate or the look at the structure refuses it."""
    shown = np.ascontiguousarray(picture)
    image = network_input(shown)[0]
    return bool(grade(image).reasons or structure_faults(shown, image))


def opened(path: Path) -> Picture:
    """The picture, RGB."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--each", type=int, default=12, help="frames of a device that are spoiled (default: 12)")
    options = parser.parse_args()
    rng = random.Random(1)
    kinds = {f"{reason}: {make.__name__} {number}": make for number, (make, reason) in enumerate(MADE)}
    for device, pattern in DEVICES.items():
        paths = sorted(options.data.glob(pattern))
        whole = [path for path in paths if not refused(opened(path))]
        print(f"{device:12} whole, refused                     {len(paths) - len(whole)}/{len(paths)}", flush=True)
        some = rng.sample(whole, min(options.each, len(whole)))
        pairs = []
        for path in some:
            one = opened(path)
            alike = (opened(other) for other in rng.sample(paths, len(paths)) if other.name != path.name)
            pairs.append((one, next(other for other in alike if other.shape == one.shape)))
        for name, make in (kinds | ALSO).items():
            print(f"{device:12} {name:64} {sum(refused(make(*pair)) for pair in pairs)}/{len(pairs)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
