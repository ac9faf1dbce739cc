"""How many damaged copies of readable frames still get another outcome, and how many harmless ones are refused.

    python tests/bench/damaged_pictures.py ../shared/data/hvdropdb_ridge/images --copies 10000

Copies are damaged by holes of zeros, cuts, flipped bits and lost packets, in JPEG (baseline, progressive), WebP and
JPEG 2000; the same seed gives the same copies. A frame whose whole copy gets no outcome is left out. Exit code 1 when
any damaged copy gets the other outcome.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from device import Frame, FrameUnreadable
from device.cameras.files import decode
from runtime import Outcome, Screener, open_bundle

COUNTS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "baseline.jpg": ("JPEG", {"quality": 92}),
    "progressive.jpg": ("JPEG", {"quality": 92, "progressive": True}),
    "lossy.webp": ("WEBP", {"quality": 90}),
    "lossy.jp2": ("JPEG2000", {"quality_mode": "rates", "quality_layers": [12], "irreversible": True}),
}
UNDAMAGED_LEVELS = 1.0
"""A mean difference under this is not seen."""


def hole(data: bytearray, rng: random.Random) -> None:
    """Zeros where a sector of a disk was not written."""
    length = rng.choice((512, 4096, 8192))
    at = rng.randrange(len(data) // 8, len(data))
    data[at : at + length] = bytes(len(data[at : at + length]))


def cut(data: bytearray, rng: random.Random) -> None:
    """The rest is missing, the end is there."""
    end = data[-2:]
    del data[rng.randrange(len(data) // 8, len(data) - 2) :]
    data += end


def flip(data: bytearray, rng: random.Random) -> None:
    """One wrong bit."""
    data[rng.randrange(len(data) // 50, len(data))] ^= 1 << rng.randrange(8)


def packet(data: bytearray, rng: random.Random) -> None:
    """A packet of a network that never came."""
    at = rng.randrange(len(data) // 8, len(data))
    del data[at : at + 1400]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (hole, cut, flip, packet)


def read(path: Path) -> np.ndarray | None:
    """The pixels, None for a refused picture."""
    try:
        return decode(path)
    except FrameUnreadable:
        return None


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    pictures = sorted(options.folder.iterdir())
    found: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False) as screener:
        whole: dict[tuple[Path, str], tuple[bytes, np.ndarray, Outcome]] = {}
        done = 0
        while done < options.copies:
            picture, name = rng.choice(pictures), rng.choice(list(FORMATS))
            path = Path(folder) / name
            if (picture, name) not in whole:
                buffer = io.BytesIO()
                kind, settings = FORMATS[name]
                with Image.open(picture) as opened:
                    opened.convert("RGB").save(buffer, kind, **settings)
                path.write_bytes(buffer.getvalue())
                pixels = decode(path)
                outcome = screener.screen(Frame(pixels, 0, name)).outcome
                whole[picture, name] = buffer.getvalue(), pixels, outcome
            data, pixels, outcome = whole[picture, name]
            if outcome not in COUNTS:
                continue
            damage = rng.choice(DAMAGES)
            broken = bytearray(data)
            damage(broken, rng)
            path.write_bytes(broken)
            done += 1
            got = read(path)
            if got is None:
                found[
                    name,
                    damage.__name__,
                    "refused" if differs(bytes(broken), pixels) else "refused, undamaged to the eye",
                ] += 1
            else:
                other = screener.screen(Frame(got, 0, name)).outcome
                flipped = other in COUNTS and other is not outcome
                found[name, damage.__name__, f"OTHER OUTCOME ({other.value})" if flipped else "read, same outcome"] += 1
    for (name, kind, what), number in sorted(found.items()):
        print(f"{name:16} {kind:7} {what:40} {number}")
    wrong = sum(number for (_, _, what), number in found.items() if what.startswith("OTHER"))
    harmless = sum(number for (_, _, what), number in found.items() if "undamaged" in what)
    print(f"{options.copies} copies: {wrong} with the other outcome, {harmless} refused though undamaged to the eye")
    return 1 if wrong else 0


def differs(data: bytes, whole: np.ndarray) -> bool:
    """Whether what a forgiving decoder makes of it differs to the eye."""
    try:
        with Image.open(io.BytesIO(data)) as shown:
            pixels = np.asarray(shown.convert("RGB"))
    except Exception:  # not even that
        return True
    return pixels.shape != whole.shape or float(np.abs(pixels.astype(int) - whole).mean()) >= UNDAMAGED_LEVELS


if __name__ == "__main__":
    sys.exit(main())
