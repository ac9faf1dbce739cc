"""`LiveConfig`: how long a live camera may be silent, and how hard it is tried to have it back."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class LiveConfig:
    """Times and bounds of a `LiveReader`. Raises `ValueError` for a value that is out of its range.

    The defaults are for cameras of one frame in two seconds or faster.
    """

    connect_timeout_s: float = 20.0
    """A camera must be open, and have given its first frame, within this; else that try is given up."""
    stalled_after_s: float = 2.0
    """Without a frame for so long the camera counts as stalled."""
    kept_s: float = 2.0
    """A frame that waited for longer to be read is not given any more."""
    reconnect_after_s: float = 10.0
    """Without a frame for so long its thread is abandoned and the camera opened anew."""
    first_retry_s: float = 0.2
    """Pause before the first try to have a lost camera back; each further pause is twice as long."""
    longest_retry_s: float = 3.0
    """No pause is longer than this, so that a camera that comes back is found soon."""
    give_up_after_s: float = 60.0
    """A lost camera that is not back within this is given up."""
    losses_allowed: int = 5
    """A camera that is lost more often than this within `losses_window_s` is given up: a loose plug is no camera."""
    losses_window_s: float = 60.0
    """See `losses_allowed`."""
    close_timeout_s: float = 1.0
    """How long closing waits for a `read` under way before that thread is abandoned."""
    abandoned_allowed: int = 4
    """With so many abandoned threads still hanging in this process no further one is started."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{setting.name}: got {value}, expected a number above zero")
        if self.reconnect_after_s < self.stalled_after_s:
            raise ValueError(
                f"reconnect_after_s: got {self.reconnect_after_s}, expected at least "
                f"stalled_after_s ({self.stalled_after_s})"
            )
