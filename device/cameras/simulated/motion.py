"""Where the simulated camera looks: the five views of an exam in turn, with the gaze wandering in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VIEWS = ((0.5, 0.0), (0.95, 0.03), (0.3, -0.55), (0.3, 0.55), (-0.4, 0.0))
"""Disc-centred (with the macula), temporal, superior, inferior, nasal: field centre in field radii from the disc."""


@dataclass(frozen=True)
class Gaze:
    """Centre of the field on the retina in field radii, turn in radians, and magnification of the retina."""

    x: float
    y: float
    turn: float
    zoom: float


@dataclass(frozen=True)
class Motion:
    """The way of one eye's exam; the same number always gives the same gaze."""

    phases: tuple[float, ...]
    amount: float
    frames_per_eye: int

    @classmethod
    def of(cls, rng: np.random.Generator, amount: float, frames_per_eye: int) -> Motion:
        """A way by chance; `amount` scales the wandering."""
        return cls(tuple(rng.uniform(0, 2 * np.pi, 8).tolist()), amount, frames_per_eye)

    def at(self, frame: int) -> Gaze:
        """The gaze in frame `frame` of the eye: it rests in each view and moves on in the last quarter of its time."""
        place = frame / self.frames_per_eye * len(VIEWS)
        view, within = min(int(place), len(VIEWS) - 1), place % 1.0
        moved = max(0.0, (within - 0.75) / 0.25)
        ease = moved * moved * (3 - 2 * moved) if view + 1 < len(VIEWS) else 0.0
        here, there = VIEWS[view], VIEWS[min(view + 1, len(VIEWS) - 1)]
        # Periods without a common multiple, so that the way does not repeat.
        wander = [np.sin(frame / period + phase) for period, phase in zip(_PERIODS, self.phases, strict=True)]
        return Gaze(
            x=here[0] + (there[0] - here[0]) * ease + self.amount * 0.03 * float(wander[0] + wander[1]),
            y=here[1] + (there[1] - here[1]) * ease + self.amount * 0.03 * float(wander[2] + wander[3]),
            turn=self.amount * 0.03 * float(wander[4] + wander[5]),
            zoom=1 + self.amount * 0.015 * float(wander[6] + wander[7]),
        )


_PERIODS = (11.3, 4.1, 9.7, 3.7, 17.9, 23.3, 29.1, 7.3)
