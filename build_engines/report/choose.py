"""The default of a bundle: the fastest combination that is within tolerance and faster in every network it lowers."""

from __future__ import annotations

from collections.abc import Sequence

from build_engines.report.schema import AdoptionLimits, Combination, FrameGroup, ParityReport, Speed
from runtime.cpu_class import CPU_CLASSES
from runtime.manifest import Network, Precision
from runtime.shares import wilson

OPENVINO = "openvino"


def choose(
    speeds: Sequence[Speed], combinations: Sequence[Combination], tolerance: AdoptionLimits
) -> tuple[dict[Network, Precision], tuple[str, ...]]:
    """The precision of each network, and why every faster-looking choice was left.

    fp32 for both is always among the candidates.
    """
    by_network = {(speed.network, speed.precision): speed for speed in speeds}
    reference = _find(combinations, "fp32", "fp32")
    reasons = [
        f"{speed.network} {speed.precision}: {speed.speed_up:.2f} x fp32, not faster here"
        for speed in speeds
        if speed.precision != "fp32" and speed.speed_up < tolerance.faster
    ]
    best, best_ms = reference, float("inf")
    for combination in combinations:
        lowered: dict[Network, Precision] = {
            "segmentation": combination.segmentation,
            "classifier": combination.classifier,
        }
        parts = [by_network[key] for key in lowered.items()]
        if any(part.precision != "fp32" and part.speed_up < tolerance.faster for part in parts):
            continue
        wrong = out_of_tolerance(combination, reference, tolerance)
        if wrong:
            reasons.append(f"{combination.segmentation} + {combination.classifier}: {', '.join(wrong)}")
            continue
        total_ms = sum(by_network[part.network, "fp32"].median_ms / part.speed_up for part in parts)
        if total_ms < best_ms:
            best, best_ms = combination, total_ms
    return {"segmentation": best.segmentation, "classifier": best.classifier}, tuple(reasons)


def defaults(report: ParityReport) -> dict[str, dict[Network, Precision]]:
    """What a manifest names: for `openvino` the choice for each class of CPU, and for all others that of the least.

    For any other backend that the report tells of, its choice.
    """
    every = (report, *report.others)
    by_class = {found.machine.cpu_class: found.chosen for found in every if found.machine.backend == OPENVINO}
    known = [name for name in CPU_CLASSES if name in by_class]
    named = {f"{OPENVINO}/{name}": by_class[name] for name in known}
    gpus = {found.machine.backend: found.chosen for found in every if found.machine.backend != OPENVINO}
    return {OPENVINO: by_class[known[0]] if known else report.chosen, **named, **gpus}


def out_of_tolerance(found: Combination, reference: Combination, tolerance: AdoptionLimits) -> list[str]:
    """What a combination does worse than it may, in words; nothing when it may be a default."""
    wrong = []
    for name, limit in (("dice", tolerance.dice_drop), ("auc", tolerance.auc_drop)):
        got, before = (getattr(combination.judged, name) for combination in (found, reference))
        if got is not None and before is not None and before - got > limit:
            wrong.append(f"{name.upper() if name == 'auc' else 'Dice'} falls by {before - got:.4f}, allowed {limit:g}")
    if found.every.same_outcomes < tolerance.same_outcomes:
        wrong.append(f"{agreement(found.every, tolerance)}, needed {tolerance.same_outcomes:.0%}")
    return wrong


def agreement(group: FrameGroup, tolerance: AdoptionLimits) -> str:
    """`82 of 83 outcomes equal (98.8%; 95 %: 93.5% to 99.8%), 1 lost REFER, 0 gained`, and whether that decides."""
    equal, frames = group.equal, group.frames
    low, high = wilson(equal / frames, frames)
    words = f"{equal} of {frames} outcomes equal ({equal / frames:.1%}; 95 %: {low:.1%} to {high:.1%})"
    if group.lost_refers is not None and group.gained_refers is not None:
        words += f", {group.lost_refers} lost REFER, {group.gained_refers} gained"
    if low < tolerance.same_outcomes <= high:
        words += f"; {frames} frames cannot decide on {tolerance.same_outcomes:.0%}"
        words += f", about {needed:,} could" if (needed := _deciding(equal / frames, tolerance.same_outcomes)) else ""
    return words


def _deciding(share: float, limit: float) -> int | None:
    """Frames at which a share of this height is told from the limit; None where it is the limit's own."""
    if abs(share - limit) < 1e-4:
        return None
    frames = 10
    while wilson(share, frames)[0] < limit <= wilson(share, frames)[1]:
        frames += max(1, frames // 20)
    return frames


def _find(combinations: Sequence[Combination], segmentation: str, classifier: str) -> Combination:
    wanted = (segmentation, classifier)
    return next(found for found in combinations if (found.segmentation, found.classifier) == wanted)
