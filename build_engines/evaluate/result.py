"""What an evaluation says: the schema `rop.evaluation/1`, as plain values that become JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np

from build_engines.evaluate.overlap import Alike, Overlap
from runtime.shares import Range, Share

EVALUATION_SCHEMA = "rop.evaluation/1"


@dataclass(frozen=True)
class Accuracy:
    """Sensitivity and specificity two ways. No answer (RETAKE, NO_RESULT) counts against the reader in the first."""

    sensitivity: Share
    specificity: Share
    sensitivity_answered: Share
    """Of those with an answer alone."""
    specificity_answered: Share


@dataclass(frozen=True)
class Point:
    """An operating point."""

    name: str
    """`deployed`, `specificity 0.9`, ..."""
    threshold: float | None
    """None for the deployed outcomes, which carry their own."""
    chosen_on: str
    """Where the threshold comes from, in words."""
    accuracy: Accuracy | None
    """None where no threshold reaches what was asked; `chosen_on` then says why."""
    predictive: tuple[Predictive, ...] = ()


@dataclass(frozen=True)
class Predictive:
    """Predictive values at a prevalence."""

    prevalence: float
    stated: bool
    """False for the share of positives in this table, which is that of no population."""
    positive: Range | None
    """None where nobody was referred."""
    negative: Range | None
    """None where nobody was cleared."""


@dataclass(frozen=True)
class Roc:
    """A ROC curve with its area; the band is pointwise, at equal steps of the false positive rate."""

    area: Range | None
    """Over units with an answer; None with one class only."""
    area_against: Range | None
    """No answer counted against the reader."""
    thresholds: tuple[float, ...]
    sensitivity: tuple[float, ...]
    false_positive_rate: tuple[float, ...]
    band_low: tuple[float, ...]
    band_high: tuple[float, ...]


@dataclass(frozen=True)
class Flow:
    """Every unit, by truth and outcome: none is left out."""

    positives: Mapping[str, int]
    negatives: Mapping[str, int]
    no_answer: Share


@dataclass(frozen=True)
class Group:
    """A part of the table at a level."""

    column: str
    """`all`, or the column that parts the table."""
    value: str
    level: str
    units: int
    infants: int | None
    """None where the table does not tell infants apart."""
    flow: Flow
    deployed: Accuracy
    area: Range | None


@dataclass(frozen=True)
class ReliabilityPoint:
    """Frames of which like probabilities were stated."""

    stated: float
    observed: Share


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say; frames with an answer."""

    frames: int
    brier: float
    expected_error: float
    bins: tuple[ReliabilityPoint, ...]


@dataclass(frozen=True)
class Decision:
    """Net benefit by threshold, against referring everybody (nobody has none)."""

    prevalence: float
    thresholds: tuple[float, ...]
    reader: tuple[float, ...]
    everybody: tuple[float, ...]


@dataclass(frozen=True)
class Level:
    """All of one reader at one level."""

    level: str
    whole: Group
    roc: Roc
    points: tuple[Point, ...]
    decision: Decision | None
    """None with one class only."""


@dataclass(frozen=True)
class Failure:
    """A frame that was read wrongly, or not at all."""

    kind: str
    """`missed`, `false alarm`, `no answer`."""
    image: str
    refer: bool
    outcome: str
    reason: str
    score: float | None
    picture: str | None = None
    """In the output folder."""


@dataclass(frozen=True)
class ReaderResult:
    """All of one reader."""

    reader: str
    bundle: Mapping[str, str]
    engine: Mapping[str, str]
    deployed_threshold: float
    """The bundle's; a site may have had another, by which its stored outcomes are."""
    levels: tuple[Level, ...]
    calibration: Calibration | None
    groups: tuple[Group, ...]
    readings_without_row: Mapping[str, int]
    """Stored readings of no picture of the table, by outcome."""
    superseded: int
    """Readings of views that were taken again: a later one counts for its eye, unless this one is REFER."""
    superseded_by_row: int
    """Of these the ones whose order is the table's, as not all of the view state when they were captured."""
    pixels_compared: int | None
    """Pictures whose pixels were held against their stored reading; None where the networks were asked."""
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Flip:
    """A frame on which two readers differ."""

    kind: str
    image: str
    refer: bool
    first: str
    second: str
    first_score: float | None
    second_score: float | None
    picture: str | None = None


@dataclass(frozen=True)
class Pairing:
    """Two readers of the same units at a level."""

    level: str
    units: int
    same_outcomes: Share
    flips: Mapping[str, int]
    """By kind; of frames the list below holds each one."""
    right_only_first: int
    right_only_second: int
    p: float
    """McNemar, exact, on being right, as if units were independent; no answer is not right."""
    p_by_infant: float
    """The same by whole infants, whose units hang together; the verdict goes by it."""
    positives: tuple[int, int, float]
    """The same among positives: sensitivity."""
    negatives: tuple[int, int, float]
    verdict: str
    """What these numbers can decide, in words."""


@dataclass(frozen=True)
class PairedComparison:
    """Two readers on the same frames."""

    first: str
    second: str
    levels: tuple[Pairing, ...]
    flips: tuple[Flip, ...]
    """Frames, lost REFERs first."""


@dataclass(frozen=True)
class Data:
    """The table."""

    name: str
    sha256: str
    frames: int
    positives: int
    infants: int | None
    eyes: int | None
    without_truth: int
    one_eyed: int
    """Infants of whom one eye alone is in the table."""
    unit_of_independence: str


@dataclass(frozen=True)
class Evaluation:
    """The whole."""

    created: str
    data: Data
    warnings: tuple[str, ...]
    """What takes away from the figures; the worst first."""
    overlaps: tuple[Overlap, ...]
    not_checked: tuple[str, ...]
    twins: tuple[tuple[str, str], ...]
    alike: Alike | None
    """Pictures of the table that look like another infant's; None where none could be looked at."""
    readers: tuple[ReaderResult, ...]
    comparisons: tuple[PairedComparison, ...]
    draws: int
    machine: str
    schema: str = EVALUATION_SCHEMA

    def to_json(self) -> str:
        """As JSON; a number that is not finite becomes null."""
        return json.dumps(plain(self), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def plain(value: Any) -> Any:
    """Dataclasses, tuples and numpy's numbers as JSON takes them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
