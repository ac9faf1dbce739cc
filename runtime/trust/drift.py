"""The watch for drift: whether frames and scores of late are spread as those that the model was made with.

Frames are counted into the bins of a reference, window by window. A feature has drifted when the largest gap between
its two cumulative shares (Kolmogorov-Smirnov distance, at the bins' edges) is more than chance allows; too few gradable
frames are told by the binomial distribution. Frames of one infant resemble each other, so each counts for a part of an
independent one only (design effect, Kish 1965). No clock, no disk: a state and an observation give the next state.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime.reading import DriftFacts

REFERENCE_SCHEMA = "rop.drift-reference/1"
REFERENCE = "reference/drift.json"
EVERYTHING = "all"
FEATURES = ("score", "vessel_fraction", "brightness", "redness", "green_excess", "detail")
"""Of a frame: the refer probability, then what `rop.reading/1` calls so."""
WINDOW = 200
"""Frames: those of twenty infants."""
CHECKS = (50, 100, WINDOW)
"""How full a window is when it is looked at; each look gets its share of the false alarms."""
FALSE_ALARMS = 0.1
"""What the false alarms of all looks and features add up to by the formulas, at most. These are careful: by simulation
0.3 % of the windows alarm where nothing has changed, 1 % when 70 % of the spread is between infants."""
DESIGN_EFFECT = 5.5
"""1 + (10 - 1) x 0.5: ten frames an infant, half of the spread being between infants."""
FEWEST = 20
"""Frames with a score, at least, for their spread to be compared."""
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Part):
    """How one feature is spread over the reference's frames."""

    edges: tuple[_Number, ...] = Field(min_length=1)
    """Rising; a value that equals an edge is above it."""
    below: tuple[_Share, ...]
    """Share of the frames below each edge."""

    @model_validator(mode="after")
    def _rising(self) -> Spread:
        if len(self.below) != len(self.edges):
            raise ValueError("as many shares as edges are needed")
        for values, strictly in ((self.edges, True), (self.below, False)):
            pairs = list(pairwise(values))
            if any(high < low or (strictly and high == low) for low, high in pairs):
                raise ValueError("edges and shares must rise")
        return self


class Reference(_Part):
    """What frames and scores are like when all is well: statistics only."""

    frames: int = Field(gt=0)
    gradable_share: float = Field(gt=0, lt=1)
    """Of the frames, in use: pictures of a data set were chosen by people, and all gradable."""
    features: dict[str, Spread]

    @model_validator(mode="after")
    def _complete(self) -> Reference:
        if set(self.features) != set(FEATURES):
            raise ValueError(f"features are {', '.join(self.features)}; expected {', '.join(FEATURES)}")
        return self


class References(_Part):
    """The file `reference/drift.json` of a bundle."""

    schema_: Literal["rop.drift-reference/1"] = Field(alias="schema")
    references: dict[str, Reference]
    """`all`, and by camera."""


@dataclass(frozen=True)
class Observation:
    """What the watch needs to know of a reading."""

    gradable: bool
    values: Mapping[str, float] | None
    """By the names in `FEATURES`; None when the frame gave no score."""


