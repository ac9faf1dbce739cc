"""Words for people: the outcome's, and text from outside made safe to show (`device.shown`)."""

from __future__ import annotations

from device.shown import escaped_json, printable, printable_lines
from runtime.outcome import Outcome

__all__ = ["escaped_json", "printable", "printable_lines", "word"]


def word(outcome: Outcome) -> str:
    """The outcome as it is written for people."""
    return outcome.value.replace("_", " ")
