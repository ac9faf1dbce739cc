"""What quantizing one block alone does to the vessel map and the probabilities, and which blocks that spares."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx

from build_engines.errors import BuildError, QuantizationError
from build_engines.quantize.half import half_between
from build_engines.quantize.inputs import Inputs, Runner
from build_engines.quantize.layers import Layer
from build_engines.quantize.qdq import strip
from runtime.arrays import FloatArray, UInt8Array
from runtime.metrics import dice


@dataclass(frozen=True)
class Effect:
    """How far a graph's results lie from fp32's, in the mean over frames."""

    vessels: float
    """One less the Dice of both vessel maps, cut at a half; 0 for the classifier, which has none."""
    probabilities: float
    """Largest |difference| of a class probability of a frame."""

    @property
    def drop(self) -> float:
        """The larger of the two: what `--max-drop` limits."""
        return max(self.vessels, self.probabilities)


@dataclass(frozen=True)
class BlockEffect(Effect):
    """The effect of quantizing one block and nothing else."""

    block: str
    layers: tuple[str, ...]


class Judge:
    """Holds graphs of one network against fp32 on the same frames.

    frames: RGB, uint8 [N, 256, 256, 3]. Both fp32 graphs are needed: what the segmentation gives is judged by what the
    classifier makes of it, too.
    """

    def __init__(self, network: str, segmentation: Runner, classifier: Runner, frames: UInt8Array) -> None:
        self._network = network
        self._classifier = classifier
        images: list[Inputs] = [{"image": frame[np.newaxis]} for frame in frames]
        self._inputs = [{**image, **segmentation(image)} for image in images]
        self._expected = [classifier(inputs)["probabilities"] for inputs in self._inputs]

    def __call__(self, model: onnx.ModelProto) -> Effect:
        """The effect of a graph with Q/DQ as `quantize` gives it."""
        run = Runner(half_between(model).SerializeToString())
        vessels, probabilities = [], []
        for inputs, expected in zip(self._inputs, self._expected, strict=True):
            found = run(inputs)
            if self._network == "segmentation":
                vessels.append(1 - dice(found["vessels"], inputs["vessels"]))
                found = self._classifier({**inputs, **found})
            probabilities.append(_largest(found["probabilities"], expected))
        del run
        gc.collect()
        return Effect(float(np.mean(vessels)) if vessels else 0.0, float(np.mean(probabilities)))


def block_effects(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    judge: Judge,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[BlockEffect, ...]:
    """The effect of each block that has layers to quantize, the worst first."""
    blocks = dict.fromkeys(layer.block for layer in layers if not layer.kept)
    found = []
    for number, block in enumerate(blocks, start=1):
        names = tuple(layer.name for layer in layers if layer.block == block and not layer.kept)
        effect = judge(strip(model, names))
        found.append(BlockEffect(effect.vessels, effect.probabilities, block, names))
        report(f"{number} of {len(blocks)}: {block}: vessels {effect.vessels:.4f}, probabilities {effect.drop:.4f}")
    return tuple(sorted(found, key=lambda effect: effect.drop, reverse=True))


def spare_worst(
    model: onnx.ModelProto,
    candidates: Collection[str],
    effects: Sequence[BlockEffect],
    judge: Judge,
    max_drop: float,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[str, ...]:
    """Layers to keep in half precision, by blocks from the worst on, until the whole graph's drop is in `max_drop`.

    Raises `QuantizationError` when only an unquantized graph would do.
    """
    kept: list[str] = []
    for effect in (None, *effects):
        if effect is not None:
            kept += effect.layers
        left = [name for name in candidates if name not in kept]
        if not left:
            break
        drop = judge(strip(model, left)).drop
        report(f"drop {drop:.4f} with {len(kept)} layers kept")
        if drop <= max_drop:
            return tuple(kept)
    raise QuantizationError(
        f"--max-drop {max_drop:g}: not reached while any layer is quantized; allow more, or leave int8 out"
    )


def draw_effects(effects: Sequence[BlockEffect], path: Path, title: str) -> None:
    """Write the ranking as a PNG: one bar a block, vessel map and probabilities apart."""
    row, left, wide = 22, 330, 520
    picture = np.full((70 + row * len(effects), left + wide + 90, 3), 255, np.uint8)
    longest = max([effect.drop for effect in effects] + [1e-6])
    _text(picture, title, (12, 24), 0.55)
    _text(picture, "1 - Dice of the vessel map", (left, 48), 0.42, BLUE)
    _text(picture, "|difference| of probability", (left + 230, 48), 0.42, ORANGE)
    for number, effect in enumerate(effects):
        top = 60 + row * number
        _text(picture, effect.block, (12, top + 13), 0.42)
        for offset, value, color in ((2, effect.vessels, BLUE), (9, effect.probabilities, ORANGE)):
            width = round(wide * value / longest)
            cv2.rectangle(picture, (left, top + offset), (left + width, top + offset + 5), color, -1)
        _text(picture, f"{effect.drop:.4f}", (left + round(wide * effect.drop / longest) + 8, top + 13), 0.4)
    if not cv2.imwrite(str(path), picture):
        raise BuildError(f"{path}: the picture cannot be written; name a place with room")


BLUE, ORANGE = (176, 96, 32), (32, 128, 224)
"""BGR; told apart also by those who see few colours."""


def _text(picture: UInt8Array, text: str, at: tuple[int, int], size: float, color: tuple[int, int, int] = (40,) * 3) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)


def _largest(found: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(found - expected).max())
