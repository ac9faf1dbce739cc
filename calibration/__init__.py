"""Calibration sets for low precision: choosing, checking and describing them.

from calibration import open_set

frames = open_set("SET").frames()  # uint8 [N, 256, 256, 3]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibration.errors import CalibrationError, TooFewFrames

if TYPE_CHECKING:
    from calibration.create import create_set
    from calibration.facts import SetFacts
    from calibration.opened import CalibrationSet, open_set

__all__ = ["CalibrationError", "CalibrationSet", "SetFacts", "TooFewFrames", "create_set", "open_set"]

_HOMES = {
    "CalibrationSet": "calibration.opened",
    "SetFacts": "calibration.facts",
    "create_set": "calibration.create",
    "open_set": "calibration.opened",
}


def __getattr__(name: str) -> Any:
    """Fetched when first asked for, so that the command line can be read before anything heavy is imported."""
    if name not in _HOMES:
        raise AttributeError(f"module 'calibration' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
