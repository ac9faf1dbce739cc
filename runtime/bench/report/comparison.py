"""A comparison in lines for people: what was compared, what stood in the way, the answer."""

from __future__ import annotations

from runtime.bench.judge.compare import DECIDING, Comparison
from runtime.bench.judge.stats import MOST_RUNS


def head(comparison: Comparison) -> list[str]:
    """What A and B are, and what differs between them, as lines for people."""
    lines = [f"{name}: {side}" for name, side in zip("AB", comparison.sides, strict=True)]
    lines += [f"DIFFERS in {text}" for text in comparison.differs]
    return lines if comparison.differs else [*lines, "A and B are the same in all that is recorded of them"]


def words(comparison: Comparison) -> list[str]:
    """The comparison as lines for people, the answer last."""
    warning = [_series(comparison)] if comparison.runs != (1, 1) else []
    warning += ["note: A and B are one and the same run"] * comparison.same_run
    warning += [f"NOT COMPARABLE, compared anyway: {reason}" for reason in comparison.differences]
    warning += [f"note: {doubt}" for doubt in (*comparison.doubts, *comparison.seals, *comparison.unlike)]
    return [*warning, _verdict(comparison) + _only(comparison)]


def _only(comparison: Comparison) -> str:
    """What an answer that was forced holds for."""
    if not comparison.differences:
        return ""
    return f"; that holds only for sides that are not alike, and says nothing else: {'; '.join(comparison.differences)}"


def _verdict(comparison: Comparison) -> str:
    if comparison.answer == "undecided":
        return f"UNDECIDED: {_undecided(comparison)}"
    if comparison.regressions:
        return f"SLOWER, a REGRESSION: {'; '.join(comparison.regressions)}"
    median = next(line for line in comparison.lines if (line.stage, line.percentile) == ("total", 50.0))
    if comparison.answer == "faster":
        return f"FASTER: total p50 by {-median.change:.1%}, between {-median.high:.1%} and {-median.low:.1%}"
    return f"ALIKE within what matters: total p50 {median.change:+.1%}, {median.matters:.1%} would matter"


def _undecided(comparison: Comparison) -> str:
    open_lines = [line for line in comparison.lines if line.stage in DECIDING and line.open]
    reasons = [
        f"{line.stage} p{line.percentile:g} may be {line.low:+.1%} to {line.high:+.1%}, {line.matters:.1%} matters"
        for line in open_lines
    ]
    if comparison.doubts:
        reasons.append(
            "runs that are INVALID, were interrupted, failed the self-test or are not of one thing decide nothing"
        )
    if comparison.seals:
        reasons.append("by reports without a seal that holds nothing is faster or alike")
    in_doubt = comparison.doubts or comparison.seals
    if comparison.unlike:
        reasons.append(f"A and B did not do the same work: {', '.join(comparison.unlike)}")
        if not open_lines and not in_doubt:
            return f"{'; '.join(reasons)}; no number of runs decides that: see why with python -m runtime.screen"
    if comparison.runs_needed is None:
        advice = f"over {MOST_RUNS} runs a side would be needed: make the machine quieter, or let more not matter"
    else:
        turns = ", by turns," if comparison.runs_needed > 1 else ""
        about = "" if in_doubt or comparison.runs_needed == 1 else "about "
        decide = "may decide it; runs like these do not say how many would" if in_doubt else "would decide it"
        each = f"{about}{comparison.runs_needed} valid run{'s' * (comparison.runs_needed > 1)} a side{turns}"
        advice = f"{each} {decide}"
    return f"{'; '.join(reasons)}; {advice}"


def _series(comparison: Comparison) -> str:
    a, b = comparison.runs
    count = f"{a} runs each" if a == b else f"{a} and {b} runs"
    return f"{count}, by turns: each held against its neighbour" if comparison.in_turns else f"{count}, not by turns"
