"""How many pictures that are no fundus are refused, and how many fundus frames are kept, by kind and by camera.

    python tests/bench/strangers.py BUNDLE [--pictures KIND=FOLDER ...] [--fundus CAMERA=FOLDER ...] [--made 50]

BUNDLE has the test of `python -m build_engines familiar`. Pictures of a folder are read as they are; each is also made
harder: in the colours of a fundus, and these behind the round border of a fundus camera (`red`, `round`); every row
counts each picture once. Made here: textures, drawings, screens of text, outer eyes, `--made` of each. Frames of
`--fundus` may be the fit's own; how many are kept by a fit that did not know them is what the bundle's file says, and
that is printed, too. Prints one JSON object; 1 when less than 0.995 of a kind of pictures, as they are, is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from device.cameras import open_camera
from device.errors import FrameUnreadable
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle, open_bundle
from runtime.bundles.strangers import SIDE, screen, texture
from runtime.checked_json import model_from
from runtime.familiar import FamiliarContent
from runtime.manifest import FAMILIAR
from runtime.reading import Reading
from runtime.screener import Screener

WANTED = 0.995


def red(pixels: UInt8Array) -> UInt8Array:
    """The picture's light and dark in the colours of a fundus."""
    grey = pixels.mean(axis=2) / 255
    return np.stack([60 + 190 * grey, 20 + 130 * grey, 10 + 70 * grey], axis=2).clip(0, 255).astype(np.uint8)


def rounded(pixels: UInt8Array) -> UInt8Array:
    """The middle of it behind a round border on black."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = pixels[top : top + side, left : left + side].copy()
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    middle[x * x + y * y > side * side / 4 * 0.96] = 0
    return middle


def drawing(rng: np.random.Generator) -> UInt8Array:
    """Shapes in flat colours."""
    picture = np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(int(rng.integers(3, 25))):
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        a, b = (tuple(int(place) for place in rng.integers(0, SIDE, 2)) for _ in range(2))
        kind = rng.integers(3)
        if kind == 0:
            cv2.circle(picture, a, int(rng.integers(5, 160)), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(picture, a, b, colour, -1)
        else:
            cv2.line(picture, a, b, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
    return picture


def outer_eye(rng: np.random.Generator) -> UInt8Array:
    """Skin, white, iris, pupil and glint, seen from outside; near enough that the eye fills the picture, or not."""
    skin = np.array([rng.integers(120, 235), rng.integers(80, 170), rng.integers(60, 140)])
    shade = cv2.resize(rng.random((6, 6), np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., np.newaxis]
    picture = (skin * (0.75 + 0.35 * shade)).clip(0, 255).astype(np.uint8)
    middle = (SIDE // 2 + int(rng.integers(-40, 40)), SIDE // 2 + int(rng.integers(-40, 40)))
    wide = int(rng.integers(120, 330))
    white = tuple(int(level) for level in (rng.integers(200, 245), rng.integers(170, 225), rng.integers(160, 220)))
    cv2.ellipse(picture, middle, (wide, int(wide * rng.uniform(0.4, 0.9))), 0, 0, 360, white, -1, cv2.LINE_AA)
    iris = int(wide * rng.uniform(0.3, 0.6))
    colour = [(90, 60, 30), (110, 140, 170), (80, 110, 70), (50, 35, 25)][int(rng.integers(4))]
    cv2.circle(picture, middle, iris, colour, -1, cv2.LINE_AA)
    for angle in rng.uniform(0, 2 * np.pi, 60):
        end = (int(middle[0] + iris * np.cos(angle)), int(middle[1] + iris * np.sin(angle)))
        cv2.line(picture, middle, end, tuple(int(c * rng.uniform(0.7, 1.3)) for c in colour), 1, cv2.LINE_AA)
    pupil = [(8, 8, 8), (200, 70, 40)][int(rng.integers(2))]  # dark, or red by the flash
    cv2.circle(picture, middle, int(iris * rng.uniform(0.3, 0.8)), pupil, -1, cv2.LINE_AA)
    cv2.circle(picture, (middle[0] + iris // 4, middle[1] - iris // 4), max(3, iris // 10), (255, 255, 255), -1)
    return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.5))).astype(np.uint8, copy=False)


MADE = {"textures": texture, "drawings": drawing, "screens": screen, "outer eyes": outer_eye}


def pictures(source: str) -> Iterator[UInt8Array]:
    """What can be read of it."""
    with open_camera(source) as camera:
        while True:
            try:
                frame = camera.read()
            except FrameUnreadable:
                continue
            if frame is None:
                return
            yield np.ascontiguousarray(frame.pixels)


class Counts:
    """Outcomes of one row of the table."""

    def __init__(self) -> None:
        self.pictures = 0
        self.passed = 0
        self.by_test = 0

    def add(self, reading: Reading) -> None:
        """Count one."""
        self.pictures += 1
        self.passed += reading.probabilities is not None
        self.by_test += (
            reading.quality is not None
            and "strangeness" in reading.quality.measures
            and (reading.probabilities is None)
        )

    def row(self) -> dict[str, object]:
        """For the table."""
        share = round(1 - self.passed / self.pictures, 4) if self.pictures else None
        return {
            "pictures": self.pictures,
            "with_an_outcome": self.passed,
            "refused": share,
            "by_this_test": self.by_test,
        }


def table(bundle: Bundle, strangers: dict[str, Iterator[UInt8Array]], fundus: dict[str, str]) -> dict[str, object]:
    """Counts by kind and form, and by camera."""
    found: dict[str, object] = {}
    with Screener(bundle, trust="off", reject_repeats=False) as screener:
        for kind, given in strangers.items():
            rows = {form: Counts() for form in ("as it is", "red", "round")}
            for pixels in given:
                for form, shown in (("as it is", pixels), ("red", red(pixels)), ("round", rounded(red(pixels)))):
                    rows[form].add(screener.screen(Frame(shown, 0, kind)))
            found[kind] = {form: counts.row() for form, counts in rows.items()}
        for camera, source in fundus.items():
            counts = Counts()
            for pixels in pictures(source):
                counts.add(screener.screen(Frame(pixels, 0, camera)))
            kept = {"frames": counts.pictures, "kept": counts.passed, "refused_by_this_test": counts.by_test}
            found[f"fundus {camera}"] = kept
    held_out = model_from(FamiliarContent, bundle.read(FAMILIAR)).cameras
    found["kept when the fit did not know them"] = {name: kept.model_dump() for name, kept in held_out.items()}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pictures", action="append", default=[], metavar="KIND=FOLDER")
    parser.add_argument("--fundus", action="append", default=[], metavar="CAMERA=FOLDER")
    parser.add_argument("--made", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    strangers: dict[str, Iterator[UInt8Array]] = {}
    for number, (kind, make) in enumerate(MADE.items()):
        rng = np.random.default_rng([options.seed, number])
        strangers[kind] = (make(rng) for _ in range(options.made))
    for text in options.pictures:
        kind, _, folder = text.partition("=")
        strangers[kind] = pictures(folder)
    fundus = {name: folder for name, _, folder in (text.partition("=") for text in options.fundus)}
    found = table(open_bundle(options.bundle), strangers, fundus)
    json.dump(found, sys.stdout, indent=1)
    print()
    plain = [rows["as it is"]["refused"] for rows in found.values() if isinstance(rows, dict) and "as it is" in rows]
    return int(any(share is not None and share < WANTED for share in plain))


if __name__ == "__main__":
    sys.exit(main())
