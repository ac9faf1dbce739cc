"""How long and how fast each training phase runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhaseSettings:
    """One training phase."""

    steps: int
    """Optimizer steps in all."""
    batch: int
    """Frames a step."""
    peak_rate: float
    """Largest learning rate of the schedule."""
    seed: int = 1
    save_every: int = 50
    """Steps between saved states; at most so many are lost when the run is stopped."""
    validate_every: int = 300
    """Steps between looks at the held-out frames (reported, never used to choose weights)."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


SEGMENTATION = PhaseSettings(steps=3300, batch=8, peak_rate=2e-3)
CLASSIFICATION = PhaseSettings(steps=2400, batch=8, peak_rate=6e-4)
