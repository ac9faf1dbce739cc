"""`Budget`: the milliseconds that each stage and the whole may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields

from runtime.errors import DeadlineMissed

LIVE_BUDGET_MS = 1000.0
"""Of a live camera's reading where nobody names another one; a picture from a file may take its time."""


@dataclass(frozen=True)
class Budget:
    """Milliseconds allowed per stage and in total; None means no limit of its own.

    A result that is late in any of them is no result: the reading says so and carries no outcome of the networks.
    """

    capture: float | None = None
    quality: float | None = None
    preprocess: float | None = None
    segment: float | None = None
    classify: float | None = None
    decide: float | None = None
    total: float | None = None
    """From the frame's arrival at the Screener to its reading."""

    def __post_init__(self) -> None:
        for stage in fields(self):
            value = getattr(self, stage.name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"budget for {stage.name}: got {value} ms, expected a number above zero")


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock; None never comes."""

    at: float | None = None
    """`time.monotonic()` seconds."""

    @classmethod
    def after_ms(cls, allowed_ms: float | None) -> Deadline:
        """The deadline that lies `allowed_ms` from now."""
        return cls(None if allowed_ms is None else time.monotonic() + allowed_ms / 1000)

    def sooner(self, other: Deadline) -> Deadline:
        """The earlier of the two."""
        if self.at is None or other.at is None:
            return self if other.at is None else other
        return self if self.at <= other.at else other

    def remaining_ms(self) -> float | None:
        """Milliseconds left, not below zero; None when there is no limit."""
        return None if self.at is None else max(0.0, (self.at - time.monotonic()) * 1000)

    def check(self, stage: str) -> None:
        """Raise `DeadlineMissed` when the moment has passed."""
        if self.at is not None and time.monotonic() > self.at:
            raise DeadlineMissed(f"late: the budget was used up at {stage}")
