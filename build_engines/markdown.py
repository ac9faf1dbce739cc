"""Text in Markdown that is shown as it stands."""

from __future__ import annotations

import re


def escape(text: str) -> str:
    """Text in one line that Markdown shows as it stands, also in a table."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", flat)
