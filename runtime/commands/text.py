"""Words for people: the outcome's, and text from outside made safe to show."""

from __future__ import annotations

import unicodedata

from runtime.outcome import Outcome

_JOINERS = "\u200c\u200d\u200e\u200f"
"""Joiners and marks of direction, without which names in some scripts read wrongly; they act on no terminal."""


def word(outcome: Outcome) -> str:
    """The outcome as it is written for people."""
    return outcome.value.replace("_", " ")


def printable(text: str) -> str:
    """The text without control characters and halves of characters, which could act on a terminal or spoil a page."""
    return "".join(c if _shown(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
