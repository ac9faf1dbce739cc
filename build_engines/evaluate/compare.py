"""Two readers of the same frames, paired: McNemar, flips, and what so many frames can decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from build_engines.evaluate.cases import Case
from build_engines.evaluate.readings import ANSWERS, BundleReadings
from build_engines.evaluate.result import Flip, PairedComparison, Pairing
from build_engines.evaluate.statistics.agreement import SIGNIFICANT, fewest_deciding, mcnemar, mcnemar_by_infant
from build_engines.evaluate.units import Units, gather
from runtime.outcome import Outcome
from runtime.shares import Clusters, Flags, share

LOST, GAINED, SILENT, SPOKE, OTHER = "lost REFER", "gained REFER", "answer lost", "answer gained", "another reason"
WORST_KINDS = (LOST, SILENT, GAINED, SPOKE, OTHER)


def compare(
    cases: Sequence[Case], first: BundleReadings, second: BundleReadings, levels: Sequence[str]
) -> PairedComparison:
    """All that differs from the first reader to the second."""
    pairings = tuple(_pairing(gather(cases, first.said, level), gather(cases, second.said, level)) for level in levels)
    flips = [
        Flip(kind_of(a.outcome, b.outcome), case.image, case.refer, a.outcome.value, b.outcome.value, a.score, b.score)
        for case, a, b in zip(cases, first.said, second.said, strict=True)
        if a.outcome is not b.outcome
    ]
    flips.sort(key=lambda flip: (WORST_KINDS.index(flip.kind), not flip.refer, flip.image))
    return PairedComparison(first.name, second.name, pairings, tuple(flips))


def kind_of(before: Outcome, after: Outcome) -> str:
    """What a change of outcome is to the infant."""
    if before is Outcome.REFER:
        return LOST
    if after is Outcome.REFER:
        return GAINED
    if (before in ANSWERS) == (after in ANSWERS):
        return OTHER
    return SILENT if before in ANSWERS else SPOKE


def verdict(
    first_only: int, second_only: int, infants: Clusters, differences: Sequence[int], level: str = "unit"
) -> str:
    """What the differing pairs can decide, infant by infant, as the units of one hang together.

    infants: of each unit, [N]. differences: of each infant, units that the first alone has right less the second's.
    level: what a unit is called.
    """
    units, pairs = len(infants), first_only + second_only
    if pairs == 0:
        high = share(np.zeros(units, np.bool_), infants).high or 1.0
        return (
            f"no {level} is judged otherwise; a difference on up to {high:.1%} of {level}s is not excluded by {units}"
        )
    if mcnemar_by_infant(differences) <= SIGNIFICANT:
        return f"the {'first' if sum(differences) > 0 else 'second'} is right more often"
    few, ours, theirs = fewest_deciding(), sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    whose = (
        "" if pairs == ours + theirs else f" of {ours + theirs} infant{'s' * (ours + theirs != 1)} that fall one way"
    )
    if ours + theirs < few:
        said = f"{pairs} differing pair{'s' * (pairs != 1)}{whose}"
        least = f"{few} infants that differ" if len(differences) < units else f"{few} differing {level}s"
        return f"undecided: {said} cannot decide whichever way they fall; {least} can at the least"
    needed = _pairs_needed(ours, theirs)
    more = f"about {-(-units * needed // (ours + theirs)):,} {level}s" if needed else f"no number of {level}s"
    return f"undecided: {first_only} against {second_only}{whose}; {more} would decide if the shares stayed so"


def _pairs_needed(first_only: int, second_only: int) -> int | None:
    """Differing pairs at which the same shares are significant; None where they are equal."""
    if first_only == second_only:
        return None
    total, low = first_only + second_only, min(first_only, second_only)
    pairs = total + 1
    while mcnemar(low * pairs // total, pairs - low * pairs // total) > SIGNIFICANT:
        pairs += max(1, pairs // 20)
        if pairs > 1_000_000:
            return None
    return pairs


def _pairing(first: Units, second: Units) -> Pairing:
    truth = first.truth
    ours, theirs = (units.answered & (units.refers == truth) for units in (first, second))
    same = np.array([a is b for a, b in zip(first.outcomes, second.outcomes, strict=True)], np.bool_)
    kinds = Counter(kind_of(a, b) for a, b in zip(first.outcomes, second.outcomes, strict=True) if a is not b)

    def pair(which: Flags) -> tuple[int, int, float]:
        one, other = int((ours & ~theirs & which).sum()), int((theirs & ~ours & which).sum())
        return one, other, mcnemar(one, other)

    one, other, p = pair(np.ones(len(truth), np.bool_))
    number = np.unique(first.infants, return_inverse=True)[1]
    by_infant = np.bincount(number, ours.astype(np.int64) - theirs).astype(int).tolist() if len(truth) else []
    return Pairing(
        first.level,
        len(truth),
        share(same, first.infants),
        {kind: kinds[kind] for kind in WORST_KINDS if kinds[kind]},
        one,
        other,
        p,
        mcnemar_by_infant(by_infant),
        pair(truth),
        pair(~truth),
        verdict(one, other, first.infants, by_infant, first.level),
    )
