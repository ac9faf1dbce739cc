"""What runs on the cart: frames in, screening readings out.

from runtime import Screener, open_bundle

with Screener(open_bundle()) as screener:
    reading = screener.screen(frame)
"""

from __future__ import annotations

from device.frame import Frame
from runtime.budget import Budget
from runtime.bundle import Bundle, open_bundle
from runtime.errors import (
    BundleError,
    DeadlineMissed,
    EngineError,
    IncompatiblePlan,
    OutputError,
    ScreeningError,
)
from runtime.outcome import Outcome
from runtime.quality import QualityLimits
from runtime.reading import Reading
from runtime.screener import Screener

__all__ = [
    "Budget",
    "Bundle",
    "BundleError",
    "DeadlineMissed",
    "EngineError",
    "Frame",
    "IncompatiblePlan",
    "Outcome",
    "OutputError",
    "QualityLimits",
    "Reading",
    "Screener",
    "ScreeningError",
    "open_bundle",
]
