"""What a test does about a machine that is busy with other things."""

from __future__ import annotations

from collections.abc import Callable


def at_a_calm_moment(
    tried: Callable[[], None], times: int = 12, failures: tuple[type[Exception], ...] = (AssertionError,)
) -> None:
    """Try until it does not fail in one of these ways, at most so often.

    Only for what takes the machine's time to be true (a light that a heartbeat keeps on, an end that is noticed within
    50 ms): a busy machine can make a whole program look broken then, but never a broken one whole.
    """
    for left in reversed(range(times)):
        try:
            tried()
        except failures:
            if not left:
                raise
        else:
            return
