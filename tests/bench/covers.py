"""How many referred frames read NO REFERRAL FINDINGS once their ridge is hidden: by glare, a finger, a lid, an eye.

    python -m tests.bench.covers ../shared/data --each 15

Real frames of all data sets are measured as they are. Over referred frames (`--each` of either infants' camera) one
cover is drawn where the ridge's mask lies: white holes, marks of one colour, a half, a bar from a side, a lid's curve,
with hard or soft edges, even or as noisy as a camera, and parts of another eye. Each is read without the gate's looks
for holes and blank parts, and with them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from device.frame import Frame
from runtime import Outcome, Screener, open_bundle
from runtime.arrays import FloatArray, UInt8Array
from runtime.preprocess import network_input
from runtime.quality import QualityLimits, grade, measure
from runtime.trust.word import bundles_limits
from tests.bench.uneven_light import REAL, opened

Mask = FloatArray
"""How much of the eye is hidden at each pixel, 0 to 1: float32 [H, W]."""


@dataclass(frozen=True)
class Eye:
    """A referred frame, and where its ridge lies."""

    pixels: UInt8Array
    ridge: tuple[float, float]
    """Middle of its mask, x and y."""
    field: tuple[float, float, float]
    """Middle and radius of the field of view."""


Shape = Callable[[Eye, FloatArray, FloatArray], FloatArray]
"""From pixels' places (x, y) to how far each lies within the cover, in pixels; below zero: outside."""


def spot(share: float) -> Shape:
    """A disc on the ridge, so large a share of the frame."""

    def shape(eye: Eye, x: FloatArray, y: FloatArray) -> FloatArray:
        radius = np.sqrt(share * x.size / np.pi)
        return np.asarray(radius - np.hypot(x - eye.ridge[0], y - eye.ridge[1]), np.float32)

    return shape


def side(eye: Eye, x: FloatArray, y: FloatArray) -> FloatArray:
    """All beyond a line that runs before the ridge, as seen from the middle, at most the larger half."""
    along, away = _towards_ridge(eye)
    at = (x - eye.field[0]) * along[0] + (y - eye.field[1]) * along[1]
    return np.asarray(at - max(-0.2 * eye.field[2], away - 0.25 * eye.field[2]), np.float32)


def bar(eye: Eye, x: FloatArray, y: FloatArray) -> FloatArray:
    """A finger from outside over the ridge, half the radius wide."""
    along, _ = _towards_ridge(eye)
    right, down = x - eye.ridge[0], y - eye.ridge[1]
    forward = np.minimum(right * along[0] + down * along[1], 0)
    across = right * along[1] - down * along[0]
    return np.asarray(eye.field[2] / 4 - np.hypot(across, forward), np.float32)


def lid(eye: Eye, x: FloatArray, y: FloatArray) -> FloatArray:
    """The edge of a large disc from the ridge's side over the ridge."""
    along, away = _towards_ridge(eye)
    radius = 1.5 * eye.field[2]
    off = radius + max(-0.1 * eye.field[2], away - 0.25 * eye.field[2])
    return np.asarray(
        radius - np.hypot(x - eye.field[0] - off * along[0], y - eye.field[1] - off * along[1]), np.float32
    )


SHAPES: dict[str, Shape] = {
    "spot, 5 %": spot(0.05), "spot, 10 %": spot(0.1), "spot, 20 %": spot(0.2), "side": side, "finger": bar, "lid": lid,
}  # fmt: skip
COLOURS = {
    "white": (255, 255, 255), "warm white": (255, 245, 215), "skin": (205, 150, 125), "dark skin": (95, 60, 45),
    "black": (12, 10, 10),
}  # fmt: skip
OWN, OTHER = "as the eye", "another eye"
EDGES = ((0.0, 0.0), (0.02, 0.0), (0.06, 0.0), (0.02, 1.5), (0.02, 4.0))
"""Standard deviation of the edge's blur as a share of the frame's width, and of a camera's noise in levels."""


def hidden(eye: Eye, shape: Shape, colour: UInt8Array | FloatArray, soft: float, noise: float) -> UInt8Array:
    """The frame with the cover over it, inside of its field alone."""
    height, width = eye.pixels.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    seen = eye.pixels.max(axis=2) > 20
    mask = (shape(eye, x, y) > 0).astype(np.float32)
    if soft:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft * width), np.float32)
    layer = np.broadcast_to(np.asarray(colour, np.float32), eye.pixels.shape)
    if noise:
        layer = layer + np.random.default_rng(7).normal(0, noise, eye.pixels.shape).astype(np.float32)
    mask = (mask * seen)[..., None]
    return np.clip(eye.pixels * (1 - mask) + layer * mask + 0.5, 0, 255).astype(np.uint8)


