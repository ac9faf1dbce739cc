"""What runs on the cart: frames in, screening readings out.

from runtime import Screener, open_bundle

with Screener(open_bundle()) as screener:
    reading = screener.screen(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.moved import serve_old_names

if TYPE_CHECKING:
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

_HOMES = {
    "Budget": "runtime.budget",
    "Bundle": "runtime.bundle",
    "BundleError": "runtime.errors",
    "DeadlineMissed": "runtime.errors",
    "EngineError": "runtime.errors",
    "Frame": "device.frame",
    "IncompatiblePlan": "runtime.errors",
    "Outcome": "runtime.outcome",
    "OutputError": "runtime.errors",
    "QualityLimits": "runtime.quality",
    "Reading": "runtime.reading",
    "Screener": "runtime.screener",
    "ScreeningError": "runtime.errors",
    "open_bundle": "runtime.bundle",
}


serve_old_names()


def __getattr__(name: str) -> Any:
    """Public names are fetched when first asked for, so that `import runtime` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
