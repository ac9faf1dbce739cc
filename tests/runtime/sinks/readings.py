"""Readings made by hand, for tests of what is done with them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np

from device.frame import Frame
from runtime.outcome import Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Reading, Timings
from tests.pictures import retina

NOTICE = "Screening aid; not a medical device. Demonstration bundle: not for clinical use."
BUNDLE = BundleFacts("demo", "1.0", "ab" * 32, NOTICE)
ENGINE = EngineFacts("fake", "fp32", "none")


def make_reading(
    source: str = "a.jpg",
    sequence: int = 0,
    outcome: Outcome = Outcome.NO_REFERRAL_FINDINGS,
    reason: str = "",
    total_ms: float | None = 20.0,
    **more: Any,
) -> Reading:
    facts = FrameFacts(source, sequence, datetime.now(timezone.utc), "cd" * 32, 320, 240)
    return Reading(facts, outcome, reason, BUNDLE, ENGINE, timings_ms=Timings(total=total_ms), **more)


def make_frame(source: str = "a.jpg", sequence: int = 0, width: int = 320, height: int = 240) -> Frame:
    return Frame(retina(0, width, height), sequence, source)


def vessel_cross() -> np.ndarray:
    """A vessel map with one vertical vessel through the middle."""
    vessels = np.zeros((256, 256), np.uint8)
    vessels[:, 120:136] = 255
    return vessels
