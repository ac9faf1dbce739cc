"""How many referred frames read NO REFERRAL FINDINGS once part of them is dark; how many real ones the gate refuses.

    python -m tests.bench.uneven_light ../shared/data --each 12

Real frames of all data sets are measured as they are. Over referred frames (`--each` of either infants' camera of those
that training never saw, and of either simulated one) light is drawn that falls off: towards the rim (as cos^4, or
steeper), beyond a line, along a slope, in a sector or crescent (lid, lashes, iris, the pupil's edge), all but a bright
middle. Each is read without the check of evenness and with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device.frame import Frame
from runtime import Outcome, Reading, Screener, open_bundle
from runtime.preprocess import network_input
from runtime.quality import measure
from runtime.trust.word import bundles_limits

Plane = NDArray[np.floating[Any]]
Light = Callable[[Plane, Plane, float, float], Plane]
"""From places in radii of the field (down, right), what is left where there is least, and a direction in radians."""
DARKEST = (0.6, 0.4, 0.25, 0.15, 0.05)
REAL = {
    "RetCam": "hvdropdb_*/images/RetCam*",
    "Neo": "hvdropdb_*/images/Neo*",
    "HRF": "hrf/images/*",
    "CHASE_DB1": "chase_db1/images/*",
    "FIVES": "fives_amd20/images/*",
}


def soft(distance: Plane, width: float = 0.05) -> Plane:
    """0 far below zero, 1 far above."""
    return np.asarray(1 / (1 + np.exp(np.clip(-distance / width, -60, 60))), np.float32)


def cosine(down: Plane, right: Plane, least: float, _: float) -> Plane:
    """A wide lens: cos^4 of an angle that gives `least` at the rim."""
    tangent = np.tan(np.arccos(least**0.25))
    return np.asarray(np.cos(np.arctan(np.hypot(down, right) * tangent)) ** 4, np.float32)


def steep(down: Plane, right: Plane, least: float, _: float) -> Plane:
    """Whole up to the half of the radius."""
    along = np.clip(2 * np.hypot(down, right) - 1, 0, 1)
    return 1 + (least - 1) * along * along * (3 - 2 * along)


def beyond(at: float) -> Light:
    """Dark beyond a line across the field."""
    return lambda down, right, least, turn: 1 + (least - 1) * soft(np.cos(turn) * right + np.sin(turn) * down - at)


def slope(down: Plane, right: Plane, least: float, turn: float) -> Plane:
    """Less and less towards one side."""
    along = np.cos(turn) * right + np.sin(turn) * down
    return 1 + (least - 1) * np.clip((along + 0.3) / 1.3, 0, 1)


def sector(degrees: float) -> Light:
    """A wedge from the middle outwards."""

    def light(down: Plane, right: Plane, least: float, turn: float) -> Plane:
        radius = np.hypot(down, right)
        off = np.abs((np.arctan2(down, right) - turn + np.pi) % (2 * np.pi) - np.pi)
        return 1 + (least - 1) * soft((np.radians(degrees) / 2 - off) * np.maximum(radius, 0.05)) * soft(radius - 0.25)

    return light


def crescent(down: Plane, right: Plane, least: float, turn: float) -> Plane:
    """The pupil's edge before one side."""
    return 1 + (least - 1) * soft(np.hypot(down + 0.5 * np.sin(turn), right + 0.5 * np.cos(turn)) - 0.95)


def spot(down: Plane, right: Plane, least: float, _: float) -> Plane:
    """Light in the middle alone."""
    return np.asarray(least + (1 - least) * np.exp(-(down * down + right * right) / (2 * 0.4**2)))


LIGHTS: dict[str, Light] = {
    "towards the rim, cos^4": cosine,
    "towards the rim, steep": steep,
    "one half": beyond(0.0),
    "one side, a third": beyond(0.27),
    "one side, a sixth": beyond(0.55),
    "a slope": slope,
    "a sector of 60 degrees": sector(60),
    "a sector of 100 degrees": sector(100),
    "a crescent": crescent,
    "all but the middle": spot,
}


def opened(path: Path) -> NDArray[np.uint8]:
    """The picture, RGB."""
    with Image.open(path) as picture:
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")))


def lit(pixels: NDArray[np.uint8], light: Light, least: float, turn: float) -> NDArray[np.uint8]:
    """The frame under this light."""
    rows, columns = (np.flatnonzero((pixels.max(axis=2) > 20).mean(axis=axis) > 0.02) for axis in (1, 0))
    radius = max(rows[-1] - rows[0], columns[-1] - columns[0]) / 2
    places = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(np.float32)
    down, right = (
        (place - (side[0] + side[-1]) / 2) / radius for place, side in zip(places, (rows, columns), strict=True)
    )
    return np.clip(pixels * light(down, right, least, turn)[..., None] + 0.5, 0, 255).astype(np.uint8)


def _referred(folder: Path, camera: str, screener: Screener, each: int) -> list[NDArray[np.uint8]]:
    paths = sorted((folder / "hvdropdb_ridge" / "images").glob(f"{camera}*"))
    np.random.default_rng(3).shuffle(paths)
    found: list[NDArray[np.uint8]] = []
    for path in paths:
        pixels = opened(path)
        if len(found) < each and screener.screen(Frame(pixels, 0, path.name)).outcome is Outcome.REFER:
            found.append(pixels)
    return found


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
        small, large = (sorted(each[of] for each in found) for of in ("dark_twentieth", "dark_third"))
        refused = sum(
            each["dark_twentieth"] < limits.dark_twentieth_min or each["dark_third"] < limits.dark_third_min
            for each in found
        )
        print(f"{name:10} {refused}/{len(found)} refused; least twentieths {small[:2]}, thirds {large[:2]}")
    without = replace(limits, dark_twentieth_min=-1.0, dark_third_min=-1.0)
    with (
        Screener(bundle, limits=limits, reject_repeats=False, trust="off") as strict,
        Screener(bundle, limits=without, reject_repeats=False, trust="off") as lax,
    ):
        frames = [frame for camera in ("RetCam", "Neo") for frame in _referred(options.data, camera, lax, options.each)]
        print(f"{len(frames)} referred frames; NO REFERRAL FINDINGS without the check, with it, and refused by it")
        for name, light in LIGHTS.items():
            row = [_counted(light, least, frames, strict, lax) for least in DARKEST]
            print(
                f"{name:26}",
                "  ".join(f"{least:4}: {cell}" for least, cell in zip(DARKEST, row, strict=True)),
                flush=True,
            )
    return 0


def _counted(light: Light, least: float, frames: list[NDArray[np.uint8]], strict: Screener, lax: Screener) -> str:
    readings: list[tuple[Reading, Reading]] = []
    for number, pixels in enumerate(frames):
        frame = Frame(lit(pixels, light, least, np.radians(110 * number)), number, "drawn")
        readings.append((lax.screen(frame), strict.screen(frame)))
    before, after = (sum(pair[k].outcome is Outcome.NO_REFERRAL_FINDINGS for pair in readings) for k in (0, 1))
    refused = sum(one.outcome is not other.outcome for one, other in readings)
    return f"{before:2} {after:2} {refused:2}"


if __name__ == "__main__":
    sys.exit(main())
