"""The numbers that options take, each refused in one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

from device.numbers import strict_float

LEAST, MOST = 1e-6, 1e9
"""Of times and rates: what is beyond is a slip, and no clock counts it."""


def whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            upper = "up" if high == 2**31 - 1 else f"to {high}"
            raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected a whole number from {low} {upper}")
        return int(text)

    return read


def number(text: str) -> float:
    """Any number; not-a-number for what is none."""
    try:
        return strict_float(text)
    except ValueError:
        return math.nan


def positive(text: str) -> float:
    """A number above zero."""
    return _within(text, "a number")


def milliseconds(text: str) -> float:
    """Milliseconds above zero."""
    return _within(text, "milliseconds")


def _within(text: str, what: str) -> float:
    value = number(text)
    if not LEAST <= value <= MOST:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected {what} above zero, from {LEAST:g} to {MOST:g}")
    return value


def share(text: str) -> float:
    """A share from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a share from 0 to 1")
    return value


def picture_size(text: str) -> str:
    """`WIDTHxHEIGHT` in pixels, each of 2 to 5 digits."""
    if not re.fullmatch(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", text):
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected WIDTHxHEIGHT like 640x480")
    return text
