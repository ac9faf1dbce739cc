"""Whether two sides did the same work: what was read of the same frames, and to which outcomes. Times of other work are
no better times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from runtime.bench.schema import Report
from runtime.commands.text import printable
from runtime.outcome import Outcome

FEWER = 0.02
"""Share of the frames that came, by which B may have read fewer than A: dropped ones are so by chance too."""
MOST_NAMED = 3


def copies(side: Sequence[Report]) -> Iterator[str]:
    """When each run began that stands in a side more than once, whatever its files are called.

    No two runs take the same microseconds for all their frames.
    """
    yield from (
        one.created for number, one in enumerate(side) if any(one.frames == other.frames for other in side[:number])
    )


def unlike(a: Sequence[Report], b: Sequence[Report]) -> Iterator[str]:
    """In words each reason for which the times of `a` and `b` are not of the same work. Each at least one report."""
    for name, side in (("A", a), ("B", b)):
        failed, read = (sum(getattr(report.counts, count) for report in side) for count in ("failed", "read"))
        if failed:
            yield f"{failed} of {read} frames of {name} gave no result"
        short = [report for report in side if _short(report)]
        if short:
            came, asked = short[0].counts.frames_in, short[0].plan.frames
            yield f"{name} ended after {came} of the {asked} frames that were asked for"
    first, second = _timed_share(a), _timed_share(b)
    if second < first - FEWER:
        yield f"both networks read {second:.1%} of the frames of B, {first:.1%} of those of A"
    yield from _other_outcomes(a, b)


def _short(report: Report) -> bool:
    asked = report.plan.frames
    return asked is not None and report.plan.seconds is None and report.counts.frames_in < asked


def _timed_share(side: Sequence[Report]) -> float:
    return sum(report.counts.timed for report in side) / max(1, sum(report.counts.frames_in for report in side))


def _other_outcomes(a: Sequence[Report], b: Sequence[Report]) -> Iterator[str]:
    """Of the pictures that both sides read; a live camera's are never the same, so they are not held together."""
    if {report.input.sha256 for report in (*a, *b)} != {a[0].input.sha256} or a[0].input.sha256 is None:
        return
    first, second = _outcomes(a), _outcomes(b)
    both = [source for source in first if source in second]
    if first and second and not both:
        yield "no picture of A is in B by its name, though their input is one, so their outcomes cannot be compared"
    alone = len(first) - len(both), len(second) - len(both)
    if both and all(alone):
        yield f"{alone[0]} pictures are in A alone by their names and {alone[1]} in B, though their input is one"
    changed = Counter(
        f"{_named(first[source])} -> {_named(second[source])}"
        for source in both
        if set(first[source]) != set(second[source]) or _usual(first[source]) != _usual(second[source])
    )
    if changed:
        most = ", ".join(f"{count} {what}" for what, count in changed.most_common(MOST_NAMED))
        more = ", ..." if len(changed) > MOST_NAMED else ""
        yield printable(f"{changed.total()} of {len(both)} pictures have another outcome in B ({most}{more})")


def _outcomes(side: Sequence[Report]) -> dict[str, Counter[str]]:
    """By picture how often it had each outcome."""
    found: dict[str, Counter[str]] = {}
    for report in side:
        for source, outcome in zip(report.frames.source, report.frames.outcome, strict=True):
            found.setdefault(source, Counter())[outcome] += 1
    return found


def _usual(outcomes: Counter[str]) -> str:
    """What more than half of the readings of a picture say; nothing where none does."""
    outcome, count = outcomes.most_common(1)[0]
    return outcome if 2 * count > outcomes.total() else ""


def _named(outcomes: Collection[str]) -> str:
    return " or ".join(outcome.value for outcome in Outcome if outcome.value in outcomes)
