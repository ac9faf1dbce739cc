"""How often intervals hold the truth: simulated studies of infants who give several frames each.

`python -m tests.build_engines.evaluate.coverage` prints the table of docs/measurements.md.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from build_engines.evaluate.statistics.roc import area_interval
from runtime.shares import share

ALIKE = 0.4
"""Correlation of frames of one infant."""
MOST_FRAMES = 6


@dataclass(frozen=True)
class Coverage:
    """One kind of study."""

    kind: str
    infants: int = 100
    level: float = 0.9
    """The true share, or about the true area."""
    studies: int = 1000
    draws: int = 1000


def covered(of: Coverage) -> float:
    """Share of studies whose 95 % interval holds the truth."""
    rng = np.random.default_rng(2026)
    study = _share if of.kind == "share" else _area
    return float(np.mean([study(of, rng) for _ in range(of.studies)]))


def _share(of: Coverage, rng: np.random.Generator) -> bool:
    sizes = rng.integers(1, MOST_FRAMES + 1, of.infants)
    own = rng.beta(of.level * (1 - ALIKE) / ALIKE, (1 - of.level) * (1 - ALIKE) / ALIKE, of.infants)
    infants = np.repeat(np.arange(of.infants), sizes)
    found = share(rng.random(len(infants)) < own[infants], infants)
    assert found.range is not None
    return found.range[1] <= of.level <= found.range[2]


def _area(of: Coverage, rng: np.random.Generator) -> bool:
    """Binormal scores with a part that all frames of an infant share; its area is known."""
    from statistics import NormalDist

    sizes = rng.integers(1, MOST_FRAMES + 1, of.infants)
    infants = np.repeat(np.arange(of.infants), sizes)
    ill = rng.random(of.infants) < 0.35
    ill[:2] = True, False
    own, rest = rng.normal(0, np.sqrt(ALIKE), of.infants), rng.normal(0, np.sqrt(1 - ALIKE), len(infants))
    apart = NormalDist().inv_cdf(of.level) * np.sqrt(2)
    found = area_interval(own[infants] + rest + apart * ill[infants], ill[infants], infants, of.draws, seed=1)
    return found.low <= of.level <= found.high


if __name__ == "__main__":
    for kind, infants, level in itertools.product(("share", "area"), (60, 150), (0.85, 0.93)):
        found = covered(Coverage(kind=kind, infants=infants, level=level))
        print(f"{kind}, {infants} infants, true {level:g}: {found:.1%} of 1,000 studies")  # noqa: T201
