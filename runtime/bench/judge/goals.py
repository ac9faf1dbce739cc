"""What a run is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goals:
    """Budgets and bounds; None asks nothing."""

    percentile: float = 99.0
    """At which the budgets must be kept."""
    budget_ms: float | None = None
    """From capture to result."""
    stage_budgets_ms: Mapping[str, float] = field(default_factory=dict)
    """By row of `samples.ROWS`."""
    miss_rate: float | None = None
    """Share of the frames that may be without a result inside `budget_ms`; 0 to 1."""

    def budget_of(self, row: str) -> float | None:
        """The budget of a row, None where there is none."""
        return self.stage_budgets_ms.get(row, self.budget_ms if row == "camera_to_result" else None)
