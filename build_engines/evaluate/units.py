"""What is counted: frames, eyes, infants. An eye is its worst view, an infant the worst eye, as on the cart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from build_engines.evaluate.cases import Case
from build_engines.evaluate.readings import ANSWERS, Said
from build_engines.evaluate.statistics.probabilities import Floats
from runtime.exam.result import WORST_FIRST
from runtime.outcome import Outcome
from runtime.shares import Clusters, Flags

FRAME, EYE, INFANT = "frame", "eye", "infant"


@dataclass(frozen=True)
class Units:
    """Frames, eyes or infants of one reader, [N] each."""

    level: str
    truth: Flags
    """A unit is positive when any of its frames is."""
    outcomes: tuple[Outcome, ...]
    scores: Floats
    """The highest refer probability of its frames; NaN where the unit has no answer."""
    infants: Clusters
    """Each unit's infant by number; without a column for infants, each frame's own number."""
    members: tuple[tuple[int, ...], ...]
    """The cases of each unit."""

    @property
    def answered(self) -> Flags:
        """Whether the outcome is an answer."""
        return np.array([outcome in ANSWERS for outcome in self.outcomes], np.bool_)

    @property
    def refers(self) -> Flags:
        """Whether the outcome is REFER."""
        return np.array([outcome is Outcome.REFER for outcome in self.outcomes], np.bool_)

    def against(self) -> Floats:
        """Scores in which no answer counts against the reader: never referred where positive, always where not."""
        return np.where(self.answered, self.scores, np.where(self.truth, -np.inf, np.inf))


def levels_of(cases: Sequence[Case]) -> tuple[str, ...]:
    """The levels that the table can be counted by."""
    infants = any(case.infant for case in cases)
    eyes = infants and all(case.eye for case in cases)
    return (FRAME, *([EYE] if eyes else []), *([INFANT] if infants else []))


def gather(cases: Sequence[Case], said: Sequence[Said], level: str) -> Units:
    """Cases put together to units of a level."""
    keys: dict[tuple[str, ...], list[int]] = {}
    for number, case in enumerate(cases):
        keys.setdefault(_key(case, number, level), []).append(number)
    names: dict[str, int] = {}
    members = tuple(tuple(found) for found in keys.values())
    first = [cases[found[0]] for found in members]
    infants = [names.setdefault(case.infant or f"\0{number}", len(names)) for number, case in enumerate(first)]
    outcomes = tuple(_outcome(cases, said, found) for found in members)
    scores = [
        max((said[n].score or 0.0 for n in found if said[n].score is not None), default=np.nan)
        if outcome in ANSWERS
        else np.nan
        for found, outcome in zip(members, outcomes, strict=True)
    ]
    truth = [any(cases[n].refer for n in found) for found in members]
    return Units(
        level,
        np.array(truth, np.bool_),
        outcomes,
        np.array(scores, np.float64),
        np.array(infants, np.int64),
        members,
    )


def _key(case: Case, number: int, level: str) -> tuple[str, ...]:
    if level == INFANT:
        return (case.infant or "",)
    if level == EYE:
        return (case.infant or "", case.eye or "")
    return (str(number),)


def _outcome(cases: Sequence[Case], said: Sequence[Said], members: Sequence[int]) -> Outcome:
    """The worst view's. Of a view taken again the last reading counts, but REFER stays whatever comes after."""
    views: dict[tuple[str | None, str], Outcome] = {}
    for number in members:
        case, outcome = cases[number], said[number].outcome
        view = (case.eye, case.view or f"\0{number}")
        if views.get(view) is not Outcome.REFER:
            views[view] = outcome
    return min(views.values(), key=WORST_FIRST.index)
