"""Text from outside made safe to show: on a terminal, in a page, as JSON."""

from __future__ import annotations

import json
import unicodedata

_JOINERS = "\u200c\u200d\u200e\u200f"
"""Joiners and marks of direction, without which names in some scripts read wrongly; they act on no terminal."""


def printable(text: str) -> str:
    """The text without control characters and halves of characters, which could act on a terminal or spoil a page."""
    return text if text.isprintable() else "".join(c if _shown(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def printable_lines(text: str) -> str:
    """The same of a text that is meant to have several lines."""
    return "\n".join(map(printable, text.split("\n")))


def escaped_json(text: str) -> str:
    """JSON with its other way of writing what could act on a terminal, turn the reading order, or have no bytes.

    Line ends between values are as they are; a text has none.
    """
    return text if text.isprintable() else "".join(c if c == "\n" or _shown(c) else json.dumps(c)[1:-1] for c in text)


def _shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
