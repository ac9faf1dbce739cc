"""The rate that a budget holds: a queue of random arrivals before one reader, replayed with measured reading times."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.bench.judge.stats import block_length
from runtime.percentiles import rank_of

ARRIVALS = 500_000
"""Of a replay. A run of 1000 frames tells a p99 of a queue so badly that the rate scatters by 10 to 20 %; with so many
arrivals it scatters by half a percent."""
LEAST_OF_A_PART = 20
"""Frames."""
PARTS = 5
_T_95 = 2.776
"""Student's t of four degrees of freedom, for an interval of 95 % by `PARTS` parts."""
END = 0.002
"""The bisection ends when its bounds lie so close, as a share of the upper one."""


def highest_rate(
    served_ms: ArrayLike, counted: ArrayLike, *, p: float, budget_ms: float, seed: int = 0, arrivals: int = ARRIVALS
) -> float | None:
    """The highest rate in frames a second at which the p-th percentile of latency keeps to the budget, by bisection.

    served_ms: [n], what each frame kept the next one waiting, in order of reading. counted: [n] of bool, whose latency
    counts. None when not even frames that never wait keep to the budget. Blocks of neighbouring frames are drawn, since
    a slow one is followed by others; arrivals are exponential and the same at every rate, stretched, so that latencies
    only grow with the rate.
    """
    served, kept = np.asarray(served_ms, np.float64), np.asarray(counted, np.bool_)
    if not kept.any():
        return None
    rng = np.random.default_rng(seed)
    picked = _blocks(served, arrivals, rng)
    long_ms, long_counted = served[picked], kept[picked]
    due = np.cumsum(rng.standard_exponential(arrivals))
    needed = rank_of(int(np.count_nonzero(long_counted)), p)

    def holds(latencies_ms: NDArray[np.float64]) -> bool:
        """Whether the percentile by nearest rank keeps to the budget, without sorting."""
        return int(np.count_nonzero(latencies_ms[long_counted] <= budget_ms)) > needed

    if not long_counted.any() or not holds(long_ms):
        return None
    low, high = 0.0, 1.0 / float(long_ms.mean())
    while high - low > END * high:
        middle = (low + high) / 2
        if holds(queue_ms(due / middle, long_ms)):
            low = middle
        else:
            high = middle
    return low * 1e3


def rate_spread(served_ms: ArrayLike, counted: ArrayLike, *, p: float, budget_ms: float) -> float:
    """By what share `highest_rate` of these frames may be off, at 95 %, by the rates of `PARTS` parts of them.

    Infinite where a part is too short to say, or alone would hold no rate.
    """
    served, kept = np.asarray(served_ms, np.float64), np.asarray(counted, np.bool_)
    if served.size < PARTS * LEAST_OF_A_PART:
        return np.inf
    parts = zip(np.array_split(served, PARTS), np.array_split(kept, PARTS), strict=True)
    rates = [highest_rate(*part, p=p, budget_ms=budget_ms, arrivals=ARRIVALS // PARTS) for part in parts]
    found = np.array([rate for rate in rates if rate is not None])
    if found.size < PARTS:
        return np.inf
    return float(_T_95 * found.std(ddof=1) / np.sqrt(PARTS) / found.mean())


def queue_ms(due_ms: NDArray[np.float64], served_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Latencies from arrival to result, first come first served (Lindley's recursion). due_ms: [n], ascending."""
    served = np.cumsum(served_ms)
    done: NDArray[np.float64] = served + np.maximum.accumulate(due_ms - served + served_ms)
    return done - due_ms


def _blocks(served: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    length = block_length(served)
    starts = rng.integers(0, served.size, (-(-count // length), 1))
    picked: NDArray[np.int64] = ((starts + np.arange(length)) % served.size).reshape(-1)[:count]
    return picked
