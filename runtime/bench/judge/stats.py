"""Statistics of latencies: bootstrap intervals, drift and trend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.percentiles import percentile, rank_of
from runtime.student import t_quantile

FEWEST_PIECES, MOST_PIECES, SMALLEST_PIECE = 4, 20, 30
"""Of a run, from whose differences it is seen how the machine's speed wanders; frames in a piece."""

LARGEST_THIRD = 3000
"""Frames of a third of a run, over which chance does not move a median by what matters."""

FEWEST_RUNS, MOST_RUNS = 3, 200
"""A side, from which how far runs lie apart is taken from the runs themselves; and the most that are ever advised."""

Values = NDArray[np.float64]


def drift(values: ArrayLike) -> float:
    """How much slower the last third was than the first: their medians' ratio less 1. values: [n], n at least 3."""
    samples = np.asarray(values, np.float64)
    third = samples.size // 3
    first, last = np.median(samples[:third]), np.median(samples[-third:])
    return float(last / first - 1) if first > 0 else 0.0


def drift_by_chance(values: ArrayLike) -> bool:
    """Whether the outer thirds may differ as much as that where nothing drifts: frames of a short run scatter.

    Blocks of neighbours are drawn from each third (as in `ratio_interval`); the 99 % interval of the ratio of the
    medians then holds 1. values: [n], n at least 3, above zero.
    """
    samples = np.asarray(values, np.float64)
    third = samples.size // 3
    if third > LARGEST_THIRD:
        return False
    rng = np.random.default_rng(0)
    last, first = (_draw(part, 50, 500, rng) for part in (samples[-third:], samples[:third]))
    low, high = np.quantile(last / first, (0.005, 0.995))
    return bool(low <= 1 <= high)


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


def ratio_interval(a: ArrayLike, b: ArrayLike, p: float, confidence: float, seed: int) -> Interval:
    """The p-th percentile of `b` over that of `a`, one run each, with a bootstrap interval (percentile method).

    Two things make it as wide as it is. Latencies of neighbouring frames are alike, so blocks of neighbours are drawn,
    not single frames (circular block bootstrap; Politis and Romano 1992): blocks as long as the run's memory, see
    `block_length`. And the machine's speed goes on wandering between the runs, which no drawing from within a run can
    show; it is taken to be as far apart in two runs as in two pieces of one, see `wander`.
    """
    rng = np.random.default_rng(seed)
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    draws = 2000 if max(first.size, second.size) <= 4000 else 1000
    ratios = _draw(second, p, draws, rng) / _draw(first, p, draws, rng)
    parts = (wander(first), wander(second))
    # The interdecile range knows a spread about half as surely as that many values would tell.
    freedom = sum(pieces for _, pieces in parts) / 2
    ratios *= np.exp(math.hypot(*(spread for spread, _ in parts)) * rng.standard_t(freedom, draws))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(ratios, (tail, 100 - tail))
    return Interval(percentile(second, p) / percentile(first, p), float(low), float(high))


