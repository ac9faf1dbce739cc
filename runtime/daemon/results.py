"""From a reading to a RESULT."""

from __future__ import annotations

from runtime.daemon.clock import now_ns
from runtime.daemon.connection import Job
from runtime.daemon.messages import CLASSES, Result, ResultFlag, WireOutcome
from runtime.daemon.model import Model
from runtime.outcome import Outcome as ReadingOutcome
from runtime.outcome import picture_banner
from runtime.reading import Reading

FINDINGS = (ReadingOutcome.REFER, ReadingOutcome.NO_REFERRAL_FINDINGS)
_NOTHING, _NO_SHA256 = (0.0,) * CLASSES, bytes(32)
_LATE, _GRADED, _GRADABLE, _CLINICAL_USE = (
    int(flag) for flag in (ResultFlag.LATE, ResultFlag.GRADED, ResultFlag.GRADABLE, ResultFlag.CLINICAL_USE)
)


def result_of(job: Job, reading: Reading, model: Model, flags: int, queue_ms: float) -> Result:
    """The RESULT of a reading by that model. flags: what `Reading` does not say."""
    submit, timings, quality = job.submit, reading.timings_ms, reading.quality
    known = reading.probabilities if reading.outcome in FINDINGS else None
    probabilities = () if known is None else tuple(known[name] for name in model.class_names)
    if quality is not None:
        flags |= _GRADED | _GRADABLE if quality.gradable else _GRADED
    if reading.late:
        flags |= _LATE
    if model.clinical_use:
        flags |= _CLINICAL_USE
    stages = (timings.quality, timings.preprocess, timings.segment, timings.classify, timings.decide, timings.total)
    return Result(
        submit.sequence,
        submit.generation,
        submit.captured_ns,
        now_ns(),
        submit.slot,
        flags,
        WireOutcome[reading.outcome.name],
        len(probabilities),
        _ms(reading.vessel_fraction),
        reading.budget_ms or 0.0,
        (queue_ms, *map(_ms, stages)),
        (*probabilities, *_NOTHING[len(probabilities) :]),
        bytes.fromhex(reading.frame.sha256) if reading.frame.sha256 else _NO_SHA256,
        model.sha256,
        reading.reason,
        picture_banner(reading.outcome, reading.reason),
    )


def _ms(value: float | None) -> float:
    return -1.0 if value is None else value


def unread(job: Job, flag: ResultFlag, reason: str, frame_sha256: bytes = _NO_SHA256) -> Result:
    """The RESULT of a frame that is to have none: superseded or cancelled."""
    submit, now = job.submit, now_ns()
    return Result(
        submit.sequence,
        submit.generation,
        submit.captured_ns,
        now,
        submit.slot,
        int(flag),
        WireOutcome.NO_RESULT,
        0,
        -1.0,
        0.0,
        ((now - job.arrived_ns) / 1e6, *[-1.0] * 6),
        _NOTHING,
        frame_sha256,
        _NO_SHA256,
        reason,
        picture_banner(ReadingOutcome.NO_RESULT, reason),
    )
