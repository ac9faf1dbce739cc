"""Text in Markdown that is shown as it stands."""

from __future__ import annotations

import re

from device.shown import printable


def escape(text: str) -> str:
    """Text in one line that Markdown shows as it stands, also in a table; without what turns the reading order."""
    flat = printable(" ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", flat)
