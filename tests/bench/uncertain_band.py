"""How many frames that refer no longer do after a harmless change, and what a band of uncertainty would cost and catch.

    python -m tests.bench.uncertain_band ../shared/data

Each of HVDROPDB's frames that training has a label of (ridge in view or not) is read as it is, after changes that leave
to a person what it shows, and as damaged copies in every format for pictures (`damaged_pictures`), one of each. Counted
are those that turn from REFER to NO REFERRAL FINDINGS; then, for bands below the threshold in which a frame would be
taken again instead, how many of these they would catch, and how many frames without a change they would take away.
Training saw most of these frames, so that fewer lie near the threshold than of new ones: those held out stand apart.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageEnhance

from build_engines.train.data import TrainingFrame, ridge_frames, split_frames
from device.frame import Frame
from runtime import Outcome, Screener, open_bundle
from runtime.arrays import UInt8Array
from tests.bench.damaged_pictures import DAMAGES, FORMATS, VIDEOS, Copies, picture
from tests.bench.uneven_light import opened

BANDS = (0.01, 0.02, 0.05, 0.1)
Change = Callable[[UInt8Array], UInt8Array]


def stored(quality: int) -> Change:
    """As a JPEG file of that quality."""
    write = picture("JPEG", quality=quality)

    def change(pixels: UInt8Array) -> UInt8Array:
        data = np.frombuffer(write(Image.fromarray(pixels)), np.uint8)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)

    return change


def turned(quarters: int) -> Change:
    """By quarter turns."""
    return lambda pixels: np.ascontiguousarray(np.rot90(pixels, quarters))


def enhanced(by: type[ImageEnhance.Color | ImageEnhance.Brightness], factor: float) -> Change:
    """More or less colour or light."""
    return lambda pixels: np.asarray(by(Image.fromarray(pixels)).enhance(factor))


def noisy(pixels: UInt8Array) -> UInt8Array:
    """With noise of a hundredth of the range."""
    noise = np.random.default_rng(5).normal(0, 2.55, pixels.shape)
    return np.clip(pixels + noise + 0.5, 0, 255).astype(np.uint8)


def sized(factor: float) -> Change:
    """Of other pixels."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return lambda pixels: np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how), np.uint8)


CHANGES: dict[str, Change] = {
    "JPEG 85": stored(85), "JPEG 70": stored(70), "quarter turn": turned(1), "half turn": turned(2),
    "three quarter turn": turned(3), "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "saturation x 0.8": enhanced(ImageEnhance.Color, 0.8), "saturation x 1.3": enhanced(ImageEnhance.Color, 1.3),
    "brightness x 0.85": enhanced(ImageEnhance.Brightness, 0.85),
    "brightness x 1.15": enhanced(ImageEnhance.Brightness, 1.15),
    "noise of 1 %": noisy, "size x 0.7": sized(0.7), "size x 1.4": sized(1.4),
}  # fmt: skip


@dataclass(frozen=True)
class Read:
    """One reading of a frame; `change` is "" of the frame as it is."""

    ridge: bool
    held_out: bool
    change: str
    outcome: Outcome
    refer: float
    """Probability; -1 where there is no outcome."""


def main() -> int:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--frames", type=int, default=10**9, help="only the first so many (default: all)")
    options = parser.parse_args()
    frames = ridge_frames(options.data)
    out = {frame.group for frame in split_frames(frames).held_out}
    chosen = sorted(frames, key=lambda frame: frame.group)[: options.frames]
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False) as screener:
        copies = Copies(Path(folder), screener)
        found = [list(_readings(frame, frame.group in out, screener, copies)) for frame in chosen]
        threshold = screener.threshold
    for name, some in (("all", found), ("held out", [reads for reads in found if reads[0].held_out])):
        print(f"\n{name}: {len(some)} frames, {sum(reads[0].ridge for reads in some)} with a ridge")
        report(some, threshold)
    return 0


def _readings(frame: TrainingFrame, held_out: bool, screener: Screener, copies: Copies) -> Iterator[Read]:
    def read(change: str, pixels: UInt8Array | None) -> Read:
        if pixels is None:
            return Read(frame.ridge_in_view, held_out, change, Outcome.NO_RESULT, -1)
        reading = screener.screen(Frame(pixels, 0, change))
        refer = -1.0 if reading.probabilities is None else reading.probabilities["ridge_in_view"]
        return Read(frame.ridge_in_view, held_out, change, reading.outcome, refer)

    pixels = opened(frame.image)
    yield read("", pixels)
    for name, change in CHANGES.items():
        yield read(name, change(pixels))
    rng = random.Random(frame.group)
    for name in (name for name in FORMATS if name not in VIDEOS):
        data, damage = bytearray(FORMATS[name](Image.fromarray(pixels))), rng.choice(DAMAGES)
        damage(data, rng)
        got = next(copies.frames(name, bytes(data)))
        yield read("damaged copies", None if isinstance(got, str) else got)


def report(frames: list[list[Read]], threshold: float) -> None:
    """Turns by change, then what each band would catch and take away. frames: of each its readings, as it is first."""
    referring = [reads for reads in frames if reads[0].outcome is Outcome.REFER]
    turns = [read for reads in referring for read in reads[1:] if _turned(read)]
    read_again = Counter(read.change for reads in referring for read in reads[1:])
    counted = Counter(read.change for reads in referring for read in reads[1:] if _counts(read))
    print(f"{len(referring)} refer as they are, {sum(reads[0].ridge for reads in referring)} of them with a ridge")
    print("change: of how many, with an outcome, turned to NO REFERRAL FINDINGS, of those with a ridge")
    for change, number in read_again.items():
        these = [read for read in turns if read.change == change]
        print(f"  {change:18} {number:4} {counted[change]:4} {len(these):3} {sum(read.ridge for read in these):3}")
    silent = [reads[0] for reads in frames if _turned(reads[0])]
    ridges = sum(read.ridge for read in silent)
    print(f"{len(turns)} turns ({sum(read.ridge for read in turns)} of frames with a ridge) of "
          f"{sum(any(map(_turned, reads[1:])) for reads in referring)} frames; "
          f"{len(silent)} frames without findings as they are, {ridges} of them with a ridge")  # fmt: skip
    print("band: turns caught, of those with a ridge; frames as they are taken away, without and with a ridge")
    for width in BANDS:
        caught = [read for read in turns if threshold - width <= read.refer]
        taken = [read for read in silent if threshold - width <= read.refer]
        with_ridge = sum(read.ridge for read in taken)
        print(f"  {width:4} {len(caught):4} {sum(read.ridge for read in caught):3}"
              f" {len(taken) - with_ridge:5} {with_ridge:3}")  # fmt: skip


def _turned(read: Read) -> bool:
    return read.outcome is Outcome.NO_REFERRAL_FINDINGS


def _counts(read: Read) -> bool:
    return read.outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)


if __name__ == "__main__":
    sys.exit(main())
