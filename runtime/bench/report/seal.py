"""The seal of a report's file: a checksum that tells whether it was edited, cut or damaged after it was written.

It is no signature: whoever edits a report can make a new seal. It finds what happens by mistake, on a disk, on the way,
or by an editor, and it holds every number that a comparison rests on.
"""

from __future__ import annotations

import hashlib
import json

FIELD = "seal"
BROKEN = (
    "was edited or damaged after it was written (its seal is of another content); take the file as --json wrote it, "
    "or measure again"
)
NONE = (
    "bears no seal, as of an older version or as its seal was taken out, so that nothing tells whether it was edited; "
    "measure again with this version"
)


def seal_of(text: str | bytes) -> str:
    """SHA-256 over a report's JSON without the field `seal`, as 64 hex digits. Raises `ValueError` of no JSON object.

    Over its canonical form: sorted names, no spaces, ASCII, and each number by its value (`12`, not `12.0`), so that a
    report that was merely printed anew by another program keeps its seal.
    """
    content = json.loads(text, parse_float=_by_value)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    content.pop(FIELD, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def sealed(text: str) -> str:
    """A report's JSON with its seal as the last field. text: a JSON object without one."""
    return f'{text[:-1]},"{FIELD}":"{seal_of(text)}"}}'


def seal_fault(text: str | bytes, seal: str | None) -> str:
    """What is wrong with the seal that a report's file bears, "" where it holds."""
    if seal is None:
        return NONE
    return "" if seal == seal_of(text) else BROKEN


def _by_value(digits: str) -> float | int:
    value = float(digits)
    return int(value) if value.is_integer() else value
