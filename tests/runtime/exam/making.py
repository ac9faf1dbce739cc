"""Rules, readings, infants and exams for tests of exams and journals."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from device.frame import Frame
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.machine import Captured, Closed, Exam, ReadingFacts, ReadingMade, apply
from runtime.exam.rules import ExamRules
from runtime.outcome import AID_NOTICE, Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Quality, Reading, Timings
from runtime.views import Eye, View

BUNDLE = BundleFacts("test", "1", "b" * 64, AID_NOTICE)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
RULES = ExamRules(threshold=0.5, refer_classes=("ridge",), bundle=BUNDLE, software="0")
PLACES = [(eye, view) for eye in Eye for view in View]
REFER, NRF, RETAKE, NONE = (
    Outcome.REFER,
    Outcome.NO_REFERRAL_FINDINGS,
    Outcome.RETAKE,
    Outcome.NO_RESULT,
)


def facts(outcome: Outcome, sha256: str, **changes: Any) -> ReadingFacts:
    """A reading of that outcome that is consistent in itself, unless `changes` spoil it."""
    finding = outcome in (REFER, NRF)
    honest = ReadingFacts(
        outcome=outcome,
        reason="as told",
        gradable=finding,
        late=False,
        refer_probability={REFER: 0.9, NRF: 0.1}.get(outcome),
        frame_sha256=sha256,
        bundle_sha256=BUNDLE.sha256,
    )
    return dataclasses.replace(honest, **changes)


def take(exam: Exam, eye: Eye, view: View, outcome: Outcome) -> Exam:
    """The exam with one more frame that was read as `outcome`."""
    sha256 = f"{len(exam.captures):064x}"
    exam = apply(exam, Captured(eye, view, sha256))
    return apply(exam, ReadingMade(len(exam.captures), facts(outcome, sha256)))


def exam_of(shots: Sequence[tuple[Eye, View, Outcome]], rules: ExamRules = RULES, *, close: bool = True) -> Exam:
    """An exam made of frames and their outcomes, in that order."""
    exam = Exam("X", rules)
    for eye, view, outcome in shots:
        exam = take(exam, eye, view, outcome)
    return apply(exam, Closed()) if close else exam


def infant(**changes: Any) -> Infant:
    """An infant that does not exist."""
    made = Infant("H-1", "Doe^Baby", datetime.now(timezone.utc) - timedelta(days=40), Weeks.parse("27w3d"), 980)
    return dataclasses.replace(made, **changes)


def frame(number: int, side: int = 64) -> Frame:
    """A small frame unlike any other."""
    pixels = np.random.default_rng(number).integers(0, 255, (side, side, 3), np.uint8)
    return Frame(pixels, sequence=number, source=f"test:{number}")


def reading(of: Frame | None, outcome: Outcome = NRF, *, vessels: bool = True) -> Reading:
    """A reading of that frame by the tests' bundle."""
    known = (
        FrameFacts("lost", 0, NOW)
        if of is None
        else FrameFacts(of.source, of.sequence, of.captured_at, of.sha256, of.width, of.height)
    )
    ridge = {REFER: 0.9, NRF: 0.1}.get(outcome)
    return Reading(
        frame=known,
        outcome=outcome,
        reason=f"as told: {outcome.value}",
        bundle=BUNDLE,
        engine=EngineFacts("fake", "fp32", "none"),
        probabilities=None if ridge is None else {"none": 1 - ridge, "ridge": ridge},
        quality=Quality(outcome in (REFER, NRF), () if ridge else ("blurred",), {"detail": 3.0}),
        vessel_fraction=0.1,
        timings_ms=Timings(total=10.0),
        vessels=np.full((256, 256), 7, np.uint8) if vessels and ridge else None,
    )


def journal_exam(
    journal: Journal, outcomes: Sequence[Outcome] = (NRF,) * 10, *, close: bool = True, rules: ExamRules = RULES
) -> str:
    """One exam in a journal: a frame for each place in turn; its id."""
    exam_id = journal.begin_exam(infant(), rules, operator="anna", station="cart 1")
    for number, outcome in enumerate(outcomes, 1):
        eye, view = PLACES[(number - 1) % len(PLACES)]
        shot = frame(zlib.crc32(f"{exam_id} {number}".encode()))
        journal.add_reading(
            exam_id, journal.add_capture(exam_id, eye, view, shot, operator="anna"), reading(shot, outcome)
        )
    if close:
        journal.close_exam(exam_id, operator="anna")
    return exam_id
