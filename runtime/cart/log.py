"""The cart's log: events by kind, never a name, an identifier or a reason that a person typed."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timezone

KEPT = 500
_lines: deque[str] = deque(maxlen=KEPT)
_lock = threading.Lock()


def note(text: str) -> None:
    """Keep one line, with its time. text: words of this software and numbers only."""
    with _lock:
        _lines.append(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {text}")


def recent_lines() -> list[str]:
    """The newest lines, oldest first."""
    with _lock:
        return list(_lines)
