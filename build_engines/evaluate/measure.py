"""The figures of one reader: by level, by operating point, by group, and its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from build_engines.evaluate.cases import Case
from build_engines.evaluate.columns import parts
from build_engines.evaluate.errors import EvaluationError
from build_engines.evaluate.readings import Said
from build_engines.evaluate.result import (
    Accuracy,
    Calibration,
    Decision,
    Flow,
    Group,
    Level,
    Point,
    Predictive,
    ReliabilityPoint,
    Roc,
)
from build_engines.evaluate.statistics.area import area_interval
from build_engines.evaluate.statistics.predictive import net_benefit, predictive_values
from build_engines.evaluate.statistics.probabilities import brier, expected_error, reliability
from build_engines.evaluate.statistics.roc import roc_band, roc_curve
from build_engines.evaluate.units import FRAME, Units, gather
from runtime.outcome import Outcome
from runtime.shares import Flags, Range, Share, share

ALWAYS = ("device", "site", "gestational_age")
"""Columns that part the table without being asked for."""
EVERY = "all"
FEWEST_INFANTS = 2
"""From whom a ROC area is stated: how one infant's own frames are ranked says nothing of another's."""
THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


@dataclass(frozen=True)
class Asked:
    """What is asked of every reader."""

    specificities: tuple[float, ...] = (0.8, 0.9, 0.95)
    sensitivities: tuple[float, ...] = (0.9, 0.95)
    prevalences: tuple[float, ...] = ()
    by: Mapping[str, tuple[float, ...]] | None = None
    """Columns with their cuts, beyond `ALWAYS`."""
    draws: int = 1000


def level_of(
    cases: Sequence[Case], said: Sequence[Said], level: str, asked: Asked, elsewhere: Sequence[Point]
) -> Level:
    """All figures of a reader at a level. elsewhere: thresholds chosen on another set, to be tried here."""
    units = gather(cases, said, level)
    deployed = accuracy(units, units.refers, units.answered)
    points = [Point("deployed", None, "the outcomes as they were read", deployed)]
    points += [_at(units, point.name, point.threshold, point.chosen_on) for point in elsewhere]
    for name, targets in (("specificity", asked.specificities), ("sensitivity", asked.sensitivities)):
        points += [_chosen(units, name, target) for target in targets]
    return Level(
        level,
        group_of(units, EVERY, EVERY, deployed),
        _roc(units, asked.draws),
        tuple(_with_predictive(point, units, asked.prevalences) for point in points),
        _decision(units, asked.prevalences),
    )


def choose_threshold(units: Units, name: str, target: float) -> float | None:
    """The threshold that reaches a sensitivity (the highest such) or a specificity (the lowest); None where none does.

    No answer counts against the reader.
    """
    scores = units.against()
    if name == "sensitivity":
        found = np.sort(scores[units.truth])[::-1]
        threshold = found[int(np.ceil(target * len(found) - 1e-9)) - 1] if len(found) else -np.inf
        return float(threshold) if np.isfinite(threshold) else None
    found = np.sort(scores[~units.truth])
    if not len(found):
        return None
    highest = found[int(np.ceil(target * len(found) - 1e-9)) - 1]  # this many stay below
    return float(np.nextafter(highest, np.inf)) if np.isfinite(highest) else None


def accuracy(units: Units, refers: Flags, answered: Flags) -> Accuracy:
    """Of the units that would be referred. No answer is neither a hit nor an all-clear."""
    truth, infants = units.truth, units.infants
    right = np.where(truth, refers, ~refers) & answered

    def of(which: Flags) -> Share:
        return share(right[which], infants[which])

    return Accuracy(of(truth), of(~truth), of(truth & answered), of(~truth & answered))


def group_of(units: Units, column: str, value: str, deployed: Accuracy, area: Range | None = None) -> Group:
    """A part of the table. area: left out of the whole table's, as `Level.roc` has it."""
    flows = [
        {outcome.value: sum(o is outcome and t == is_positive for o, t in zip(units.outcomes, units.truth, strict=True))
         for outcome in Outcome}
        for is_positive in (True, False)
    ]  # fmt: skip
    infants = len(np.unique(units.infants)) if units.told_apart else None
    return Group(
        column,
        value,
        units.level,
        len(units.truth),
        infants,
        Flow(flows[0], flows[1], share(~units.answered, units.infants)),
        deployed,
        area,
    )


def require_columns(cases: Sequence[Case], asked: Asked) -> None:
    """Raise `EvaluationError` where a column that is asked for is not in the table, or cannot be cut as it is asked:
    before hours of reading."""
    for column, cuts in (asked.by or {}).items():
        if not any(column in case.columns for case in cases):
            there = sorted({name for case in cases for name, value in case.columns.items() if value})
            raise EvaluationError(f"--by {column}: no such column; the table has {', '.join(there)}")
        parts(cases, column, cuts)


