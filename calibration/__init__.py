"""Calibration sets for low precision: choosing, checking and describing them.

from calibration import open_set

frames = open_set("SET").frames()  # uint8 [N, 256, 256, 3]
"""

from __future__ import annotations

from calibration.create import create_set
from calibration.errors import CalibrationError, TooFewFrames
from calibration.facts import SetFacts
from calibration.opened import CalibrationSet, open_set

__all__ = ["CalibrationError", "CalibrationSet", "SetFacts", "TooFewFrames", "create_set", "open_set"]
