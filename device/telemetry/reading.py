"""`Telemetry`: how the machine is doing at one moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class ClockFrequency:
    """One clock."""

    name: str
    """`cpu0`, `gpu`, `emc`, `nvml0 sm`."""
    now_mhz: float
    max_mhz: float | None = None
    """The highest that the present settings allow."""


@dataclass(frozen=True)
class Temperature:
    """One temperature."""

    name: str
    celsius: float
    limit_celsius: float | None = None
    """Where the machine begins to slow down or goes off, the lower of the two; None when it does not say."""


@dataclass(frozen=True)
class Power:
    """Power drawn on one rail, or by one device."""

    name: str
    watts: float
    limit_watts: float | None = None


@dataclass(frozen=True)
class ThrottleCount:
    """How often something has slowed the machine down since it started."""

    name: str
    count: int


@dataclass(frozen=True)
class Telemetry:
    """One reading of the machine. What it does not tell is absent, never zero."""

    machine: str
    """Model, as the machine calls itself."""
    clocks: tuple[ClockFrequency, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    power: tuple[Power, ...] = ()
    throttling: tuple[str, ...] = ()
    """What slows the machine down at this moment; empty when nothing does or nothing is known."""
    throttle_counts: tuple[ThrottleCount, ...] = ()
    power_mode: str | None = None
    """`MAXN`, `15W` on Jetson; platform profile or frequency governor elsewhere."""
    problems: tuple[str, ...] = ()
    """What is there but could not be read, and why."""
    taken_ns: int = field(default_factory=time.monotonic_ns)
    """`time.monotonic_ns()` when the reading began."""
    taken_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    """Wall-clock time of the same moment, UTC."""

    def to_dict(self) -> dict[str, Any]:
        """The reading ready for `json.dumps`."""
        return {**asdict(self), "taken_at": self.taken_at.isoformat()}
