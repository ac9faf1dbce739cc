"""The exam as a pure state machine: a state and an event give the next state, or a refusal; no clock, no disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, TypeAlias

from runtime.decide import stated_refer_probability
from runtime.exam.errors import ExamRefused
from runtime.exam.naming import same_name, says_nothing
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.views import Eye, View, place

MOST_CAPTURES = 500
"""Frames that one exam may hold; more is a fault of a program, not an exam."""


class Phase(str, Enum):
    """Where an exam stands."""

    OPEN = "open"
    CLOSED = "closed"
    VOIDED = "voided"
    """A person said that it counts for nothing; what was sent of it is rejected in the archive."""
    RETIRED = "retired"
    """Its images, readings and patient's fields were removed after the retention time."""


class StopReason(str, Enum):
    """Why an exam was ended before every view was taken."""

    UNSTABLE = "unstable"
    """The infant."""
    REFUSED = "refused"
    """By parents or staff."""
    EQUIPMENT = "equipment"

    @property
    def words(self) -> str:
        """As people say it."""
        return "infant unstable" if self is StopReason.UNSTABLE else self.value

    @classmethod
    def of(cls, text: str) -> StopReason:
        """From its words or from how the journal writes it. Raises `ValueError`."""
        found = next((why for why in cls if text in (why.words, why.value)), None)
        if found is None:
            raise ValueError(f"got {text[:40]!r}, expected {', '.join(repr(why.words) for why in cls)}")
        return found


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
        gradable = isinstance(quality, Mapping) and quality.get("gradable") is True and not quality.get("reasons")
        return cls(
            outcome=Outcome(reading["outcome"]),
            reason=str(reading["reason"]),
            gradable=gradable and not _failed_its_self_test(reading),
            late=reading.get("late") is not False or _over_budget(reading),
            refer_probability=stated_refer_probability(probabilities, rules.refer_classes),
            frame_sha256=reading["frame"].get("sha256"),
            bundle_sha256=reading["bundle"]["sha256"],
        )


def _over_budget(reading: Mapping[str, Any]) -> bool:
    """Whether it took longer than it had, by its own figures."""
    timings, budget_ms = reading.get("timings_ms"), reading.get("budget_ms")
    if budget_ms is None:
        return False
    return not isinstance(timings, Mapping) or not _at_most(timings.get("total"), budget_ms)


def _at_most(value: object, limit: object) -> bool:
    return isinstance(value, (int, float)) and isinstance(limit, (int, float)) and value <= limit


def _failed_its_self_test(reading: Mapping[str, Any]) -> bool:
    trust = reading.get("trust")
    test = trust.get("self_test") if isinstance(trust, Mapping) else None
    return isinstance(test, Mapping) and test.get("state") == "failed"


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
    like: tuple[int, ...] = ()
    """Numbers of captures whose pictures show nearly the same place, as measured when this one was read."""
    excluded: str = ""
    """Why a person took it out of the exam; empty while it counts."""
    excluded_by: str = ""
    excluded_too: str = ""
    """Why a second person took it out; empty while nobody did."""
    out_by_two: bool = False
    """Whether two persons had it excluded, and no two have counted it again since."""
    included: str = ""
    """Why one person alone counts it again; empty where nobody does, or a second person agreed."""
    included_by: str = ""
    confirmed: str = ""
    """Why a person says that it shows its view although it is like another; empty when nobody did."""
    confirmed_by: str = ""
    confirmed_too: str = ""
    """Why a second person says so; empty while nobody did."""
    moved_from: tuple[Eye, View] | None = None
    """Where it was before one person alone moved it; None where nobody did, or a second person agreed."""
    moved_by: str = ""


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
    like: tuple[int, ...] = ()
    """Captures that show nearly the same place."""


@dataclass(frozen=True)
class Relabelled:
    """A person says that a frame shows another eye or view than was set, and why; or a second one says the same."""

    capture: int
    eye: Eye
    view: View
    reason: str
    who: str = ""


