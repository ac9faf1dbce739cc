"""Text from outside made safe to show: on a terminal, in a page, as JSON."""

from __future__ import annotations

import json
import unicodedata

_JOINERS = "\u200c\u200d\u200e\u200f"
"""Joiners and marks of direction, without which names in some scripts read wrongly; they act on no terminal."""
_UNSEEN = frozenset(
    chr(point)
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800)),
        *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF)),
    )
    for point in range(first, last + 1)
)
"""What Unicode calls Default_Ignorable_Code_Point beside `Cf` (fillers of Hangul, selectors of variants), and the empty
pattern of Braille."""


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


def only_seen(text: str) -> str:
    """The text without the characters that nobody sees: controls, marks of format, fillers that are letters by name."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf") and c not in _UNSEEN)


def _shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
