"""Two readers of the same units: McNemar's exact test, alone and by infant, and how many pairs could decide at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.05


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided exact p that the differing pairs fall either way alike (McNemar 1947; binomial)."""
    pairs, least = first_only + second_only, min(first_only, second_only)
    if not pairs:
        return 1.0
    middle = pairs // 2
    below = np.arange(middle, 0, -1, dtype=np.float64)
    # Binomial coefficients from the middle one down, as shares of it; those above are the same.
    shares = np.cumprod(np.concatenate([[1.0], below / (pairs - below + 1)]))
    whole = 2 * float(shares.sum()) - (pairs % 2 == 0)
    return min(1.0, 2 * float(shares[middle - least :].sum()) / whole)


def mcnemar_by_infant(differences: Sequence[int]) -> float:
    """The same where units hang together: two-sided exact p that whole infants fall either way alike.

    differences: of each infant, how many of its units the first reader alone has right, less those of the second. Each
    infant's sign may as well be the other one (Fisher's randomization test); with one unit an infant this is McNemar.
    """
    sizes = [abs(difference) for difference in differences if difference]
    most, seen = sum(sizes), abs(sum(differences))
    chance = np.zeros(2 * most + 1)  # of each sum of differences, from -most to most
    chance[most] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    return min(1.0, float(chance[np.abs(np.arange(-most, most + 1)) >= seen].sum()))


def fewest_deciding() -> int:
    """The fewest differing pairs that can reach significance, all in one direction: 6 at 5 %."""
    pairs = 1
    while mcnemar(0, pairs) > SIGNIFICANT:
        pairs += 1
    return pairs
