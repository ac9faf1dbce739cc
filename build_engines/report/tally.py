"""What one combination of precisions gave, frame by frame, and its figures by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from build_engines.errors import BuildError
from build_engines.report.frames import ReportFrame
from build_engines.report.schema import ALL, Combination, FrameGroup
from runtime.arrays import FloatArray
from runtime.bundle import Bundle
from runtime.decide import decide, refer_probability
from runtime.manifest import Precision
from runtime.metrics import dice, roc_auc
from runtime.outcome import Outcome

Outputs = dict[str, FloatArray]


@dataclass(frozen=True)
class _Result:
    """Of one frame."""

    place: tuple[str, str]
    """Data set and device."""
    judged: bool
    held_out: bool
    dice: float | None
    score: float
    """Refer probability."""
    refer: bool | None
    """The truth."""
    difference: float
    outcomes: tuple[Outcome, Outcome]
    """fp32's, and this one's."""


class CombinationTally:
    """Results of one combination, frame after frame."""

    def __init__(self, bundle: Bundle) -> None:
        self._names = bundle.class_names
        self._refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
        self._threshold = bundle.manifest.refer_threshold
        self._results: list[_Result] = []
        self._errors = {"vessels": [0.0, 0.0], "logits": [0.0, 0.0]}

    def add(self, frame: ReportFrame, found: Outputs, expected: Outputs) -> None:
        """Hold the outputs for a frame against fp32's and the truth. Raises `BuildError` for outputs that are none."""
        if not all(np.isfinite(found[name]).all() for name in ("vessels", "probabilities", "logits")):
            raise BuildError(
                "report: a graph gives values that are not finite; build its precision again with --max-drop"
            )
        for name, sums in self._errors.items():
            sums[0] += float(np.abs(found[name] - expected[name]).sum())
            sums[1] += float(np.abs(expected[name]).sum())
        ours, theirs = (self._by_name(outputs) for outputs in (found, expected))
        self._results.append(
            _Result(
                place=(frame.dataset, frame.device),
                judged=frame.judged,
                held_out=frame.held_out,
                dice=None if frame.vessels is None else dice(found["vessels"][0, 0], frame.vessels),
                score=refer_probability(ours, self._refer),
                refer=frame.refer,
                difference=max(abs(ours[name] - theirs[name]) for name in ours),
                outcomes=(self._outcome(theirs), self._outcome(ours)),
            )
        )

    def combination(self, segmentation: Precision, classifier: Precision) -> Combination:
        """The figures of all frames that were added."""
        judged = [result for result in self._results if result.judged]
        places = dict.fromkeys(result.place for result in judged)
        groups = [_group(place, True, [result for result in judged if result.place == place]) for place in places]
        vessels, logits = (sums[0] / max(sums[1], 1e-12) for sums in self._errors.values())
        return Combination(
            segmentation=segmentation,
            classifier=classifier,
            groups=(*groups, _group((ALL, ALL), True, judged), _group((ALL, ALL), False, self._results)),
            vessels_error=vessels,
            logits_error=logits,
        )

    def _by_name(self, outputs: Outputs) -> dict[str, float]:
        return dict(zip(self._names, map(float, outputs["probabilities"][0]), strict=True))

    def _outcome(self, probabilities: dict[str, float]) -> Outcome:
        return decide(probabilities, self._refer, self._threshold)[0]


def _group(place: tuple[str, str], judged: bool, results: Sequence[_Result]) -> FrameGroup:
    dices = [result.dice for result in results if result.dice is not None]
    labelled = [result for result in results if result.refer is not None]
    outcomes = [result.outcomes for result in results]
    differences = [min(result.difference, 1.0) for result in results]
    return FrameGroup(
        dataset=place[0],
        device=place[1],
        judged=judged,
        held_out=judged and all(result.held_out for result in results),
        frames=len(results),
        dice=float(np.mean(dices)) if dices else None,
        dice_frames=len(dices),
        auc=roc_auc([result.score for result in labelled], [bool(result.refer) for result in labelled]),
        auc_frames=len(labelled),
        largest_difference=max(differences),
        p99_difference=float(np.percentile(differences, 99)),
        same_outcomes=float(np.mean([before is after for before, after in outcomes])),
        lost_refers=sum(before is Outcome.REFER is not after for before, after in outcomes),
        gained_refers=sum(after is Outcome.REFER is not before for before, after in outcomes),
    )
