"""What quantizing one block alone does to the vessel map and the probabilities, and which blocks that spares."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from build_engines.errors import QuantizationError
from build_engines.quantize.inputs import Inputs, Runner
from build_engines.quantize.layers import Layer
from build_engines.quantize.qdq import strip
from calibration.pictures.canvas import DEVICE_COLOURS, FAINT, Canvas
from runtime.arrays import FloatArray, UInt8Array
from runtime.metrics import dice

VESSELS, PROBABILITIES = DEVICE_COLOURS[:2]


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

    def __init__(self, network: str, segmentation: Runner, classifier: Path | bytes, frames: UInt8Array) -> None:
        self._network = network
        self._segmentation = segmentation
        self._graph = classifier
        self._frames = frames

    @cached_property
    def _classifier(self) -> Runner:
        return Runner(self._graph)  # compiled when it is asked for: the published size takes a gigabyte

    @cached_property
    def _references(self) -> list[tuple[Inputs, FloatArray]]:
        """What the classifier gets for each frame in fp32, and its probabilities."""
        images: list[Inputs] = [{"image": frame[np.newaxis]} for frame in self._frames]
        inputs = [{**image, **self._segmentation(image)} for image in images]
        return [(one, self._classifier(one)["probabilities"]) for one in inputs]

    def __call__(self, model: onnx.ModelProto) -> Effect:
        """The effect of a graph with Q/DQ as `quantize` gives it."""
        run = Runner(model.SerializeToString())
        vessels, probabilities = [], []
        for inputs, expected in self._references:
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
    judge: Callable[[onnx.ModelProto], Effect],
    report: Callable[[str], None] = lambda line: None,
) -> tuple[BlockEffect, ...]:
    """The effect of each block that has layers to quantize, the worst first."""
    blocks = dict.fromkeys(layer.block for layer in layers if not layer.kept)
    found = []
    for number, block in enumerate(blocks, start=1):
        names = tuple(layer.name for layer in layers if layer.block == block and not layer.kept)
        effect = judge(strip(model, names))
        found.append(BlockEffect(effect.vessels, effect.probabilities, block, names))
        words = f"vessels {effect.vessels:.4f}, probabilities {effect.probabilities:.4f}"
        report(f"{number} of {len(blocks)}: {block}: {words}")
    return tuple(sorted(found, key=lambda effect: effect.drop, reverse=True))


def spare_worst(
    model: onnx.ModelProto,
    candidates: Collection[str],
    effects: Sequence[BlockEffect],
    judge: Callable[[onnx.ModelProto], Effect],
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


def draw_effects(effects: Sequence[BlockEffect], title: str) -> UInt8Array:
    """The ranking as a picture, RGB uint8 [H, W, 3]: one line a block, vessel map and probabilities apart."""
    row, left, wide = 24, 330, 620
    canvas = Canvas(left + wide + 110, 84 + row * len(effects))
    longest = max([effect.drop for effect in effects] + [1e-6])
    canvas.text(16, 26, title, 19)
    canvas.text(16, 56, "quantized alone:", 14, FAINT)
    canvas.text(left, 56, "1 - Dice of the vessel map against fp32's", 14, VESSELS)
    canvas.text(left + 320, 56, "|difference| of probability", 14, PROBABILITIES)
    for number, effect in enumerate(effects):
        y = 84 + row * number
        canvas.text(16, y, effect.block, 14)
        canvas.box(left, y - 8, left + wide * effect.vessels / longest, y, VESSELS)
        canvas.box(left, y, left + wide * effect.probabilities / longest, y + 8, PROBABILITIES)
        canvas.text(left + wide * effect.drop / longest + 8, y, f"{effect.drop:.5f}", 13, FAINT)
    return canvas.pixels()


def _largest(found: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(found - expected).max())
