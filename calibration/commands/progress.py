"""How far the looking at frames is: a live line on a terminal, else a plain line every ten seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibration.gather import Gathered

LIVE_EVERY_S, PLAIN_EVERY_S = 0.2, 10.0


class GatherLine:
    """Call it after every frame; a context manager that takes the live line away."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every_s = LIVE_EVERY_S if self._terminal else PLAIN_EVERY_S
        self._shown_s = time.monotonic()

    def __call__(self, gathered: Gathered) -> None:
        """Take note of a frame."""
        now_s = time.monotonic()
        if now_s - self._shown_s < self._every_s:
            return
        self._shown_s = now_s
        text = (
            f"looked at {gathered.looked_at.total()} frames: {len(gathered.usable)} usable, "
            f"{gathered.refused.total()} refused"
        )
        sys.stderr.write(f"\r{text} \x1b[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()

    def __enter__(self) -> GatherLine:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
