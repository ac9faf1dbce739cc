"""Words for people: the outcome's, and text from outside made safe to show."""

from __future__ import annotations

from runtime.outcome import Outcome


def word(outcome: Outcome) -> str:
    """The outcome as it is written for people."""
    return outcome.value.replace("_", " ")


def printable(text: str) -> str:
    """The text without control characters and halves of characters, which could act on a terminal or spoil a page."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
