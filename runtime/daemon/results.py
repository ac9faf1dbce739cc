"""From a reading to a RESULT."""

from __future__ import annotations

import time
from functools import lru_cache

from runtime.daemon.connection import Job
from runtime.daemon.messages import CLASSES, Outcome, Result, ResultFlag, result_bytes
from runtime.daemon.model import Model
from runtime.daemon.wire import text_bytes
from runtime.outcome import Outcome as ReadingOutcome
from runtime.outcome import banner
from runtime.reading import Reading

SUPERSEDED = "superseded by a newer frame"

_NUMBERS = {outcome.name: int(outcome) for outcome in Outcome}
_COUNTS = ("REFER", "NO_REFERRAL_FINDINGS")
_NOTHING, _NO_SHA256 = (0.0,) * CLASSES, bytes(32)
_LATE, _GRADED, _GRADABLE, _CLINICAL_USE = (
    int(flag) for flag in (ResultFlag.LATE, ResultFlag.GRADED, ResultFlag.GRADABLE, ResultFlag.CLINICAL_USE)
)


@lru_cache(64)
def _texts(name: str, reason: str) -> tuple[bytes, bytes]:
    """Of an outcome with its reason: RESULT's `reason` and `text`."""
    return text_bytes(reason, 160), text_bytes(banner(ReadingOutcome(name), reason), 240)


def result_of(job: Job, reading: Reading, model: Model, flags: int, queue_ms: float) -> bytes:
    """The RESULT of a reading by that model, as it is sent. flags: what `Reading` does not say.

    Plain numbers and one packing: its client waits for it, and a reading leaves little of this program in the caches.
    """
    submit, timings, quality = job.submit, reading.timings_ms, reading.quality
    name = reading.outcome._value_
    known = reading.probabilities if name in _COUNTS else None
    probabilities = [] if known is None else list(map(known.__getitem__, model.class_names))
    if quality is not None:
        flags |= _GRADED | _GRADABLE if quality.gradable else _GRADED
    if reading.late:
        flags |= _LATE
    if model.clinical_use:
        flags |= _CLINICAL_USE
    return result_bytes(
        job.connection.version,
        job.tag,
        submit.sequence,
        submit.generation,
        submit.captured_ns,
        time.monotonic_ns(),
        submit.slot,
        flags,
        _NUMBERS[name],
        len(probabilities),
        0,
        _ms(reading.vessel_fraction),
        reading.budget_ms or 0.0,
        queue_ms,
        _ms(timings.quality),
        _ms(timings.preprocess),
        _ms(timings.segment),
        _ms(timings.classify),
        _ms(timings.decide),
        _ms(timings.total),
        *probabilities,
        *_NOTHING[len(probabilities) :],
        bytes.fromhex(reading.frame.sha256) if reading.frame.sha256 else _NO_SHA256,
        model.sha256,
        *_texts(name, reading.reason),
    )


def _ms(value: float | None) -> float:
    return -1.0 if value is None else value


def superseded(job: Job) -> Result:
    """The RESULT of a frame that a newer one took the place of, before it was read."""
    submit, queue_ms = job.submit, (time.monotonic_ns() - job.arrived_ns) / 1e6
    return Result(
        submit.sequence,
        submit.generation,
        submit.captured_ns,
        time.monotonic_ns(),
        submit.slot,
        int(ResultFlag.SUPERSEDED),
        Outcome.NO_RESULT,
        0,
        -1.0,
        0.0,
        (queue_ms, *[-1.0] * 6),
        (0.0,) * CLASSES,
        bytes(32),
        bytes(32),
        SUPERSEDED,
        banner(ReadingOutcome.NO_RESULT, SUPERSEDED),
    )
