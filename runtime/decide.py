"""The decision: from probabilities that passed every check to one of the four outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.outcome import Outcome


def refer_probability(probabilities: Mapping[str, float], refer_classes: Sequence[str]) -> float:
    """Sum of the probabilities of the classes that count towards referral."""
    return sum(probabilities[name] for name in refer_classes)


def decide(probabilities: Mapping[str, float], refer_classes: Sequence[str], threshold: float) -> tuple[Outcome, str]:
    """Outcome and reason: REFER at or over the threshold.

    The comparison is written so that a NaN, which compares false with everything, can never be below the threshold.
    """
    value = refer_probability(probabilities, refer_classes)
    if value >= threshold:
        return Outcome.REFER, f"{' + '.join(refer_classes)} {value:.2f}, threshold {threshold:.2f}"
    if value < threshold:
        return Outcome.NO_REFERRAL_FINDINGS, f"{' + '.join(refer_classes)} {value:.2f}, threshold {threshold:.2f}"
    return Outcome.NO_RESULT, "the classifier gave no number"
