"""What listening for damage costs a frame: with all of its checks against the decoders alone, in turns, in one run.

    python tests/bench/listening.py ../shared/data/hvdropdb_ridge/images

Prints, for each format, the median times of decoding plainly (Pillow, which hears nothing), of decoding with an ear for
damage, and of a whole reading, and the share that listening adds; below zero where our decoder is quicker. Pictures are
those of the folder that get an outcome in every format, so that each reading is a whole one. Times are the process's
own, all of its threads together: the engine works in another than the caller's.
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
from runtime import Outcome, Screener, open_bundle

COUNTS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
PICTURES = 3
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
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False, threads=1) as screener:
        written = _written(sorted(options.folder.iterdir()), Path(folder), screener)
        for name, paths in written.items():
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


def _written(pictures: list[Path], folder: Path, screener: Screener) -> dict[str, list[Path]]:
    """Files of three pictures in each format, of which every one gets an outcome."""
    files: dict[str, list[Path]] = {name: [] for name in FORMATS}
    for picture in pictures:
        made = {}
        for name, (kind, settings) in FORMATS.items():
            made[name] = folder / f"{picture.stem}-{name}"
            with Image.open(picture) as opened:
                opened.convert("RGB").save(made[name], kind, **settings)
        if all(screener.screen(Frame(decode(path), 0, name)).outcome in COUNTS for name, path in made.items()):
            for name, path in made.items():
                files[name].append(path)
        if len(files["plain.png"]) == PICTURES:
            return files
    raise SystemExit(f"listening.py: {len(files['plain.png'])} pictures of {PICTURES} get an outcome in every format")


def _plainly(path: Path) -> np.ndarray:
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        return np.asarray(opened.convert("RGB"))


def _ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


if __name__ == "__main__":
    sys.exit(main())
