"""Two readers of the same units: McNemar's exact test, alone and by infant, and how many pairs could decide at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
    sizes = Counter(abs(difference) for difference in differences if difference)
    most, seen = sum(size * count for size, count in sizes.items()), abs(sum(differences))
    # Chances of the sum from its Fourier transform, the product of all infants': one after the other they take minutes.
    points = 2 << most.bit_length()
    steps = np.arange(points // 2 + 1)
    wave = np.exp(-1j * np.pi / points * (steps * most % (2 * points)))
    for size, count in sizes.items():
        wave *= _cosine_power(size * steps, points, count)
    chance = np.maximum(np.fft.irfft(wave, points)[: most + 1], 0)  # of each (sum + most) / 2
    return min(1.0, float(chance[np.abs(2 * np.arange(most + 1) - most) >= seen].sum()))


def _cosine_power(steps: NDArray[np.int64], points: int, power: int) -> NDArray[np.float64]:
    """cos(pi * steps / points) ** power, also of a power of thousands to some 15 digits."""
    turns, rest = np.divmod(steps + points // 2, points)
    with np.errstate(divide="ignore"):  # a cosine of 0
        size = np.exp(power / 2 * np.log1p(-(np.sin(np.pi / points * (rest - points // 2)) ** 2)))
    found: NDArray[np.float64] = np.where(turns * power % 2, -size, size)
    return found


def fewest_deciding() -> int:
    """The fewest differing pairs that can reach significance, all in one direction: 6 at 5 %."""
    pairs = 1
    while mcnemar(0, pairs) > SIGNIFICANT:
        pairs += 1
    return pairs
