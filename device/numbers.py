"""Numbers as people write them in options and tables: finite, in digits 0 to 9; Python takes `1_000` and `nan`, too."""

from __future__ import annotations

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")


def strict_int(text: str) -> int:
    """A whole number. Raises `ValueError`."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"got {text[:20]!r}, expected a whole number")
    return int(text)


def strict_float(text: str) -> float:
    """A finite number. Raises `ValueError`."""
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"got {text[:20]!r}, expected a number")
    return value
