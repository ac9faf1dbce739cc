"""The colour of each outcome, told apart in any form of colour blindness and in grey."""

from __future__ import annotations

from types import MappingProxyType

from runtime.outcome import Outcome

OUTCOME_COLOURS = MappingProxyType(
    {
        Outcome.REFER: "#F5793A",
        Outcome.NO_REFERRAL_FINDINGS: "#56B4E9",
        Outcome.RETAKE: "#F0E442",
        Outcome.NO_RESULT: "#C3C8CE",
    }
)
"""After Okabe and Ito (jfly.uni-koeln.de/color). `DARK_TEXT` on each has a contrast of at least 6 (WCAG AA: 4.5)."""

DARK_TEXT = "#14181D"
VESSEL_COLOUR = "#00E5FF"
"""Cyan: the colour farthest from any fundus."""


def rgb(colour: str) -> tuple[int, int, int]:
    """`#RRGGBB` as three numbers."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
