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
    """The highest refer probability of its frames; NaN where none was answered."""
    whole: Flags
    """Whether the last reading of each of its views is an answer: else it has none at a threshold that nothing of it
    reaches, and REFER all the same at one that something does."""
    infants: Clusters
    """Each unit's infant by number; without a column for infants, each frame's own number."""
    told_apart: bool
    """Whether the table has a column for infants."""
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
        referable = np.where(np.isnan(self.scores), -np.inf, self.scores)
        return np.where(self.truth, referable, np.where(self.whole, self.scores, np.inf))

    def at(self, threshold: float) -> tuple[Flags, Flags]:
        """Whether the outcome at a threshold is REFER, and whether it is an answer."""
        refers = ~np.isnan(self.scores) & (np.nan_to_num(self.scores) >= threshold)
        return refers, refers | self.whole


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
    scores = [max((score for n in found if (score := said[n].score) is not None), default=np.nan) for found in members]
    whole = [all(said[n].outcome in ANSWERS for n in _last(cases, said, found)) for found in members]
    truth = [any(cases[n].refer for n in found) for found in members]
    return Units(
        level,
        np.array(truth, np.bool_),
        outcomes,
        np.array(scores, np.float64),
        np.array(whole, np.bool_),
        np.array(infants, np.int64),
        any(case.infant for case in cases),
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
    found = [said[number].outcome for number in _last(cases, said, members)]
    found += [Outcome.REFER] if any(said[number].outcome is Outcome.REFER for number in members) else []
    return min(found, key=WORST_FIRST.index)


def _last(cases: Sequence[Case], said: Sequence[Said], members: Sequence[int]) -> list[int]:
    """The last reading of each view: the latest captured, the last row where one states no moment."""
    return [
        max(these, key=lambda number: (said[number].captured_at, number)) if _dated(said, these) else these[-1]
        for these in _views(cases, members)
    ]


def _views(cases: Sequence[Case], members: Sequence[int]) -> list[list[int]]:
    """The readings of each view; a frame of which no view is stated is one of its own."""
    found: dict[tuple[str | None, str], list[int]] = {}
    for number in members:
        found.setdefault((cases[number].eye, cases[number].view or f"\0{number}"), []).append(number)
    return list(found.values())


def _dated(said: Sequence[Said], members: Sequence[int]) -> bool:
    return all(said[number].captured_at is not None for number in members)


def superseded(cases: Sequence[Case], said: Sequence[Said]) -> tuple[int, int]:
    """Readings of views that were taken again, and how many of these by the order of rows, as no moments are stated."""
    again = [
        (len(these) - 1, _dated(said, these))
        for members in gather(cases, said, INFANT).members
        if cases[members[0]].infant
        for these in _views(cases, members)
    ]
    return sum(count for count, _ in again), sum(count for count, dated in again if not dated)
