"""What listening for damage costs a frame: with all of its checks against the decoders alone, in turns, in one run.

    python tests/bench/listening.py ../shared/data/hvdropdb_ridge/images

Prints, for each format, the median times of decoding plainly (Pillow, which hears nothing), of decoding with an ear for
damage, and of a whole reading, and the share that listening adds; below zero where our decoder is quicker.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from device import Frame
from device.cameras.files import decode
from runtime import Screener, open_bundle

FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "baseline.jpg": ("JPEG", {"quality": 92}),
    "progressive.jpg": ("JPEG", {"quality": 92, "progressive": True}),
    "lossy.webp": ("WEBP", {"quality": 90}),
    "lossy.jp2": ("JPEG2000", {"quality_mode": "rates", "quality_layers": [12], "irreversible": True}),
    "plain.png": ("PNG", {}),
}


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    pictures = sorted(options.folder.iterdir())[:3]
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False, threads=1) as screener:
        for name, (kind, settings) in FORMATS.items():
            paths = []
            for k, picture in enumerate(pictures):
                paths.append(Path(folder) / f"{k}-{name}")
                with Image.open(picture) as opened:
                    opened.convert("RGB").save(paths[-1], kind, **settings)
            plain, heard, read = [], [], []
            for k in range(options.rounds):
                path = paths[k % len(paths)]
                plain.append(_ms(partial(_plainly, path)))
                heard.append(_ms(partial(decode, path)))
                frame = Frame(decode(path), 0, name)
                read.append(_ms(partial(screener.screen, frame)))
            one, other, rest = map(statistics.median, (plain, heard, read))
            print(
                f"{name:16} plain {one:6.2f} ms, listening {other:6.2f} ms, reading {rest:6.1f} ms: "
                f"{(other - one) / (one + rest):+.1%} of a frame, {other / one - 1:+.0%} of decoding"
            )
    return 0


def _plainly(path: Path) -> np.ndarray:
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        return np.asarray(opened.convert("RGB"))


def _ms(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1e3


if __name__ == "__main__":
    sys.exit(main())
