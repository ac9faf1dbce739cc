"""What can go wrong with calibration sets.

CalibrationError
`-- TooFewFrames    the sources hold fewer usable frames than were asked for
"""

from __future__ import annotations

from collections.abc import Mapping


class CalibrationError(Exception):
    """A set, its sources or the place for it cannot be used; the text says what, got, expected, do this."""


class TooFewFrames(CalibrationError):
    """The sources hold fewer usable frames than were asked for."""

    def __init__(self, *, needed: int, found: int, refused: Mapping[str, int], advice: str) -> None:
        self.needed = needed
        self.found = found
        self.refused = dict(refused)
        """How many frames were refused, by reason."""
        why = ", ".join(f"{count} {reason}" for reason, count in self.refused.items()) or "none"
        super().__init__(f"too few usable frames: needed {needed}, found {found}; refused: {why}; {advice}")
