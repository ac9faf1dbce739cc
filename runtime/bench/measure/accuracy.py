"""Accuracy beside speed: Dice, AUC, and agreement with the bundle's fp32, on frames read apart from the timing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from device.cameras import open_camera
from device.errors import FrameUnreadable
from device.frame import Frame
from device.schemes import is_simulated
from runtime.arrays import UInt8Array
from runtime.bench.errors import BenchError
from runtime.bench.measure.labels import Label, read_mask, shrink_mask
from runtime.bench.schema import AccuracyPart
from runtime.decide import refer_probability
from runtime.metrics import dice, roc_auc
from runtime.preprocess import SIDE
from runtime.reading import Reader, Reading

SIMULATED_FRAMES, SIMULATED_PER_EYE = 60, 4
"""Fifteen eyes, so that frames with and without a ridge are among them."""
MOST_UNLABELLED = 100


@dataclass(frozen=True)
class Judged:
    """A frame with what is true of it."""

    frame: Frame
    vessels: UInt8Array | None
    """Vessel mask, uint8 [256, 256], 0 or 255."""
    refer: bool | None


@dataclass
class Score:
    """Dice and refer probabilities of one reader."""

    dices: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    positives: list[bool] = field(default_factory=list)

    def add(self, judged: Judged, reading: Reading, refer_classes: Iterable[str]) -> None:
        """Hold a reading against the truth."""
        if reading.vessels is not None and judged.vessels is not None:
            self.dices.append(dice(reading.vessels, judged.vessels))
        if reading.probabilities is not None and judged.refer is not None:
            self.scores.append(refer_probability(reading.probabilities, tuple(refer_classes)))
            self.positives.append(judged.refer)

    @property
    def dice(self) -> float | None:
        """Mean over frames."""
        return float(np.mean(self.dices)) if self.dices else None

    @property
    def auc(self) -> float | None:
        """Over frames."""
        return roc_auc(self.scores, self.positives)


def judged_frames(source: str, labels: Mapping[str, Label] | None) -> Generator[Judged, None, None]:
    """The frames of a source with their truth: labels, what the simulation drew, or none.

    labels: by the name that a frame's source bears (`labels.by_name`). A simulation changes eyes every few frames here.
    Raises `BenchError` when no label fits a frame of the source.
    """
    if is_simulated(source) and labels is None:
        from device.cameras.simulated import SimulatedConfig

        config = SimulatedConfig.parse(source)
        source = str(replace(config, fps=0.0, frames=SIMULATED_FRAMES, frames_per_eye=SIMULATED_PER_EYE))
    fitted = count = 0
    with open_camera(source) as camera:
        while labels is not None or count < MOST_UNLABELLED:
            try:
                frame = camera.read()
            except FrameUnreadable:
                continue
            if frame is None:
                break
            count += 1
            label = None if labels is None else labels.get(frame.source)
            if labels is None or label is not None:
                fitted += 1
                yield _judged(frame, label)
    if labels is not None and not fitted:
        raise BenchError(f"labels: none of {len(labels)} pictures is among the {count} of {source}; name their folder")


def check_labels(source: str, labels: Mapping[str, Label]) -> None:
    """Raise `BenchError` when no label fits a frame of the source or a mask is no picture: before the run."""
    with closing(judged_frames(source, labels)) as frames:
        next(frames)
    for label in labels.values():
        if label.mask is not None:
            read_mask(label.mask, SIDE)


def _judged(frame: Frame, label: Label | None) -> Judged:
    if label is not None:
        return Judged(frame, None if label.mask is None else read_mask(label.mask, SIDE), label.refer)
    if frame.truth is not None:
        return Judged(frame, shrink_mask(frame.truth.vessels, SIDE), frame.truth.ridge_in_view)
    return Judged(frame, None, None)


def measure_accuracy(
    frames: Iterable[Judged],
    reader: Reader,
    reference: Reader | None,
    refer_classes: tuple[str, ...],
    *,
    truth: Literal["labels", "simulated", "none"],
    reference_name: str = "fp32",
    stopped: Callable[[], bool] = lambda: False,
) -> AccuracyPart:
    """Read every frame with the engine that was timed, and with the bundle's fp32 where that is another."""
    ours, theirs = Score(), Score()
    same: list[bool] = []
    differences: list[float] = []
    overlaps: list[float] = []
    count = graded = 0
    for judged in frames:
        if stopped():
            break
        reading = reader.screen(judged.frame)
        count += 1
        graded += reading.quality is not None and reading.quality.gradable
        ours.add(judged, reading, refer_classes)
        if reference is None:
            continue
        other = reference.screen(judged.frame)
        theirs.add(judged, other, refer_classes)
        same.append(reading.outcome is other.outcome)
        if reading.probabilities is not None and other.probabilities is not None:
            pairs = ((reading.probabilities[name], other.probabilities[name]) for name in reading.probabilities)
            differences.append(max(abs(a - b) for a, b in pairs))
        if reading.vessels is not None and other.vessels is not None:
            overlaps.append(dice(reading.vessels, other.vessels))
    return AccuracyPart(
        frames=count,
        graded=graded,
        truth=truth,
        dice=ours.dice,
        dice_frames=len(ours.dices),
        auc=ours.auc,
        auc_frames=len(ours.scores),
        reference=None if reference is None else reference_name,
        same_outcome=float(np.mean(same)) if same else None,
        largest_probability_difference=min(1.0, max(differences)) if differences else None,
        vessel_agreement=float(np.mean(overlaps)) if overlaps else None,
        reference_dice=theirs.dice,
        reference_auc=theirs.auc,
    )
