"""Text in Markdown that is shown as it stands."""

from __future__ import annotations

import re
import unicodedata

from device.shown import only_seen, printable

ACTS = re.compile(r"(blob|data|file|javascript|vbscript):(?=\S)", re.IGNORECASE)
"""Begins an address that does something of its own where a page's is expected."""
LINK = re.compile(r"(\\*)\]\((?=\s*<?\s*(?!https?://|mailto:)[^\s)>]*[:&\\])", re.IGNORECASE)
"""Begins the target of a link that leads neither to a page nor to a file beside; `&` and a backslash hide letters."""
PAGE = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)


def bad_link(text: str, *, whole: bool = False) -> bool:
    """Whether a link in a text of Markdown leads where no page is. whole: the text itself is an address, or words."""
    read = "".join(only_seen(unicodedata.normalize("NFKC", text)).split())
    return bool(LINK.search(text) or (whole and ACTS.match(read)))


def inert(text: str) -> str:
    """Text of Markdown in which such links are shown as they stand."""
    return LINK.sub(lambda found: _shown(found[1], "]("), text)


def as_signs(text: str) -> str:
    """Text of Markdown in which what begins HTML or parts a table is a sign, also behind backslashes."""
    return re.sub(r"(\\*)([<|])", lambda found: _shown(found[1], found[2]), text)


def _shown(backslashes: str, sign: str) -> str:
    """An odd number of backslashes escapes the sign already; one more would escape the last of them instead."""
    return f"{backslashes}{sign}" if len(backslashes) % 2 else f"{backslashes}\\{sign}"


def escape(text: str) -> str:
    """Text in one line that Markdown shows as it stands, also in a table; without what turns the reading order."""
    flat = printable(" ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", flat)
