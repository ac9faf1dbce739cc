"""What a test does about a machine that is busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable

BUSY_S = 180.0
"""So long a machine may be busy with other things."""


def at_a_calm_moment(
    tried: Callable[[], None], times: int = 12, failures: tuple[type[Exception], ...] = (AssertionError,)
) -> None:
    """Try until it does not fail in one of these ways; given up after so many tries and `BUSY_S`.

    Only for what takes the machine's time to be true (a light that a heartbeat keeps on, an end that is noticed within
    50 ms): a busy machine can make a whole program look broken then, but never a broken one whole.
    """
    began, left = time.monotonic(), times
    while True:
        left -= 1
        try:
            tried()
        except failures:
            if left <= 0 and time.monotonic() - began > BUSY_S:
                raise
        else:
            return
