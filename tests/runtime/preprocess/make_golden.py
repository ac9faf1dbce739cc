"""Writes golden.json from Pillow 12.3.0: `python -m pip install pillow==12.3.0`, then, from the root,
`python -m tests.runtime.preprocess.make_golden`.

The networks' input is what this version gives. Another one must not be used here: 13.0 differs by a level in places.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from tests.runtime.preprocess.golden_pictures import SIZES, digest, name_of, picture

PILLOW = "12.3.0"
GOLDEN = Path(__file__).with_name("golden.json")


def network_input(pixels: np.ndarray) -> np.ndarray:
    """The contract in Pillow's words."""
    height, width = pixels.shape[:2]
    image, factor = Image.fromarray(pixels), min(max(min(height, width) // 480, 1), 16)
    if factor > 1:
        image = image.reduce(factor)
    box = (0, 0, width / factor, height / factor)
    return np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR, box))


def main() -> None:
    if PIL.__version__ != PILLOW:
        sys.exit(f"make_golden: Pillow {PIL.__version__} is installed, {PILLOW} needed: pip install pillow=={PILLOW}")
    golden = {
        name_of(*size): {"picture": digest(pixels), "input": digest(network_input(pixels))}
        for size in SIZES
        for pixels in [picture(*size)]
    }
    GOLDEN.write_text(json.dumps({"pillow": PILLOW, "sha256": golden}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