def _towards_ridge(eye: Eye) -> tuple[tuple[float, float], float]:
    right, down = eye.ridge[0] - eye.field[0], eye.ridge[1] - eye.field[1]
    away = float(np.hypot(right, down))
    return ((right / away, down / away), away) if away > 1 else ((1.0, 0.0), away)


def referred(folder: Path, camera: str, screener: Screener, each: int) -> list[Eye]:
    """Frames of a camera that refer as they are, with a mask of their ridge."""
    paths = sorted((folder / "hvdropdb_ridge" / "images").glob(f"{camera}*"))
    np.random.default_rng(3).shuffle(paths)
    found: list[Eye] = []
    for path in paths:
        masks = list((folder / "hvdropdb_ridge" / "masks").glob(f"{path.stem}.*"))
        if len(found) == each or not masks:
            continue
        pixels, mask = opened(path), opened(masks[0]).max(axis=2) > 127
        if not mask.any() or screener.screen(Frame(pixels, 0, path.name)).outcome is not Outcome.REFER:
            continue
        down, right = (places.mean() * size / of for places, size, of in zip(
            np.nonzero(mask), pixels.shape[:2], mask.shape, strict=True))  # fmt: skip
        rows, columns = (np.flatnonzero((pixels.max(axis=2) > 20).mean(axis=axis) > 0.02) for axis in (1, 0))
        radius = max(rows[-1] - rows[0], columns[-1] - columns[0]) / 2
        middle = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
        found.append(Eye(pixels, (float(right), float(down)), (*middle, radius)))
    return found


def drawn(eyes: list[Eye], shape: Shape, colour: str, soft: float, noise: float) -> list[UInt8Array]:
    """Each eye with the cover; colour: of `COLOURS`, of the eye itself, or another eye, upside down."""
    pictures = []
    for number, eye in enumerate(eyes):
        layer: UInt8Array | FloatArray = np.asarray(COLOURS.get(colour, (0, 0, 0)), np.uint8)
        if colour == OWN:
            layer = np.median(eye.pixels[eye.pixels.max(axis=2) > 20], axis=0).astype(np.float32)
        elif colour == OTHER:
            others = (other for other in eyes[number + 1 :] + eyes if other is not eye)
            layer = next(other.pixels[::-1, ::-1] for other in others if other.pixels.shape == eye.pixels.shape)
        pictures.append(hidden(eye, shape, layer, soft, noise))
    return pictures


def main() -> int:
    """Run it and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--each", type=int, default=15, help="referred frames of a camera (default: 15)")
    options = parser.parse_args()
    bundle = open_bundle()
    limits = bundles_limits(bundle)
    for name, pattern in REAL.items():
        found = [measure(network_input(opened(path))[0]) for path in sorted(options.data.glob(pattern))]
        spots, blanks = (sorted((round(each[of], 4) for each in found), reverse=True) for of in ("glare_spot", "blank"))
        refused = sum(each["glare_spot"] > limits.glare_spot_max or each["blank"] > limits.blank_max for each in found)
        print(f"{name:10} {refused}/{len(found)} refused; largest spots {spots[:3]}, blank parts {blanks[:3]}")
    without = replace(limits, glare_spot_max=np.inf, blank_max=np.inf)
    with Screener(bundle, limits=without, reject_repeats=False, trust="off") as screener:
        eyes = [eye for camera in ("RetCam", "Neo") for eye in referred(options.data, camera, screener, options.each)]
        print(f"{len(eyes)} referred frames; NO REFERRAL FINDINGS without the looks for holes, with them, and refused")
        print(f"edge's blur and noise: {EDGES}")
        for shape_name, shape in SHAPES.items():
            for colour in (*COLOURS, OWN, OTHER):
                cells = (_counted(drawn(eyes, shape, colour, *edge), screener, limits) for edge in EDGES)
                print(f"{shape_name:10} {colour:11}", "  ".join(cells), flush=True)
    return 0


def _counted(pictures: list[UInt8Array], screener: Screener, limits: QualityLimits) -> str:
    before = after = refused = 0
    for number, pixels in enumerate(pictures):
        silent = screener.screen(Frame(pixels, number, "drawn")).outcome is Outcome.NO_REFERRAL_FINDINGS
        kept = grade(network_input(pixels)[0], limits).gradable
        before, after, refused = before + silent, after + (silent and kept), refused + (not kept)
    return f"{before:2} {after:2} {refused:2}"


if __name__ == "__main__":
    sys.exit(main())