@dataclass(frozen=True)
class Excluded:
    """A person takes a frame out of the exam, and says why; or a second one does so, too."""

    capture: int
    reason: str
    who: str = ""


@dataclass(frozen=True)
class Included:
    """A person takes back that a frame was excluded, and says why; or a second one does so, too."""

    capture: int
    reason: str
    who: str = ""


@dataclass(frozen=True)
class ViewConfirmed:
    """A person says that a frame shows its view, although its picture is like another view's, and why; or a second one
    says so, too."""

    capture: int
    reason: str
    who: str = ""


@dataclass(frozen=True)
class Closed:
    """No more frames are taken."""


@dataclass(frozen=True)
class Stopped:
    """The exam ends before every view was taken."""

    why: StopReason


@dataclass(frozen=True)
class Voided:
    """The exam counts for nothing, and why; or a second person says so, too."""

    reason: str
    who: str = ""


Event: TypeAlias = Captured | ReadingMade | Relabelled | Excluded | Included | ViewConfirmed | Closed | Stopped | Voided


@dataclass(frozen=True)
class Exam:
    """The state. `exam_verdict` and its kin in `result` say what it amounts to."""

    exam_id: str
    rules: ExamRules
    captures: tuple[Capture, ...] = ()
    phase: Phase = Phase.OPEN
    stopped: StopReason | None = None
    """Why it was ended early; None when it was not."""
    voided: str = ""
    """Why a person says that it counts for nothing; `result.settled` says whether one person's word is enough."""
    voided_by: str = ""
    voided_too: str = ""
    """Why a second person says so; empty while nobody did."""

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

    def like(self, capture: Capture) -> Capture | None:
        """The earliest capture of another place that counts and that this one is like; None when there is none."""
        for other in self.captures[: capture.number - 1]:
            if other.excluded or (other.eye, other.view) == (capture.eye, capture.view):
                continue
            if other.reading is None or not other.reading.gradable:
                continue
            if other.number in capture.like or capture.number in other.like:
                return other
        return None

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
    if isinstance(event, Voided):
        return _voided(exam, event)
    if isinstance(event, (Closed, Stopped)):
        if exam.phase is not Phase.OPEN:
            raise ExamRefused(f"exam {exam.exam_id}: it is {exam.phase.value} already")
        return replace(exam, phase=Phase.CLOSED, stopped=event.why if isinstance(event, Stopped) else None)
    return _changed(exam, event)


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
    like = tuple(sorted({n for n in event.like if n != capture.number and 1 <= n <= len(exam.captures)}))
    return _with(exam, replace(capture, reading=event.reading, like=like))


def _voided(exam: Exam, event: Voided) -> Exam:
    if exam.phase in (Phase.VOIDED, Phase.RETIRED):
        raise ExamRefused(f"exam {exam.exam_id}: it is {exam.phase.value} already")
    _need_reason(exam, "voiding it", event.reason)
    if not exam.voided:
        return replace(exam, phase=Phase.VOIDED, voided=event.reason.strip(), voided_by=event.who)
    _need_second(f"exam {exam.exam_id}: it is voided already", not exam.pending, exam.voided_by, event.who)
    return replace(exam, phase=Phase.VOIDED, voided_too=event.reason.strip())


def _changed(exam: Exam, event: Relabelled | Excluded | Included | ViewConfirmed) -> Exam:
    """What a person says of one frame, with a reason."""
    capture = exam.capture(event.capture)
    if exam.phase in (Phase.VOIDED, Phase.RETIRED):
        raise ExamRefused(f"exam {exam.exam_id}: it is {exam.phase.value}, nothing of it can be changed")
    if isinstance(event, Relabelled):
        return _with(exam, _relabelled(exam, capture, event))
    if isinstance(event, ViewConfirmed):
        return _with(exam, _confirmed(exam, capture, event))
    if isinstance(event, Excluded):
        return _with(exam, _excluded(exam, capture, event))
    return _with(exam, _included(exam, capture, event))


