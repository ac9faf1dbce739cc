"""The exam as a pure state machine: a state and an event give the next state, or a refusal; no clock, no disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, TypeAlias

from runtime.exam.errors import ExamRefused
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.views import Eye, View, place

MOST_CAPTURES = 500
"""Frames that one exam may hold; more is a fault of a program, not an exam."""


class Phase(str, Enum):
    """Where an exam stands."""

    OPEN = "open"
    CLOSED = "closed"
    RETIRED = "retired"
    """Its images, readings and patient's fields were removed after the retention time."""


@dataclass(frozen=True)
class ReadingFacts:
    """What of a reading (`rop.reading/1`) decides an exam."""

    outcome: Outcome
    reason: str
    gradable: bool
    late: bool
    refer_probability: float | None
    """Sum over the refer classes; None when the reading carries no probabilities."""
    frame_sha256: str | None
    bundle_sha256: str

    @classmethod
    def of(cls, reading: Mapping[str, Any], rules: ExamRules) -> ReadingFacts:
        """From the JSON object of a reading. Whatever is missing or malformed in it can only make it worse."""
        probabilities, quality = reading.get("probabilities"), reading.get("quality")
        return cls(
            outcome=Outcome(reading["outcome"]),
            reason=str(reading["reason"]),
            gradable=isinstance(quality, Mapping) and quality.get("gradable") is True,
            late=reading.get("late") is not False,
            refer_probability=_refer_probability(probabilities, rules),
            frame_sha256=reading["frame"].get("sha256"),
            bundle_sha256=reading["bundle"]["sha256"],
        )


def _refer_probability(probabilities: object, rules: ExamRules) -> float | None:
    if not isinstance(probabilities, Mapping):
        return None
    values = [probabilities.get(name) for name in rules.refer_classes]
    if not all(isinstance(value, (int, float)) for value in values):
        return None
    total = float(sum(value for value in values if value is not None))
    return total if math.isfinite(total) else None


@dataclass(frozen=True)
class Capture:
    """One frame that was accepted into the exam."""

    number: int
    """From 1, in the order of capture."""
    eye: Eye
    view: View
    frame_sha256: str | None
    """None when the camera gave no pixels."""
    reading: ReadingFacts | None = None
    """None until it is finished."""


@dataclass(frozen=True)
class Captured:
    """A frame was taken while this exam was open; eye and view were set by the operator before."""

    eye: Eye
    view: View
    frame_sha256: str | None


@dataclass(frozen=True)
class ReadingMade:
    """The reading of a captured frame is there, however late."""

    capture: int
    reading: ReadingFacts


@dataclass(frozen=True)
class Relabelled:
    """A person says that a frame shows another eye or view than was set, and why."""

    capture: int
    eye: Eye
    view: View
    reason: str


@dataclass(frozen=True)
class Closed:
    """No more frames are taken."""


Event: TypeAlias = Captured | ReadingMade | Relabelled | Closed


@dataclass(frozen=True)
class Exam:
    """The state. `exam_verdict` and its kin in `result` say what it amounts to."""

    exam_id: str
    rules: ExamRules
    captures: tuple[Capture, ...] = ()
    phase: Phase = Phase.OPEN

    @property
    def pending(self) -> tuple[Capture, ...]:
        """Captures whose reading is not finished."""
        return tuple(capture for capture in self.captures if capture.reading is None)

    @cached_property
    def first_captures(self) -> Mapping[str, int]:
        """By a frame's SHA-256, the number of the capture that showed it first."""
        seen: dict[str, int] = {}
        for capture in self.captures:
            if capture.frame_sha256 is not None:
                seen.setdefault(capture.frame_sha256, capture.number)
        return seen

    def capture(self, number: int) -> Capture:
        """The capture of that number; raises `ExamRefused`."""
        if not 1 <= number <= len(self.captures):
            raise ExamRefused(f"exam {self.exam_id}: there is no capture {number}, it has {len(self.captures)}")
        return self.captures[number - 1]


def apply(exam: Exam, event: Event) -> Exam:
    """The next state. Raises `ExamRefused` when the event cannot be; the state is then what it was."""
    if isinstance(event, Captured):
        return _captured(exam, event)
    if isinstance(event, ReadingMade):
        return _read(exam, event)
    if isinstance(event, Relabelled):
        return _relabelled(exam, event)
    if exam.phase is not Phase.OPEN:
        raise ExamRefused(f"exam {exam.exam_id}: it is {exam.phase.value} already")
    return replace(exam, phase=Phase.CLOSED)


def _captured(exam: Exam, event: Captured) -> Exam:
    if exam.phase is not Phase.OPEN:
        raise ExamRefused(
            f"exam {exam.exam_id}: it is {exam.phase.value}, no frame can be added; open an exam and take it again"
        )
    if not isinstance(event.eye, Eye) or not isinstance(event.view, View):
        raise ExamRefused(f"exam {exam.exam_id}: eye and view must be set before a frame is taken; set them")
    if len(exam.captures) >= MOST_CAPTURES:
        raise ExamRefused(f"exam {exam.exam_id}: it holds {MOST_CAPTURES} frames, the most there can be; close it")
    capture = Capture(len(exam.captures) + 1, event.eye, event.view, event.frame_sha256)
    return replace(exam, captures=(*exam.captures, capture))


def _read(exam: Exam, event: ReadingMade) -> Exam:
    # Also after closing: a frame belongs to the exam that was open at its capture, whenever its reading comes.
    capture = exam.capture(event.capture)
    if exam.phase is Phase.RETIRED:
        raise ExamRefused(f"exam {exam.exam_id}: it is retired, no reading can be added")
    if capture.reading is not None:
        raise ExamRefused(f"exam {exam.exam_id}: capture {capture.number} has its reading already")
    return _with(exam, replace(capture, reading=event.reading))


def _relabelled(exam: Exam, event: Relabelled) -> Exam:
    capture = exam.capture(event.capture)
    if exam.phase is Phase.RETIRED:
        raise ExamRefused(f"exam {exam.exam_id}: it is retired, nothing of it can be changed")
    if not event.reason.strip():
        raise ExamRefused(
            f"exam {exam.exam_id}: moving capture {capture.number} to {place(event.eye, event.view)} needs a reason"
        )
    if (capture.eye, capture.view) == (event.eye, event.view):
        raise ExamRefused(f"exam {exam.exam_id}: capture {capture.number} is {place(event.eye, event.view)} already")
    return _with(exam, replace(capture, eye=event.eye, view=event.view))


def _with(exam: Exam, capture: Capture) -> Exam:
    before, after = exam.captures[: capture.number - 1], exam.captures[capture.number :]
    return replace(exam, captures=(*before, capture, *after))