def wander(values: Values) -> tuple[float, int]:
    """How far the machine's speed is from one piece of a run to another, and in how many pieces it was looked at.

    It is the standard deviation of the logarithm of the pieces' medians, from their interdecile range, so that a stall
    or two, which the run's own median does not feel either, are no wandering; less what such medians differ by when
    the speed stands still. It is not divided by the root of the number of pieces: clocks, neighbours on the same host
    and temperature make flicker noise (Keshner 1982) with as much power in each octave, so a longer run has no
    steadier a median, and two runs lie about as far apart as two pieces. values: [n], n at least `FEWEST_PIECES`,
    above zero.
    """
    count = min(MOST_PIECES, max(FEWEST_PIECES, values.size // SMALLEST_PIECE))
    pieces = np.array_split(np.log(values), count)
    medians = np.array([np.median(piece) for piece in pieces])
    low, high = np.quantile(medians, (0.1, 0.9))
    # Of a normal distribution the interdecile range is 2.563 standard deviations, the interquartile range 1.349, and
    # the median of m values has a standard error of 1.253 / sqrt(m).
    within = np.median([np.subtract(*np.quantile(piece, (0.75, 0.25))) for piece in pieces]) / 1.349
    chance = 1.253 * within / math.sqrt(values.size / count)
    return math.sqrt(max(0.0, ((high - low) / 2.563) ** 2 - chance**2)), count


def runs_interval(a: ArrayLike, b: ArrayLike, confidence: float, *, in_turns: bool) -> Interval:
    """The ratio of `b` to `a`, one figure of each of several runs, with Student's interval on logarithms.

    It needs no notion of what makes runs differ, since it sees them differ. in_turns: a[i] and b[i] were measured one
    after the other, so that a slow minute falls on both and leaves their ratio (paired); otherwise Welch's. a, b: [k],
    k at least 2, above zero.
    """
    first, second = np.log(np.asarray(a, np.float64)), np.log(np.asarray(b, np.float64))
    if in_turns:
        error, freedom = _error(second - first), float(first.size - 1)
    else:
        parts = np.array([_error(first), _error(second)]) ** 2
        error = math.sqrt(parts.sum())
        sizes = np.array([first.size - 1, second.size - 1])
        freedom = float(parts.sum() ** 2 / (parts**2 / sizes).sum()) if error else float(sizes.sum())
    middle = float(second.mean() - first.mean())
    spread = error * t_quantile(freedom, (1 + confidence) / 2)
    return Interval(math.exp(middle), math.exp(middle - spread), math.exp(middle + spread))


def runs_needed(spread: float, half_width: float, confidence: float) -> int | None:
    """Runs a side, by turns, of which the interval of the ratio is narrow enough; None of over `MOST_RUNS`.

    spread: standard deviation of the logarithm of a pair's ratio; half_width: of the interval of that logarithm, above
    zero. At least `FEWEST_RUNS`. The spread is itself estimated, so the answer is one to plan by, not a promise.
    """
    few, many = FEWEST_RUNS, MOST_RUNS

    def enough(runs: int) -> bool:
        return spread * t_quantile(runs - 1, (1 + confidence) / 2) / math.sqrt(runs) <= half_width

    if not enough(many):
        return None
    while few < many:
        runs = (few + many) // 2
        few, many = (few, runs) if enough(runs) else (runs + 1, many)
    return many


def spread_of_runs(a: ArrayLike, b: ArrayLike, *, in_turns: bool) -> float:
    """Standard deviation of the logarithm of a pair's ratio, one figure of each run. a, b: [k], k at least 2."""
    first, second = np.log(np.asarray(a, np.float64)), np.log(np.asarray(b, np.float64))
    if in_turns:
        return float(np.std(second - first, ddof=1))
    return math.hypot(float(np.std(first, ddof=1)), float(np.std(second, ddof=1)))


def spread_of_interval(interval: Interval, confidence: float) -> float:
    """The same of an interval of two single runs."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return math.log(interval.high / interval.low) / 2 / z


def _error(values: Values) -> float:
    """Standard error of the mean."""
    return float(np.std(values, ddof=1)) / math.sqrt(values.size)


def _draw(values: Values, p: float, draws: int, rng: np.random.Generator) -> Values:
    """The p-th percentile of `draws` resamples of whole blocks.

    Ranks are drawn in place of values: they are a quarter as wide, and a block of them is copied in one piece.
    """
    n = values.size
    length, rank = block_length(values), rank_of(n, p)
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values).astype(np.min_scalar_type(n))
    blocks = np.lib.stride_tricks.sliding_window_view(np.concatenate([ranks, ranks[: length - 1]]), length)
    at_once = max(1, 4_000_000 // n)
    results = []
    for done in range(0, draws, at_once):
        starts = rng.integers(0, n, (min(at_once, draws - done), math.ceil(n / length), 1))[..., 0]
        picked = blocks[starts].reshape(len(starts), -1)[:, :n]
        results.append(ordered[np.partition(picked, rank, axis=1)[:, rank]])
    return np.concatenate(results)


def block_length(values: Values) -> int:
    """Frames in a block: n^(1/3) and twice the time over which latencies stay correlated, at most a tenth of all.

    Ranks are correlated in place of latencies, so that a single outlier cannot hide the memory of the rest.
    """
    n = values.size
    most = max(1, n // 10)
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    ranks -= ranks.mean()
    power = float(ranks @ ranks)
    memory = 0.0
    for lag in range(1, most):
        correlation = float(ranks[:-lag] @ ranks[lag:]) / power if power else 0.0
        if correlation < 0.05:
            break
        memory += correlation
    return min(most, math.ceil(math.pow(n, 1 / 3) + 2 * memory))


@dataclass(frozen=True)
class Trend:
    """Whether a series goes up or down over its length."""

    change: float
    """From its beginning to its end, along the Theil-Sen line, in the series' unit."""
    p_value: float
    """Of there being no trend (Mann-Kendall, two-sided)."""


def trend(values: ArrayLike, bins: int = 60) -> Trend | None:
    """Mann-Kendall test and Theil-Sen slope on the medians of `bins` equal pieces; None of fewer than 10 values.

    Medians of pieces, so that neighbouring values being alike does not count as a trend (Mann 1945, Sen 1968).
    """
    series = np.asarray(values, np.float64)
    if series.size < 10:
        return None
    medians = np.array([np.median(piece) for piece in np.array_split(series, min(bins, series.size))])
    n = medians.size
    i, j = np.triu_indices(n, 1)
    difference = medians[j] - medians[i]
    s = float(np.sign(difference).sum())
    ties = np.unique(medians, return_counts=True)[1].astype(np.float64)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    z = 0.0 if variance <= 0 or s == 0 else (s - math.copysign(1, s)) / math.sqrt(variance)
    return Trend(float(np.median(difference / (j - i))) * (n - 1), math.erfc(abs(z) / math.sqrt(2)))
