"""What an outcome means at a prevalence: predictive values with intervals, and net benefit."""

from __future__ import annotations

import math

from runtime.shares import Range, Share


def predictive_values(sensitivity: Share, specificity: Share, prevalence: float) -> tuple[Range | None, Range | None]:
    """Positive and negative predictive value by Bayes; intervals through those of the two likelihood ratios.

    The interval of a likelihood ratio is that of a ratio of two shares (Donner and Zou, Stat Methods Med Res 2012).
    None where no unit was called so, of which nothing can be right: none positive, or none negative.
    Raises `ValueError` where one of the shares has no units.
    """
    hit, clear = sensitivity.range, specificity.range
    if hit is None or clear is None:
        raise ValueError("predictive values: need units of both classes")
    alarm, missed = _rest(clear), _rest(hit)
    odds = prevalence / (1 - prevalence)
    return _value(odds, hit, alarm), _value(1 / odds, clear, missed)


def ratio_interval(first: Range, second: Range) -> Range:
    """Ratio of two shares with its interval, from theirs (MOVER-R)."""
    a, a_low, a_high = first
    b, b_low, b_high = second
    value = math.inf if b == 0 else a / b
    low = _end(a, a_low, b, b_high, -1)
    high = math.inf if b_low == 0 else _end(a, a_high, b, b_low, 1)
    return value, max(0.0, low), high


def net_benefit(sensitivity: float, specificity: float, prevalence: float, threshold: float) -> float:
    """True positives less false alarms at the exchange rate of a threshold, per unit (Vickers and Elkin 2006)."""
    return sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * threshold / (1 - threshold)


def _end(a: float, a_end: float, b: float, b_end: float, sign: int) -> float:
    under = b_end * (2 * b - b_end)
    inside = max(0.0, (a * b) ** 2 - a_end * (2 * a - a_end) * under)
    if abs(under) < 1e-15:  # the quotient's limit
        return a_end * (2 * a - a_end) / (2 * a * b) if a * b else math.inf
    return (a * b + sign * math.sqrt(inside)) / under


def _rest(of: Range) -> Range:
    return 1 - of[0], 1 - of[2], 1 - of[1]


def _value(odds: float, right: Range, wrong: Range) -> Range | None:
    if right[0] == wrong[0] == 0:
        return None
    value, low, high = (_share(odds, ratio) for ratio in ratio_interval(right, wrong))
    return value, low, high


def _share(odds: float, ratio: float) -> float:
    return 1.0 if math.isinf(ratio) else odds * ratio / (1 + odds * ratio)
