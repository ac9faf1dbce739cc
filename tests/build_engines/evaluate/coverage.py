"""How often intervals hold the truth: simulated studies of infants who give several frames each.

`python -m tests.build_engines.evaluate.coverage` prints the table of docs/measurements.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from build_engines.evaluate.statistics.area import area_interval
from build_engines.evaluate.statistics.predictive import predictive_values
from runtime.shares import Share, share

ALIKE = 0.4
"""Correlation of frames of one infant."""
MOST_FRAMES = 6
PREVALENCE = 0.1
KINDS = ("share", "area", "predictive")
UNLIKE = (1, 2, 4, 8, 16, 40)
"""Frames of infants of whom a few give most."""


@dataclass(frozen=True)
class Coverage:
    """One kind of study."""

    kind: str
    infants: int = 100
    level: float = 0.9
    """The true share or area."""
    studies: int = 1000
    ill: float = 0.35
    """Share of the infants, of an area."""
    mixed: bool = False
    """Whether only two in three frames of an ill infant show it."""
    wider: float = 1.0
    """How much wider scores of ill frames lie than of the others."""
    sizes: tuple[int, ...] = tuple(range(1, MOST_FRAMES + 1))
    """How many frames an infant gives, each as often."""


def covered(of: Coverage) -> float:
    """Share of studies whose 95 % interval holds the truth."""
    rng = np.random.default_rng(2026)
    study = {"share": _share, "area": _area, "predictive": _predictive}[of.kind]
    return float(np.mean([study(of, rng) for _ in range(of.studies)]))


def _share(of: Coverage, rng: np.random.Generator) -> bool:
    found = _drawn(of.level, of.infants, of.sizes, rng).range
    assert found is not None
    return found[1] <= of.level <= found[2]


def _drawn(level: float, count: int, frames: tuple[int, ...], rng: np.random.Generator) -> Share:
    """The share of frames read rightly, of infants who differ."""
    sizes = np.array(frames)[rng.integers(0, len(frames), count)]
    own = rng.beta(level * (1 - ALIKE) / ALIKE, (1 - level) * (1 - ALIKE) / ALIKE, count)
    infants = np.repeat(np.arange(count), sizes)
    return share(rng.random(len(infants)) < own[infants], infants)


def _predictive(of: Coverage, rng: np.random.Generator) -> bool:
    """The positive value; a third of the infants are ill, sensitivity is the level, specificity 0.8."""
    ill = of.infants // 3
    hit, clear = _drawn(of.level, ill, of.sizes, rng), _drawn(0.8, of.infants - ill, of.sizes, rng)
    truth = PREVALENCE * of.level / (PREVALENCE * of.level + (1 - PREVALENCE) * 0.2)
    positive, _ = predictive_values(hit, clear, PREVALENCE)
    assert positive is not None
    _, low, high = positive
    return low <= truth <= high


def _area(of: Coverage, rng: np.random.Generator) -> bool:
    """Binormal scores with a part that all frames of an infant share; its area is known."""
    sizes = np.array(of.sizes)[rng.integers(0, len(of.sizes), of.infants)]
    infants = np.repeat(np.arange(of.infants), sizes)
    ill = rng.random(of.infants) < of.ill
    ill[:2], ill[-2:] = True, False
    shown = ill[infants] & (rng.random(len(infants)) < 2 / 3) if of.mixed else ill[infants]
    shown[0] = True
    own, rest = rng.normal(0, np.sqrt(ALIKE), of.infants), rng.normal(0, np.sqrt(1 - ALIKE), len(infants))
    apart = NormalDist().inv_cdf(of.level) * np.hypot(1, of.wider)
    _, low, high = area_interval((own[infants] + rest) * np.where(shown, of.wider, 1) + apart * shown, shown, infants)
    return low <= of.level <= high


ALL = (
    *(Coverage(kind, infants, level) for kind in KINDS for infants in (60, 150) for level in (0.85, 0.93)),
    *(Coverage("area", 60, level, ill=ill) for level in (0.75, 0.98) for ill in (0.1, 0.35, 0.5)),
    *(Coverage("area", infants, 0.98) for infants in (25, 150, 400)),
    *(Coverage("area", 60, level, mixed=True) for level in (0.85, 0.98)),
    *(Coverage("area", 60, level, wider=1.5) for level in (0.85, 0.98)),
    *(Coverage(kind, 60, 0.9, sizes=UNLIKE) for kind in ("share", "area")),
)
"""The studies of docs/measurements.md."""


if __name__ == "__main__":
    for each in ALL:
        print(f"{each}: {covered(each):.1%} of {each.studies:,} studies")  # noqa: T201
