"""How often the watch for drift cries wolf, and how soon it sees a real change: by simulation.

    python -m tests.bench.drift_false_alarms

Infants of ten frames each; `shared` is the part of a feature's variance that lies between infants. The reference is
249 frames of infants drawn in the same way, anew for each series of windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.trust.drift import FEATURES, WINDOW, DriftState, Observation, Reference, observe

FRAMES_AN_INFANT = 10
REFERENCE_FRAMES = 249
WINDOWS_A_REFERENCE = 10
GRADABLE = 0.7
RANKS = np.arange(0.05, 1.0, 0.05)
Values = NDArray[np.float64]


def frames(rng: np.random.Generator, count: int, shared: float) -> Values:
    """Features of `count` frames, standard normal each, [count, 6]."""
    infants = rng.normal(size=(-(-count // FRAMES_AN_INFANT), len(FEATURES)))
    between = np.repeat(infants, FRAMES_AN_INFANT, axis=0)[:count]
    return np.sqrt(shared) * between + np.sqrt(1 - shared) * rng.normal(size=(count, len(FEATURES)))


def reference_of(values: Values) -> Reference:
    """As `build_engines trust` makes it. values: [n, 6]."""
    features = {}
    for name, column in zip(FEATURES, values.T, strict=True):
        edges = np.unique(np.quantile(column, RANKS))
        features[name] = {"edges": edges.tolist(), "below": [float((column < edge).mean()) for edge in edges]}
    return Reference.model_validate({"frames": len(values), "gradable_share": GRADABLE, "features": features})


def false_alarm_share(windows: int, shared: float, seed: int, shift: float = 0.0) -> float:
    """Share of windows in which an alarm came; shift: of every feature, in standard deviations."""
    rng = np.random.default_rng(seed)
    alarms = 0
    for number in range(windows):
        if number % WINDOWS_A_REFERENCE == 0:
            reference = reference_of(frames(rng, REFERENCE_FRAMES, shared))
        state, alarm = DriftState(), False
        # Whole infants are gradable or not about as alike as their other features are.
        scores = frames(rng, WINDOW, shared)[:, 0]
        gradable = scores < np.quantile(rng.normal(size=10_000), GRADABLE)
        for row, good in zip(frames(rng, WINDOW, shared) + shift, gradable, strict=True):
            values = dict(zip(FEATURES, row.tolist(), strict=True)) if good else None
            state = observe(state, Observation(bool(good), values), reference)
            alarm = alarm or bool(state.reasons)
        alarms += alarm
    return alarms / windows


def main() -> None:
    for shared in (0.0, 0.3, 0.5, 0.7):
        share = false_alarm_share(2000, shared, seed=1)
        print(f"nothing changed, {shared:.0%} of the variance between infants: {share:.2%} of windows alarm")
    for shift in (0.5, 1.0, 1.5, 2.0):
        share = false_alarm_share(300, 0.5, seed=2, shift=shift)
        print(f"all features shifted by {shift} standard deviations, 50 % between infants: {share:.0%} of windows")


if __name__ == "__main__":
    main()
