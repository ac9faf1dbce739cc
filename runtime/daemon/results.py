"""From a reading to a RESULT."""

from __future__ import annotations

import time

from runtime.daemon.connection import Job
from runtime.daemon.messages import CLASSES, Outcome, Result, ResultFlag
from runtime.daemon.model import Model
from runtime.outcome import Outcome as ReadingOutcome
from runtime.outcome import banner
from runtime.reading import Reading

SUPERSEDED = "superseded by a newer frame"


def result_of(job: Job, reading: Reading, model: Model, flags: int, queue_ms: float) -> Result:
    """The RESULT of a reading by that model. flags: what `Reading` does not say."""
    submit, timings, quality = job.submit, reading.timings_ms, reading.quality
    counts = reading.outcome in (ReadingOutcome.REFER, ReadingOutcome.NO_REFERRAL_FINDINGS)
    known = dict(reading.probabilities or {}) if counts else {}
    probabilities = [known[name] for name in model.class_names] if known else []
    if quality is not None:
        flags |= ResultFlag.GRADED | (ResultFlag.GRADABLE if quality.gradable else 0)
    if reading.late:
        flags |= ResultFlag.LATE
    if model.clinical_use:
        flags |= ResultFlag.CLINICAL_USE
    stages = (timings.quality, timings.preprocess, timings.segment, timings.classify, timings.decide, timings.total)
    return Result(
        submit.sequence,
        submit.generation,
        submit.captured_ns,
        time.monotonic_ns(),
        submit.slot,
        int(flags),
        Outcome[reading.outcome.name],
        len(probabilities),
        -1.0 if reading.vessel_fraction is None else reading.vessel_fraction,
        reading.budget_ms or 0.0,
        (queue_ms, *(-1.0 if ms is None else ms for ms in stages)),
        (*probabilities, *[0.0] * (CLASSES - len(probabilities))),
        bytes.fromhex(reading.frame.sha256 or "00" * 32),
        model.sha256,
        reading.reason,
        banner(reading.outcome, reading.reason),
    )


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
