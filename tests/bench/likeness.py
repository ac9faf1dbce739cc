"""How surely two pictures of nearly the same place are told from two views: found and false alarms at each limit.

    python tests/bench/likeness.py [--data ../shared/data] [--variants 3] [--pairs 1500] [--seed 0]

Near-identical pictures: each frame of the shared infants (hvdropdb, one of each frame_group, so that no two are the
same picture) against itself moved by up to 6 % of its side, turned by up to 6 degrees, sized by up to 4 %, under other
light, noise and focus, within the camera's own field, the moved one as it is and mirrored; and frames of the simulated
camera from one view.
Different views: frames of different groups of one camera, among them neighbours in the collection, which are often of
one eye; each frame against itself moved by 20 to 35 % of its side; frames of the simulated camera from two views of
one eye. Vessel maps are the experts' masks where the collection has them, moved with the picture.
Prints one JSON object; 1 when the limit in use finds less than 0.99 or alarms in more than 0.02.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.arrays import UInt8Array
from runtime.exam.likeness import LIMIT, Sight, likeness_either_way, sight

LIMITS = (0.6, 0.65, 0.7, LIMIT, 0.8)
WIDTH = 320
VIEWS, A_VIEW = 5, 24
FOUND, FALSE_ALARMS = 0.99, 0.02


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame of the collection."""

    group: str
    camera: str
    pixels: UInt8Array
    vessels: UInt8Array | None

    @property
    def seen(self) -> Sight:
        """As an exam compares it."""
        return sight(self.pixels, self.vessels)

    @property
    def mirrored(self) -> Picture:
        """As if it were the other eye's."""
        vessels = None if self.vessels is None else np.ascontiguousarray(self.vessels[:, ::-1])
        return Picture(self.group, self.camera, np.ascontiguousarray(self.pixels[:, ::-1]), vessels)


def collection(data: Path) -> list[Picture]:
    """One picture of each group, in the order of the collection."""
    found: dict[str, Picture] = {}
    for part in ("vessels", "disc", "ridge"):
        folder = data / f"hvdropdb_{part}"
        with (folder / "labels.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["frame_group"] in found:
                    continue
                pixels = np.asarray(Image.open(folder / row["image"]).convert("RGB"))
                mask = np.asarray(Image.open(folder / row["mask"]).convert("L")) if part == "vessels" else None
                small = _to_width(pixels)
                vessels = None if mask is None else np.asarray((_to_width(mask) > 127) * 255, np.uint8)
                found[row["frame_group"]] = Picture(row["frame_group"], row["device"], small, vessels)
    return list(found.values())


def _to_width(picture: UInt8Array) -> UInt8Array:
    height = round(WIDTH * picture.shape[0] / picture.shape[1])
    return np.asarray(cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def moved(picture: Picture, rng: np.random.Generator, least: float, most: float, turn_deg: float) -> Picture:
    """The same eye a little elsewhere, under other light; the field of view stays where the camera has it."""
    height, width = picture.pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-turn_deg, turn_deg), rng.uniform(0.96, 1.04))
    way, by = rng.uniform(0, 2 * np.pi), rng.uniform(least, most) * min(height, width)
    matrix[:, 2] += by * np.array([np.cos(way), np.sin(way)])
    field = cv2.GaussianBlur(picture.pixels.max(axis=2), (0, 0), 2) > 20
    shifted = cv2.warpAffine(picture.pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    pixels = _lit(shifted.astype(np.float32), rng)
    pixels[~field] = 0
    vessels = picture.vessels
    if vessels is not None:
        vessels = np.asarray(cv2.warpAffine(vessels, matrix, (width, height)), np.uint8)
    return Picture(picture.group, picture.camera, pixels, vessels)


def _lit(pixels: np.ndarray, rng: np.random.Generator) -> UInt8Array:
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    slope = 1 + rng.uniform(-0.25, 0.25) * (x / width - 0.5) + rng.uniform(-0.25, 0.25) * (y / height - 0.5)
    lit = np.clip(pixels * rng.uniform(0.75, 1.25) * slope[..., None], 0, 255)
    lit = 255 * (lit / 255) ** rng.uniform(0.85, 1.2) + rng.normal(0, rng.uniform(1, 5), lit.shape)
    if rng.random() < 0.5:
        lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.3, 0.8))
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def simulated(devices: tuple[str, ...] = ("retcam", "neo"), seeds: int = 4) -> Iterator[tuple[bool, float]]:
    """(whether both are of one view, likeness) of pairs of frames of one simulated eye, resting in its views."""
    for device in devices:
        for seed in range(seeds):
            config = SimulatedConfig(device=device, seed=seed, faults=0, frames_per_eye=VIEWS * A_VIEW, fps=0)
            camera = SimulatedCamera(config)
            frames = [(view, view * A_VIEW + at) for view in range(VIEWS) for at in (1, 8, 16)]
            seen = [(view, sight(np.asarray(_to_width(camera.render(number)[0])))) for view, number in frames]
            for first, (view, one) in enumerate(seen):
                for other_view, other in seen[first + 1 :]:
                    yield view == other_view, likeness_either_way(one, other)


def measured(data: Path, variants: int, pairs: int, seed: int) -> dict[str, object]:
    """All figures."""
    rng, pictures = np.random.default_rng(seed), collection(data)
    seen = [picture.seen for picture in pictures]
    began = time.perf_counter()
    near = [
        likeness_either_way(own, moved(picture, rng, 0, 0.06, 6).seen)
        for picture, own in zip(pictures, seen, strict=True)
        for _ in range(variants)
    ]
    spent_s = time.perf_counter() - began
    views = [
        likeness_either_way(own, moved(picture, rng, 0.2, 0.35, 6).seen)
        for picture, own in zip(pictures, seen, strict=True)
    ]
    neighbours = [
        likeness_either_way(seen[n], seen[n + 1])
        for n in range(len(seen) - 1)
        if pictures[n].camera == pictures[n + 1].camera
    ]
    others: list[float] = []
    while len(others) < pairs:
        one, other = rng.choice(len(seen), 2, replace=False)
        if pictures[one].camera == pictures[other].camera:
            others.append(likeness_either_way(seen[one], seen[other]))
    mirrored = [
        likeness_either_way(own, moved(picture, rng, 0, 0.06, 6).mirrored.seen)
        for picture, own in zip(pictures, seen, strict=True)
    ]
    drawn = list(simulated())
    sets = {
        "near-identical": near,
        "near-identical, mirrored": mirrored,
        "simulated, one view": [value for same, value in drawn if same],
        "moved by 20 to 35 %": views,
        "neighbours in the collection": neighbours,
        "different frames": others,
        "simulated, two views": [value for same, value in drawn if not same],
    }
    found = ("near-identical", "near-identical, mirrored", "simulated, one view")
    share = {
        name: {f"{limit:g}": float(np.mean(np.array(values) >= limit)) for limit in LIMITS}
        for name, values in sets.items()
    }
    alarms = np.concatenate([values for name, values in sets.items() if name not in found])
    return {
        "limit": LIMIT,
        "pairs": {name: len(values) for name, values in sets.items()},
        "at or over the limit": share,
        "found": float(np.mean(np.concatenate([sets[name] for name in found]) >= LIMIT)),
        "false_alarms": float(np.mean(alarms >= LIMIT)),
        "ms_a_pair_with_drawing": 1000 * spent_s / len(near),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = measured(options.data, options.variants, options.pairs, options.seed)
    print(json.dumps(result, indent=1))
    return 0 if result["found"] >= FOUND and result["false_alarms"] <= FALSE_ALARMS else 1  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())
