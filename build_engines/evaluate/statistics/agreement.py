"""Two readers of the same units: McNemar's exact test, and how many differing pairs could decide at all."""

from __future__ import annotations

import math

SIGNIFICANT = 0.05


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided exact p that the differing pairs fall either way alike (McNemar 1947; binomial)."""
    pairs = first_only + second_only
    tail = sum(math.comb(pairs, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, float(2 * tail / 2**pairs))


def fewest_deciding() -> int:
    """The fewest differing pairs that can reach significance, all in one direction: 6 at 5 %."""
    pairs = 1
    while mcnemar(0, pairs) > SIGNIFICANT:
        pairs += 1
    return pairs
