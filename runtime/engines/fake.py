"""An engine without networks, for tests and demonstrations of what is built around one. Public API.

It keeps the contract of `Engine`, and can be told to fail in each way that a real one can.
"""

from __future__ import annotations

import time
from enum import Enum
from functools import lru_cache

import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import DEMONSTRATION, open_bundle
from runtime.engines.base import Engine, Inference
from runtime.errors import EngineError
from runtime.familiar import Familiar, open_familiar
from runtime.preprocess import SIDE
from runtime.reading import EngineFacts


@lru_cache(maxsize=1)
def _shipped() -> Familiar | None:
    return open_familiar(open_bundle(DEMONSTRATION))


class Fault(Enum):
    """A way to fail on purpose."""

    SEGMENT_ERROR = "segment raises"
    CLASSIFY_ERROR = "classify raises"
    CRASH = "an error that no one foresaw"
    NAN_VESSELS = "not-a-number in the vessel map"
    NAN_PROBABILITIES = "not-a-number in the probabilities"
    INFINITE_PROBABILITIES = "infinite probabilities"
    NEGATIVE_PROBABILITIES = "probabilities below zero"
    UNNORMALISED = "probabilities that do not add up to one"
    WRONG_SHAPE = "a vessel map of another shape"


class FakeEngine(Engine):
    """Answers with given probabilities and takes the dark parts of green for vessels.

    probabilities: of each class, adding up to 1. knows: a bundle's test of familiarity, in whose middle every frame
    then lies (`open_familiar(bundle)`); without it, that of the bundle that ships. `fault` and the two delays may be
    changed at any time; a delay under way obeys.
    """

    def __init__(self, probabilities: tuple[float, ...] = (0.9, 0.1), knows: Familiar | None = None) -> None:
        self.facts = EngineFacts("fake", "fp32", "none")
        self.class_count = len(probabilities)
        self.probabilities = probabilities
        self.fault: Fault | None = None
        self.segment_delay_ms = 0.0
        self.classify_delay_ms = 0.0
        self.frames = 0
        """How many frames it was asked to infer."""
        self.closed = False
        known = knows or _shipped()
        self.encodes = known is not None
        self._encoded = None if known is None else np.expm1(known.mean)

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        self.frames += 1
        start = time.perf_counter()
        self._stage("segment", Fault.SEGMENT_ERROR, budget.segment, deadline)
        middle = time.perf_counter()
        self._stage("classify", Fault.CLASSIFY_ERROR, budget.classify, deadline)
        end = time.perf_counter()
        vessels: FloatArray = np.clip(1 - image[0, ..., 1] / np.float32(128), 0, 1)
        probabilities = np.asarray(self.probabilities, np.float32)
        if self.fault is Fault.NAN_VESSELS:
            vessels[SIDE // 2, SIDE // 2] = np.nan
        elif self.fault is Fault.WRONG_SHAPE:
            vessels = vessels[:-1]
        elif self.fault is Fault.NAN_PROBABILITIES:
            probabilities = np.full_like(probabilities, np.nan)
        elif self.fault is Fault.INFINITE_PROBABILITIES:
            probabilities[0] = np.inf
        elif self.fault is Fault.NEGATIVE_PROBABILITIES:
            probabilities = np.asarray([1.5, -0.5, *probabilities[2:] * 0], np.float32)
        elif self.fault is Fault.UNNORMALISED:
            probabilities = probabilities * 0.5
        return Inference(
            vessels,
            probabilities,
            np.log(np.abs(probabilities) + np.float32(1e-9)),
            (middle - start) * 1e3,
            (end - middle) * 1e3,
            encoded=self._encoded,
        )

    def _stage(self, stage: str, error: Fault, allowed_ms: float | None, deadline: Deadline) -> None:
        limit = Deadline.after_ms(allowed_ms).sooner(deadline)
        limit.check(stage)
        if self.fault is error:
            raise EngineError(f"fake: {stage} failed, as it was told to")
        if self.fault is Fault.CRASH:
            raise RuntimeError("fake: crashed, as it was told to")
        began = time.perf_counter()
        while (left_s := getattr(self, f"{stage}_delay_ms") / 1e3 - (time.perf_counter() - began)) > 0:
            time.sleep(min(left_s, 0.01))
        limit.check(stage)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
