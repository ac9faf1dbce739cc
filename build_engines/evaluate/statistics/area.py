"""The interval of a ROC area whose units hang together by infant: a score interval, as Wilson's is for shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from build_engines.evaluate.statistics.roc import Floats
from runtime.metrics import roc_auc
from runtime.shares import Clusters, Flags, Range, effective, least_variance, wilson
from runtime.student import t_quantile

NORMAL = NormalDist()
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_REACH = 1 / math.sqrt(3)


def area_interval(scores: Floats, truth: Flags, clusters: Clusters) -> Range:
    """The area with its 95 % interval: every true area from which the one found is less than t deviations away.

    How the deviation changes with the true area is that of two normal distributions (`model_variance`); how large it
    is here is the spread between infants (`clustered_variance`, at least that of infants alike), but never less than
    independent units would have, nor more than one unit an infant. An interval with the spread found at the found
    area, also one on the logit scale, holds an area near 1 too rarely, since both come out too good together.
    Student's t has the degrees of freedom of the spread, or twice the infants of the smaller class less one, as a
    share's. It is at most as wide as Wilson's for the infants of the smaller class, since no area is less certain than
    such a share (Birnbaum and Klose 1957); that it is where nothing spreads. Raises `ValueError` of one class only.
    """
    value = roc_auc(scores, truth)
    if value is None:
        raise ValueError("area: got one class only, expected both")
    fewest = min(len(np.unique(clusters[which])) for which in (truth, ~truth))
    bound = wilson(value, fewest)
    spread, freedom = 0.0, 0.0
    if fewest > 1 and 0 < value < 1:
        spread, freedom = clustered_variance(scores, truth, clusters, at_least_alike=True)
    if spread == 0:
        return value, *bound
    ill = int(truth.sum())
    units, infants = (ill, len(truth) - ill), (effective(clusters[truth]), effective(clusters[~truth]))
    alone, together = model_variance(value, *units), model_variance(value, *infants)
    factor = min(max(spread, alone), together) / alone
    t = t_quantile(max(freedom, 2.0 * fewest - 1))

    def holds(true: float) -> bool:
        return (value - true) ** 2 <= t * t * factor * model_variance(true, *units)

    return value, max(_end(value, 0.0, holds), bound[0]), min(_end(value, 1.0, holds), bound[1])


def clustered_variance(
    scores: Floats, truth: Flags, clusters: Clusters, *, at_least_alike: bool = False
) -> tuple[float, float]:
    """Variance of an area by the spread between infants (Obuchowski, Biometrics 1997), and its degrees of freedom.

    Of infants who each give one unit it is DeLong's. The degrees of freedom are those of the sum of what ill and other
    units add (Welch and Satterthwaite). Each class must come from two infants at least. at_least_alike: what a class
    adds is at least `least_variance`, as of a share: a few infants with most of the units hide how they spread.
    """
    _, number = np.unique(clusters, return_inverse=True)
    count = int(number.max()) + 1
    parts, sums, infants = [], [], []
    for which, one in ((truth, 1.0), (~truth, -1.0)):
        share = _beaten(one * scores[which], one * scores[~which])
        sums.append(np.bincount(number[which], share - share.mean(), count) / len(share))
        infants.append(len(np.unique(number[which])))
        part = infants[-1] / (infants[-1] - 1) * float((sums[-1] ** 2).sum())
        parts.append(max(part, least_variance(share, clusters[which])) if at_least_alike else part)
    between = 2 * count / (count - 1) * float((sums[0] * sums[1]).sum())
    spread = sum(part**2 / (of - 1) for part, of in zip(parts, infants, strict=True))
    return max(0.0, sum(parts) + between), sum(parts) ** 2 / spread if spread else 1.0


def model_variance(area: float, ill: float, others: float) -> float:
    """Variance of an area over independent units, of two normal distributions of one width (Bamber 1975).

    ill, others: units of either class, which need not be whole.
    """
    if not 0 < area < 1:
        return 0.0
    more = _both(NORMAL.inv_cdf(area)) - area * area
    return (area * (1 - area) + (ill + others - 2) * more) / (ill * others)


def _both(z: float) -> float:
    """P(two units of a class are both ranked rightly against one of the other) at the area Phi(z).

    That is Phi(z) - 2 T(z, 1/sqrt 3), with Owen's T by Gauss and Legendre.
    """
    at = (_NODES + 1) * _REACH / 2
    return NORMAL.cdf(z) - float((_WEIGHTS * np.exp(-z * z / 2 * (1 + at**2)) / (1 + at**2)).sum()) * _REACH / (
        2 * math.pi
    )


def _beaten(scores: Floats, others: Floats) -> Floats:
    """For each score the share of the others that are below it, ties counted half."""
    ranked = np.sort(others)
    below, up_to = np.searchsorted(ranked, scores, "left"), np.searchsorted(ranked, scores, "right")
    found: Floats = (below + up_to) / (2 * len(others))
    return found


def _end(inside: float, outside: float, holds: Callable[[float], bool]) -> float:
    """How far towards `outside` it holds, by halving."""
    while (middle := (inside + outside) / 2) not in (inside, outside):
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