@dataclass(frozen=True)
class DriftState:
    """What was seen so far."""

    frames: int = 0
    """In the window that is being filled."""
    gradable: int = 0
    counts: tuple[tuple[int, ...], ...] = ()
    """Frames by feature and bin; empty at the start of a window."""
    windows: int = 0
    """That were filled."""
    reasons: tuple[str, ...] = ()
    """Of the alarm that is on; it goes off when a whole window passes without one."""

    @property
    def facts(self) -> DriftFacts:
        """What a reading says of it."""
        if self.reasons:
            return DriftFacts("alarm", self.frames, self.reasons)
        return DriftFacts("steady" if self.windows else "gathering", self.frames)

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "frames": self.frames,
            "gradable": self.gradable,
            "counts": [list(row) for row in self.counts],
            "windows": self.windows,
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], reference: Reference) -> DriftState:
        """From what `to_dict` gave; raises `ValueError` for anything that it cannot have given."""
        try:
            state = cls(
                frames=_count(content["frames"]),
                gradable=_count(content["gradable"]),
                counts=tuple(tuple(map(_count, row)) for row in content["counts"]),
                windows=_count(content["windows"]),
                reasons=tuple(map(str, content["reasons"])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a state of the watch: {error}") from None
        shape = [len(reference.features[name].edges) + 1 for name in FEATURES]
        if state.counts and [len(row) for row in state.counts] != shape:
            raise ValueError("counts of another reference")
        scored = {sum(row) for row in state.counts}
        if len(scored) > 1 or not max(scored, default=0) <= state.frames < WINDOW or state.gradable > state.frames:
            raise ValueError("counts that do not add up")
        return state


def observe(state: DriftState, seen: Observation, reference: Reference) -> DriftState:
    """The next state. A frame whose values are not finite is counted as one without a score."""
    counts = state.counts or tuple((0,) * (len(reference.features[name].edges) + 1) for name in FEATURES)
    values = None if seen.values is None else [seen.values[name] for name in FEATURES]
    if values is not None and all(map(math.isfinite, values)):
        counts = tuple(
            _plus_one(row, bisect_right(reference.features[name].edges, value))
            for name, row, value in zip(FEATURES, counts, values, strict=True)
        )
    state = replace(state, frames=state.frames + 1, gradable=state.gradable + seen.gradable, counts=counts)
    if state.frames not in CHECKS:
        return state
    found = drifted(state, reference)
    if state.frames < WINDOW:
        return replace(state, reasons=found or state.reasons)
    return DriftState(windows=state.windows + 1, reasons=found)


def drifted(state: DriftState, reference: Reference) -> tuple[str, ...]:
    """What differs more than chance allows, in a few words each."""
    chance = FALSE_ALARMS / len(CHECKS) / (len(FEATURES) + 1)
    reasons = []
    if too_few(state.gradable, state.frames, reference.gradable_share, chance):
        reasons.append(f"gradable: {state.gradable} of {state.frames} frames, expected {reference.gradable_share:.0%}")
    scored = sum(state.counts[0])
    if scored < FEWEST:
        return tuple(reasons)
    limit = ks_limit(scored, reference.frames, chance)
    for name, row in zip(FEATURES, state.counts, strict=True):
        gap = ks_distance(row, reference.features[name].below)
        if gap > limit:
            reasons.append(f"{name}: distance {gap:.2f}, at most {limit:.2f} by chance")
    return tuple(reasons)


def ks_distance(counts: Sequence[int], below: Sequence[float]) -> float:
    """Largest gap between two cumulative shares at the edges. counts: [edges + 1]; below: [edges]."""
    total, seen, largest = max(sum(counts), 1), 0, 0.0
    for count, share in zip(counts, below, strict=False):
        seen += count
        largest = max(largest, abs(seen / total - share))
    return largest


def ks_limit(frames: int, reference_frames: int, chance: float) -> float:
    """The distance that is passed with that chance where nothing differs (Smirnov's asymptotic formula)."""
    spread = DESIGN_EFFECT / frames + DESIGN_EFFECT / reference_frames
    return math.sqrt(-math.log(chance / 2) / 2 * spread)


def too_few(gradable: int, frames: int, share: float, chance: float) -> bool:
    """Whether so few or fewer gradable frames are less likely than `chance`, when `share` of them should be."""
    n, k = round(frames / DESIGN_EFFECT), round(gradable / DESIGN_EFFECT)
    tail = sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1))
    return tail < chance


def _plus_one(row: tuple[int, ...], place: int) -> tuple[int, ...]:
    return (*row[:place], row[place] + 1, *row[place + 1 :])


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f"got {value!r}, expected a whole number")
    return value