def _included(exam: Exam, capture: Capture, event: Included) -> Capture:
    _need_reason(exam, f"including capture {capture.number}", event.reason)
    already = f"exam {exam.exam_id}: capture {capture.number} is not excluded already"
    if capture.excluded:
        counted = replace(capture, excluded="", excluded_by="", excluded_too="")
        if exam.rules.refer_includers == 1:
            return counted
        return replace(counted, included=event.reason.strip(), included_by=event.who)
    if not capture.included:
        raise ExamRefused(already)
    _need_second(already, capture.reading is not None, capture.included_by, event.who)
    return replace(capture, included="", included_by="", out_by_two=False)


def _excluded(exam: Exam, capture: Capture, event: Excluded) -> Capture:
    which = f"exam {exam.exam_id}: capture {capture.number}"
    _need_reason(exam, f"excluding capture {capture.number}", event.reason)
    if not capture.excluded:
        return replace(capture, excluded=event.reason.strip(), excluded_by=event.who, included="", included_by="")
    if capture.excluded_too or exam.rules.refer_excluders == 1:
        raise ExamRefused(f"{which} is excluded already")
    _need_second(f"{which} is excluded already", capture.reading is not None, capture.excluded_by, event.who)
    return replace(capture, excluded_too=event.reason.strip(), out_by_two=exam.rules.refer_includers > 1)


def _relabelled(exam: Exam, capture: Capture, event: Relabelled) -> Capture:
    to = place(event.eye, event.view)
    _need_reason(exam, f"moving capture {capture.number} to {to}", event.reason)
    at, wanted = (capture.eye, capture.view), (event.eye, event.view)
    if at == wanted:
        already = f"exam {exam.exam_id}: capture {capture.number} is {to} already"
        if capture.moved_from is None or exam.rules.refer_changers == 1:
            raise ExamRefused(already)
        _need_second(already, capture.reading is not None, capture.moved_by, event.who)
        return replace(capture, moved_from=None, moved_by="")
    before = capture.moved_from or at
    moved = replace(capture, eye=event.eye, view=event.view, moved_from=before, moved_by=event.who)
    if before == wanted:  # where it was before anybody said otherwise
        moved = replace(moved, moved_from=None, moved_by="")
    return replace(moved, confirmed="", confirmed_by="", confirmed_too="")  # who confirmed it spoke of another view


def _confirmed(exam: Exam, capture: Capture, event: ViewConfirmed) -> Capture:
    where = place(capture.eye, capture.view)
    _need_reason(exam, f"confirming that capture {capture.number} shows {where}", event.reason)
    if exam.like(capture) is None:
        raise ExamRefused(f"exam {exam.exam_id}: capture {capture.number} is like no other view; nothing to confirm")
    if not capture.confirmed:
        return replace(capture, confirmed=event.reason.strip(), confirmed_by=event.who)
    already = f"exam {exam.exam_id}: capture {capture.number} is confirmed as {where} already"
    if capture.confirmed_too or exam.rules.refer_changers == 1:
        raise ExamRefused(already)
    _need_second(already, capture.reading is not None, capture.confirmed_by, event.who)
    return replace(capture, confirmed_too=event.reason.strip())


def _need_second(already: str, read: bool, first: str, who: str) -> None:
    """Raise `ExamRefused` unless that is another person, who can know what it was read as."""
    if first == who or same_name(first, who):
        raise ExamRefused(f"{already}, by the same person; a second one has to look at it")
    if not read:
        raise ExamRefused(f"{already}; a second person looks at it once its reading is finished")


def _need_reason(exam: Exam, what: str, reason: str) -> None:
    if says_nothing(reason):
        raise ExamRefused(f"exam {exam.exam_id}: {what} needs a reason")


def _with(exam: Exam, capture: Capture) -> Exam:
    before, after = exam.captures[: capture.number - 1], exam.captures[capture.number :]
    return replace(exam, captures=(*before, capture, *after))
