"""Saying something on standard output, whatever the terminal's encoding: escaped where it has no letter for it."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(*lines: str) -> None:
    """Lines to standard output; a character that it cannot show is written as its escape, as in `\\u0159`."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def say_json(content: Any) -> None:
    """One JSON object, on one line; in ASCII where standard output is not UTF-8, and JSON all the same."""
    utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(content, ensure_ascii=not utf8)
    say(text if _has_no_halves(text) else json.dumps(content))


def _has_no_halves(text: str) -> bool:
    """Whether there is no half of a character, which UTF-8 has no bytes for."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
