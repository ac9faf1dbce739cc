"""How often intervals hold the truth: simulated studies of infants who give several frames each.

`python -m tests.build_engines.evaluate.coverage` prints the table of docs/measurements.md.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from build_engines.evaluate.statistics.predictive import predictive_values
from build_engines.evaluate.statistics.roc import area_interval
from runtime.shares import Share, share

ALIKE = 0.4
"""Correlation of frames of one infant."""
MOST_FRAMES = 6
PREVALENCE = 0.1
KINDS = ("share", "area", "predictive")


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
    study = {"share": _share, "area": _area, "predictive": _predictive}[of.kind]
    return float(np.mean([study(of, rng) for _ in range(of.studies)]))


def _share(of: Coverage, rng: np.random.Generator) -> bool:
    found = _drawn(of.level, of.infants, rng).range
    assert found is not None
    return found[1] <= of.level <= found[2]


def _drawn(level: float, count: int, rng: np.random.Generator) -> Share:
    """The share of frames read rightly, of infants who differ."""
    sizes = rng.integers(1, MOST_FRAMES + 1, count)
    own = rng.beta(level * (1 - ALIKE) / ALIKE, (1 - level) * (1 - ALIKE) / ALIKE, count)
    infants = np.repeat(np.arange(count), sizes)
    return share(rng.random(len(infants)) < own[infants], infants)


def _predictive(of: Coverage, rng: np.random.Generator) -> bool:
    """The positive value; a third of the infants are ill, sensitivity is the level, specificity 0.8."""
    hit, clear = _drawn(of.level, of.infants // 3, rng), _drawn(0.8, of.infants - of.infants // 3, rng)
    truth = PREVALENCE * of.level / (PREVALENCE * of.level + (1 - PREVALENCE) * 0.2)
    _, low, high = predictive_values(hit, clear, PREVALENCE)[0]
    return low <= truth <= high


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
    for kind, infants, level in itertools.product(KINDS, (60, 150), (0.85, 0.93)):
        found = covered(Coverage(kind=kind, infants=infants, level=level))
        print(f"{kind}, {infants} infants, true {level:g}: {found:.1%} of 1,000 studies")  # noqa: T201
