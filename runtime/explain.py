"""What an engine tells of the frame that it just read, put into an `Explanation`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.engines.base import Engine
from runtime.errors import EngineError
from runtime.explanation import Explanation
from runtime.quality import field_of_view

PARTS = 8
"""The picture is covered in so many parts each way, one at a time (Zeiler and Fergus 2014)."""
FIELD_AT_LEAST = 0.25
"""Share of a part that is field of view; others are not covered."""


def explain(engine: Engine, image: UInt8Array, refer: Sequence[int], *, occlusion: bool = False) -> Explanation:
    """Of the frame that the engine read last.

    image: what it read, RGB uint8 [1, 256, 256, 3]. refer: numbers of the classes that count towards referral.
    occlusion: also read the picture once for each part that is covered, which takes up to 64 times as long. What
    `Engine.infer` gave before is overwritten. Raises `EngineError` where the engine cannot tell.
    """
    start = time.perf_counter()
    account = engine.explain()
    both, raw, seg, neither = (
        log_odds(logits, refer) for logits in (account.both, account.raw, account.guided, account.neither)
    )
    covered = _occlusion(engine, image, refer, both) if occlusion else None
    return Explanation(
        gates=account.gates,
        log_odds=both,
        base=neither,
        raw_share=((raw - neither) + (both - seg)) / 2,
        seg_share=((seg - neither) + (both - raw)) / 2,
        occlusion=covered,
        took_ms=(time.perf_counter() - start) * 1e3,
    )


def log_odds(logits: FloatArray, refer: Sequence[int]) -> float:
    """Logarithm of the odds of the classes in `refer` against all others. logits: [C]. Raises `EngineError`."""
    others = [number for number in range(len(logits)) if number not in refer]
    values = logits.astype(np.float64)
    if not np.isfinite(values).all():
        raise EngineError("the engine's account of its branches is not finite; nothing can be told from it")
    return float(np.logaddexp.reduce(values[list(refer)]) - np.logaddexp.reduce(values[others]))


def _occlusion(engine: Engine, image: UInt8Array, refer: Sequence[int], whole: float) -> FloatArray:
    """float32 [PARTS, PARTS], see `Explanation.occlusion`."""
    field = field_of_view(image[0])
    colour = np.array(cv2.mean(image[0], field.view(np.uint8))[:3]).round().astype(np.uint8)
    side = image.shape[1] // PARTS
    found = np.full((PARTS, PARTS), np.nan, np.float32)
    for row, column in np.ndindex(PARTS, PARTS):
        part = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        if field[part].mean() < FIELD_AT_LEAST:
            continue
        covered = image.copy()
        covered[0][part][field[part]] = colour
        found[row, column] = whole - log_odds(engine.infer(covered).logits, refer)
    return found
