"""The decision: from probabilities that passed every check to one of the four outcomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from runtime.outcome import Outcome

MOST_DIGITS = 17
"""After the point; a threshold below 1 never looks like 1 with so many."""
MOST_PROBABILITY = 1.01
"""Sums of rounded numbers may be a little over 1."""
SUMS_WITHIN = 0.02
"""Of 1, for the probabilities of all classes: twice what an engine may be off by."""


def refer_probability(probabilities: Mapping[str, float], refer_classes: Sequence[str]) -> float:
    """Sum of the probabilities of the classes that count towards referral."""
    return sum(probabilities[name] for name in refer_classes)


def stated_refer_probability(probabilities: object, refer_classes: Collection[str]) -> float | None:
    """The same of a reading that was stored; None where what it states are no probabilities of all classes together.

    Not one of them may take from what another says, nor be `false`.
    """
    if not isinstance(probabilities, Mapping):
        return None
    for value in probabilities.values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_PROBABILITY:
            return None
    adds_up = abs(sum(probabilities.values()) - 1) <= SUMS_WITHIN
    if not adds_up or not set(refer_classes) <= set(probabilities):
        return None
    return float(sum(probabilities[name] for name in refer_classes))


def against(value: float, threshold: float) -> str:
    """`0.62, threshold 0.50`; with more digits where the two would look equal and are not: `0.497, threshold 0.500`,
    and where the threshold would look like 0 or 1, which none is: `0.430, threshold 0.999`."""
    fewest = next((d for d in range(2, MOST_DIGITS) if 0 < float(f"{threshold:.{d}f}") < 1), MOST_DIGITS)
    digits = next((d for d in range(fewest, 7) if f"{value:.{d}f}" != f"{threshold:.{d}f}"), fewest)
    return f"{value:.{digits}f}, threshold {threshold:.{digits}f}"


def apart(*values: float) -> tuple[str, ...]:
    """The values with as many digits after the point, two at least, as it takes for those that differ to look different
    and for none between 0 and 1 to look like either."""
    for digits in range(2, MOST_DIGITS):
        shown = tuple(f"{value:.{digits}f}" for value in values)
        bounded = all(0 < float(text) < 1 for value, text in zip(values, shown, strict=True) if 0 < value < 1)
        if bounded and len(set(shown)) == len(set(values)):
            return shown
    return tuple(f"{value!r}" for value in values)


def decide(probabilities: Mapping[str, float], refer_classes: Sequence[str], threshold: float) -> tuple[Outcome, str]:
    """Outcome and reason: REFER at or over the threshold.

    The comparison is written so that a NaN, which compares false with everything, can never be below the threshold.
    """
    value = refer_probability(probabilities, refer_classes)
    if value >= threshold:
        return Outcome.REFER, f"{' + '.join(refer_classes)} {against(value, threshold)}"
    if value < threshold:
        return Outcome.NO_REFERRAL_FINDINGS, f"{' + '.join(refer_classes)} {against(value, threshold)}"
    return Outcome.NO_RESULT, "the classifier gave no number"
