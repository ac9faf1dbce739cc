"""The hash chain: each event's hash covers the one before, so that no past event can change unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What stands for the hash before the first event."""


def canonical(content: Any) -> str:
    """The one JSON text of a content: sorted keys, no spaces, ASCII. Numbers that are not finite are refused."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


def digest(text: str) -> str:
    """SHA-256 of a text, as hex. What cannot be UTF-8 any more (a flipped byte) still gets its own digest."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class EventRow:
    """One row of the trail."""

    seq: int
    exam: str | None
    kind: str
    at: str
    who: str
    body: str | None
    body_sha256: str
    hash: str


def event_hash(previous: str, seq: int, exam: str | None, kind: str, at: str, who: str, body_sha256: str) -> str:
    """The hash of an event; the body takes part by its SHA-256, so that it can be removed when an exam is retired."""
    return digest(canonical([previous, seq, exam, kind, at, who, body_sha256]))


def linked(previous: str, seq: int, exam: str | None, kind: str, at: str, who: str, content: Any) -> EventRow:
    """The next row of the trail."""
    body = canonical(content)
    body_sha256 = digest(body)
    return EventRow(
        seq, exam, kind, at, who, body, body_sha256, event_hash(previous, seq, exam, kind, at, who, body_sha256)
    )
