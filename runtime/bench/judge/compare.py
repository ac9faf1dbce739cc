"""Comparing two reports, or two series of them: faster, slower, alike within what matters, or undecided."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from typing import Any, Literal

import numpy as np

from runtime.bench.errors import BenchError
from runtime.bench.judge.sides import described, differing, mixed
from runtime.bench.judge.stats import (
    FEWEST_RUNS,
    ratio_interval,
    runs_interval,
    runs_needed,
    spread_of_interval,
    spread_of_runs,
)
from runtime.bench.judge.work import copies, unlike
from runtime.bench.measure.samples import Column
from runtime.bench.schema import Report
from runtime.bench.words import ROWS
from runtime.commands.text import printable
from runtime.percentiles import percentile, samples_needed

FAMILY_CONFIDENCE = 0.95
"""That none of all the statements of a comparison is wrong. The median total, which is what most are asked for, may be
wrong with half of the 5 %; the others share the other half (Bonferroni, weighted)."""
LEAST_RELATIVE = 0.02
"""Smaller differences matter to nobody and come from where a program's memory happens to lie; none is stated."""
LEAST_MS = 0.05
"""Nor are differences under the 50 microseconds that the benchmark itself may take."""
LEAST_OF_TOTAL = 0.01
"""Nor those of a stage that move the whole by less. A stage of a millisecond differs by up to a tenth from one process
to the next, by where its memory lies (seen in tests/bench/compare_runs.py); no frame of a run shows that."""
FEWEST = 30
Answer = Literal["faster", "slower", "alike", "undecided"]
EXIT_CODES: dict[Answer, int] = {"faster": 0, "alike": 0, "slower": 1, "undecided": 2}
DECIDING = ("total", "camera_to_result")
"""The rows that must be decided before a comparison is. The table shows each stage's answer, but what a frame takes as
a whole is what matters; a stage that is clearly slower by more than is allowed is a regression all the same."""
TAILS = (99.9, 99.0, 95.0, 90.0)
COMPARED = tuple(row for row in ROWS if row not in ("wait", "age"))
"""`wait` is near nothing but under a queue; both it and `age` are held in camera to result."""


@dataclass(frozen=True)
class Line:
    """One stage on both sides."""

    stage: str
    percentile: float
    a_ms: float
    """Of a series of runs the geometric mean of theirs."""
    b_ms: float
    change: float
    """Of `b` against `a`: 0.1 is a tenth slower."""
    low: float
    high: float
    """Confidence interval of `change`, together with all other lines 95 %."""
    result: Answer
    """Of b. `alike` is a finding: the whole interval lies within `matters`; `undecided` is that there is none."""
    matters: float
    """Changes up to this share do not matter: what may regress, but at least what is ever stated."""
    runs_needed: int | None
    """Of an open line: runs a side, by turns, that would decide it; None of over `stats.MOST_RUNS`."""

    @property
    def open(self) -> bool:
        """Whether it cannot be said if `b` is slower by more than matters."""
        return self.result == "undecided" or (self.result == "slower" and self.change <= self.matters < self.high)


@dataclass(frozen=True)
class Comparison:
    """All lines, and what stood in the way of comparing."""

    lines: tuple[Line, ...]
    differences: tuple[str, ...]
    """Why the reports are not comparable; empty unless comparing was forced."""
    regressions: tuple[str, ...]
    doubts: tuple[str, ...]
    """Reports that are INVALID of themselves, sides that are not one thing: they decide nothing."""
    seals: tuple[str, ...]
    """Reports whose seals do not hold: by them nothing is faster or alike; slower stays."""
    unlike: tuple[str, ...]
    """In what the sides did not do the same work: failures, other outcomes, fewer readings."""
    runs: tuple[int, int]
    """Reports on each side."""
    sides: tuple[str, str]
    """What A and B are, a line each."""
    differs: tuple[str, ...]
    """In what they are not the same: `name: A's -> B's`."""
    answer: Answer
    runs_needed: int | None
    """Of `undecided`: runs a side, by turns, that would decide it (of runs in doubt as many as these: such say nothing
    of how many would); None where over `MOST_RUNS` would be needed."""
    in_turns: bool
    """Whether the runs of both sides were made by turns, so that each could be held against its neighbour."""
    same_run: bool
    """Whether A and B, a run each, are one run."""

    @property
    def exit_code(self) -> int:
        """0 faster or alike, 1 slower by more than is allowed, 2 undecided."""
        return EXIT_CODES[self.answer]

    def to_json(self) -> str:
        """`rop.bench-comparison/1`."""
        content: dict[str, Any] = {"schema": "rop.bench-comparison/1", **asdict(self)}
        return json.dumps(content, allow_nan=False) + "\n"


