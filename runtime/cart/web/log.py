"""What the web server says on standard error: each kind of line once a minute, so that no caller can fill the disk."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from runtime.commands.text import printable

EVERY_S = 60.0
LOGGERS = ("uvicorn", "websockets", "wsproto", "asyncio")
"""Of the libraries that speak when a caller says something that they do not understand."""


class Sparing(logging.Handler):
    """One line a minute of each kind (the place in the code that says it), with how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, or count it."""
        kind, now = (record.pathname, record.lineno), self._clock()
        at, more = self._said.get(kind, (-math.inf, 0))
        if now - at < EVERY_S:
            self._said[kind] = at, more + 1
            return
        self._said[kind] = now, 0
        left_out = f" ({more} more since the last one)" if more else ""
        with suppress(OSError, ValueError):  # standard error is closed
            for line in self.format(record).splitlines():
                sys.stderr.write(f"runtime.cart: web: {printable(line)}{left_out}\n")
                left_out = ""


_SPARING = Sparing()


def keep_short() -> None:
    """Let the libraries' lines go through one `Sparing`. Once is enough, and twice is fine."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(_SPARING)
        logger.propagate = False