def parted_by(cases: Sequence[Case], asked: Asked) -> dict[str, tuple[float, ...]]:
    """The columns that part the table, with their cuts."""
    columns = {name for case in cases for name, value in case.columns.items() if value}
    return {name: () for name in ALWAYS if name in columns} | dict(asked.by or {})


def groups_of(cases: Sequence[Case], said: Sequence[Said], levels: Sequence[str], asked: Asked) -> tuple[Group, ...]:
    """By every column that is asked for or always looked at, and by frame and infant. Raises `EvaluationError`."""
    found = []
    for column, cuts in parted_by(cases, asked).items():
        for value, members in parts(cases, column, cuts).items():
            ours, theirs = [cases[n] for n in members], [said[n] for n in members]
            for level in dict.fromkeys((FRAME, levels[-1])):
                units = gather(ours, theirs, level)
                found.append(
                    group_of(units, column, value, accuracy(units, units.refers, units.answered), _area(units))
                )
    return tuple(found)


def calibration_of(units: Units) -> Calibration | None:
    """Of the frames with an answer; None without any."""
    kept = units.answered
    probability, truth, infants = units.scores[kept], units.truth[kept], units.infants[kept]
    if not len(probability):
        return None
    bins = reliability(probability, truth)
    return Calibration(
        len(probability),
        brier(probability, truth),
        expected_error(bins),
        tuple(ReliabilityPoint(part.stated, share(truth[part.members], infants[part.members])) for part in bins),
    )


def _at(units: Units, name: str, threshold: float | None, chosen_on: str) -> Point:
    if threshold is None:
        return Point(name, None, chosen_on, None)
    return Point(name, threshold, chosen_on, accuracy(units, *units.at(threshold)))


def _chosen(units: Units, name: str, target: float) -> Point:
    threshold = choose_threshold(units, name, target)
    words = f"{name} {target:g}"
    if threshold is None:
        which = units.truth if name == "sensitivity" else ~units.truth
        silent = int(np.isinf(units.against()[which]).sum())
        return Point(words, None, f"not reached: {silent} of {int(which.sum())} units had no answer", None)
    return _at(units, words, threshold, "these same units, so it flatters")


def _with_predictive(point: Point, units: Units, prevalences: Sequence[float]) -> Point:
    found = point.accuracy
    if found is None or not found.sensitivity.of or not found.specificity.of:
        return point
    own = float(units.truth.mean())
    values = [
        Predictive(prevalence, stated, *predictive_values(found.sensitivity, found.specificity, prevalence))
        for prevalence, stated in [*((p, True) for p in prevalences), (own, False)]
    ]
    return Point(point.name, point.threshold, point.chosen_on, found, tuple(values))


def _area(units: Units, *, against: bool = False) -> Range | None:
    """Of the units with an answer; against: of all, no answer counted against the reader."""
    kept: Flags = np.ones(len(units.truth), np.bool_) if against else units.answered
    truth = units.truth[kept]
    infants = units.infants[kept]
    if not truth.any() or truth.all() or len(np.unique(infants)) < FEWEST_INFANTS:
        return None
    return area_interval((units.against() if against else units.scores)[kept], truth, infants)


def _roc(units: Units, draws: int) -> Roc:
    found, against = _area(units), _area(units, against=True)
    if found is None:
        return Roc(None, against, (), (), (), (), ())
    kept = units.answered
    scores, truth = units.scores[kept], units.truth[kept]
    curve = roc_curve(scores, truth)
    low, high = roc_band(scores, truth, units.infants[kept], draws)
    return Roc(
        found,
        against,
        tuple(curve.thresholds.tolist()),
        tuple(curve.sensitivity.tolist()),
        tuple(curve.false_positive_rate.tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
    )


def _decision(units: Units, prevalences: Sequence[float]) -> Decision | None:
    """At the first prevalence that is stated, else at the table's own share."""
    truth, scores = units.truth, units.against()
    if not truth.any() or truth.all():
        return None
    prevalence = prevalences[0] if prevalences else float(truth.mean())
    hits = [float((scores[truth] >= t).mean()) for t in THRESHOLDS]
    clear = [float((scores[~truth] < t).mean()) for t in THRESHOLDS]
    reader = tuple(net_benefit(h, c, prevalence, t) for h, c, t in zip(hits, clear, THRESHOLDS, strict=True))
    return Decision(prevalence, THRESHOLDS, reader, tuple(net_benefit(1.0, 0.0, prevalence, t) for t in THRESHOLDS))