def compare(
    a: Sequence[Report],
    b: Sequence[Report],
    *,
    max_regression: float,
    anyway: bool = False,
    seed: int = 0,
    unsealed: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Comparison:
    """Hold `b` against `a`: a run each, or at least three each. max_regression: share that a stage may be slower by.

    unsealed: of each side what is wrong with the seals of its files (`export.ReportsRead.faults`).

    Raises `BenchError` when the reports are not comparable (and not `anyway`), hold too few frames, are too few, or
    hold one run more than once.
    """
    if not (len(a) == len(b) == 1 or min(len(a), len(b)) >= FEWEST_RUNS):
        raise BenchError(
            f"A holds {len(a)} and B {len(b)} reports, expected one each or at least {FEWEST_RUNS} each; "
            "measure more runs, A and B by turns"
        )
    found = dict.fromkeys(printable(text) for other in (*a[1:], *b) for text in incomparable(a[0], other))
    differences = tuple(found)
    if differences and not anyway:
        raise BenchError(f"not comparable: {'; '.join(differences)}; measure both alike, or compare with --anyway")
    same_run = len(a) == 1 and a[0].began == b[0].began and any(copies((*a, *b)))
    if not same_run and (twice := next(copies((*a, *b)), None)):
        raise BenchError(
            f"the run of {twice} is there more than once, expected one in each report; take the copies out"
        )
    first, second = (tuple(sorted(side, key=lambda report: report.began)) for side in (a, b))
    turns = made_in_turns(first, second)
    figures = list(_figures(first, second))
    if ("total", 50.0) not in figures:
        raise BenchError(f"too few frames to compare: at least {FEWEST} timed ones are needed in each report")
    risk = (1 - FAMILY_CONFIDENCE) / 2
    risks = {figure: risk if figure == ("total", 50.0) else risk / max(1, len(figures) - 1) for figure in figures}
    least_ms = max(LEAST_MS, LEAST_OF_TOTAL * float(np.median([percentile(timed(one, "total"), 50) for one in first])))
    lines = tuple(
        _line(
            row,
            p,
            [timed(report, row) for report in first],
            [timed(report, row) for report in second],
            1 - risks[row, p],
            least_ms,
            max_regression,
            in_turns=turns,
            seed=seed,
        )
        for row, p in figures
    )
    regressions = tuple(
        f"{line.stage} p{line.percentile:g} is {line.change:.1%} slower"
        for line in lines
        if line.result == "slower" and line.change > max_regression
    )
    sealing = tuple(_doubts_of_seals(name, faults, of) for name, faults, of in zip("AB", unsealed, (a, b), strict=True))
    seals = tuple(doubt for doubt in sealing if doubt)
    doubts = tuple(doubt for name, side in (("A", a), ("B", b)) for doubt in _doubts(name, side))
    other_work = tuple(unlike(first, second))
    counts, sides = (len(a), len(b)), (described(first), described(second))
    answer, needed = _answer(lines, regressions, doubts, seals, other_work, counts)
    differs = tuple(differing(first, second))
    return Comparison(
        lines,
        differences,
        regressions,
        doubts,
        seals,
        other_work,
        counts,
        sides,
        differs,
        answer,
        needed,
        turns,
        same_run,
    )


def _answer(
    lines: Sequence[Line],
    regressions: Sequence[str],
    doubts: Sequence[str],
    seals: Sequence[str],
    other_work: Sequence[str],
    runs: tuple[int, int],
) -> tuple[Answer, int | None]:
    """The answer of all lines, and the runs a side that would decide it where it is undecided."""
    open_lines = [line for line in lines if line.stage in DECIDING and line.open]
    if doubts or (seals and not regressions):
        return "undecided", max(runs)  # what such runs scatter by says nothing of others: as many that are in no doubt
    if open_lines and not regressions:
        counts = [None if (n := line.runs_needed) is None else max(n, *(k + 1 for k in runs)) for line in open_lines]
        return "undecided", None if None in counts else max(count for count in counts if count is not None)
    if regressions:
        return "slower", None
    if other_work:
        return "undecided", None
    median = next(line for line in lines if (line.stage, line.percentile) == ("total", 50.0))
    return "faster" if median.result == "faster" else "alike", None


def made_in_turns(a: Sequence[Report], b: Sequence[Report]) -> bool:
    """Whether each run of `a` has one of `b` beside it, before the next of either came: A B A B, or A B B A."""
    if len(a) != len(b) or len(a) < FEWEST_RUNS:
        return False
    pairs = [sorted((first.began, second.began)) for first, second in zip(a, b, strict=True)]
    return all(before[1] < after[0] for before, after in pairwise(pairs))


def _doubts_of_seals(name: str, faults: Sequence[str], side: Sequence[Report]) -> str:
    if not faults:
        return ""
    which = f"{name}, " if len(side) == 1 else f"{len(faults)} of {len(side)} in {name}, the first "
    return printable(f"{which}{faults[0]}")


def _doubts(name: str, side: Sequence[Report]) -> Iterator[str]:
    def told(count: int, one: str, several: str) -> str:
        return f"{name} {one}" if len(side) == 1 else f"{count} of {len(side)} in {name} {several}"

    invalid = sum(report.verdict == "INVALID" for report in side)
    if invalid:
        kinds = sorted({f.kind for report in side for f in report.findings if f.weight == "invalid"})
        which = told(invalid, "is INVALID of itself", "are INVALID")
        yield printable(f"{which} ({', '.join(kinds)})") if kinds else which
    stopped = sum(report.interrupted for report in side)
    if stopped:
        yield told(stopped, "was interrupted", "were interrupted")
    failed = sum(_failed_self_test(report) for report in side)
    if failed:
        yield told(failed, "failed the self-test", "failed the self-test")
    yield from (f"{name} {text}" for text in mixed(side))


def _failed_self_test(report: Report) -> bool:
    test = (report.trust or {}).get("self_test")
    return isinstance(test, dict) and test.get("state") == "failed"


def incomparable(a: Report, b: Report) -> Iterator[str]:
    """Each reason why the figures of the two say nothing of each other."""
    if a.environment.machine_id != b.environment.machine_id:
        yield f"other machine ({a.environment.processor}, {b.environment.processor})"
    if a.environment.power_mode != b.environment.power_mode:
        yield f"other power mode ({a.environment.power_mode}, {b.environment.power_mode})"
    if a.input.sha256 is None or a.input.sha256 != b.input.sha256:
        yield f"other input ({_fed(a)}, {_fed(b)})"
    if (first_sizes := _sizes(a)) != (second_sizes := _sizes(b)):
        yield f"other size of the frames ({first_sizes}, {second_sizes})"
    for name in ("load", "rate_hz", "burst_frames", "idle_s", "streams"):
        first, second = getattr(a.plan, name), getattr(b.plan, name)
        if first != second:
            yield f"other {name} ({first}, {second})"
    if a.seeds.get("arrivals") != b.seeds.get("arrivals"):
        yield f"other arrivals (seeds {a.seeds.get('arrivals')}, {b.seeds.get('arrivals')})"


def _fed(report: Report) -> str:
    fed = report.input
    frames = "frames not counted" if fed.distinct_frames is None else f"{fed.distinct_frames} frames"
    return f"{fed.source}: {frames}, {'no hash' if fed.sha256 is None else f'SHA-256 {fed.sha256[:12]}'}"


def _sizes(report: Report) -> str:
    fed = report.input
    return f"{fed.width}x{fed.height}" + "".join(f", {count} of {size}" for size, count in sorted(fed.sizes.items()))


def _figures(a: Sequence[Report], b: Sequence[Report]) -> Iterator[tuple[str, float]]:
    """The median of each stage; of the total also the highest percentile that all can state, up to those asked for."""
    judged = max(report.percentile.p for report in (*a, *b))
    for row in COMPARED:
        fewest = min(timed(report, row).size for report in (*a, *b))
        if fewest < FEWEST:
            continue
        yield row, 50.0
        if row in DECIDING:
            tails = (p for p in (judged, *TAILS) if 50 < p <= judged and fewest >= samples_needed(p))
            yield from ((row, p) for p in islice(tails, 1))


def timed(report: Report, row: str) -> Column:
    """Latencies of a row, of the frames that both networks read."""
    if row == "camera_to_result":
        return np.array(report.frames.camera_to_result_ms, np.float64)
    columns = report.frames.columns
    if row not in columns:  # the stages of a GPU, where there is none
        return np.array([], np.float64)
    values, read = columns[row], columns["classify"]
    return np.array([v for v, c in zip(values, read, strict=True) if v is not None and c is not None], np.float64)


def _line(
    row: str,
    p: float,
    a: list[Column],
    b: list[Column],
    confidence: float,
    least_ms: float,
    max_regression: float,
    *,
    in_turns: bool,
    seed: int,
) -> Line:
    # A stage of less than a microsecond is rounded to nothing; the tiny term keeps its ratio finite.
    first, second = ([percentile(column + 1e-4, p) for column in side] for side in (a, b))
    if len(a) == 1:
        interval = ratio_interval(a[0] + 1e-4, b[0] + 1e-4, p, confidence, seed)
        spread = spread_of_interval(interval, confidence)
    else:
        interval = runs_interval(first, second, confidence, in_turns=in_turns)
        spread = spread_of_runs(first, second, in_turns=in_turns)
    a_ms, b_ms = (float(np.exp(np.mean(np.log(side)))) for side in (first, second))
    change, low, high = interval.value - 1, interval.low - 1, interval.high - 1
    clear = abs(change) >= LEAST_RELATIVE and abs(b_ms - a_ms) >= least_ms
    matters = max(max_regression, LEAST_RELATIVE, least_ms / a_ms)
    within = low >= 1 / (1 + matters) - 1 and high <= matters
    result: Answer = "undecided"
    if clear and (low > 0 or high < 0):
        result = "slower" if low > 0 else "faster"
    elif within:
        result = "alike"
    line = Line(row, p, a_ms, b_ms, change, low, high, result, matters, None)
    if not line.open:
        return line
    # An interval of this half width either leaves zero outside or lies within what matters, wherever its middle is;
    # one that is slower already has to fall short of what matters.
    margin = math.log1p(matters)
    wanted = margin / 2 if result == "undecided" else max(margin - math.log1p(change), margin / 4)
    return replace(line, runs_needed=runs_needed(spread, wanted, confidence))
