"""From the events of an exam to its state: pure, so that verification can make every derived row again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runtime.exam.errors import ExamRefused
from runtime.exam.journal.chain import EventRow
from runtime.exam.journal.records import CaptureRecord, Change, ExamRecord, ExamSummary
from runtime.exam.machine import Captured, Closed, Event, Exam, Phase, ReadingFacts, ReadingMade, Relabelled, apply
from runtime.exam.result import capture_outcome, exam_result
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.views import Eye, View, place

OPENED, CAPTURED, READ, RELABELLED = "opened", "captured", "read", "relabelled"
AMENDED, DOCUMENTED, CLOSED, RETIRED = "amended", "documented", "closed", "retired"
_AMENDED_WORDS = {"patient": "infant's fields", "order": "order"}
SUMMARY_COLUMNS = (
    "exam, phase, outcome, reason, place, captures, pending, opened_at, closed_at, operator, station, changed_seq"
)


@dataclass(frozen=True)
class Folded:
    """An exam as its events tell it."""

    exam: Exam
    opened: EventRow
    station: str
    patient: Mapping[str, str]
    """Encrypted."""
    order: Mapping[str, str] | None = None
    """Encrypted; None when the exam was not ordered."""
    facts: tuple[Mapping[str, Any], ...] = ()
    """The `captured` body of each capture."""
    readings: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """The `read` body by capture number."""
    changes: tuple[Change, ...] = ()
    documented: tuple[Mapping[str, Any], ...] = ()
    closed_at: str | None = None
    last_seq: int = 0


def begin(row: EventRow) -> Folded:
    """The state after the `opened` event."""
    body = json.loads(row.body or "{}")
    exam = Exam(str(row.exam), ExamRules.from_dict(body["rules"]))
    return Folded(exam, row, body["station"], body["patient"], body.get("order"), last_seq=row.seq)


def step(folded: Folded, row: EventRow) -> Folded:
    """The state after one more event. Raises `ExamRefused` when the rules forbid it."""
    body = json.loads(row.body or "{}")
    event = machine_event(row.kind, body, folded.exam.rules)
    after = replace(folded, last_seq=row.seq)
    if event is not None:
        after = replace(after, exam=apply(folded.exam, event))
    if row.kind == CAPTURED:
        if body["number"] != len(after.exam.captures):
            raise ExamRefused(f"event {row.seq}: capture {body['number']} does not follow the one before")
        return replace(after, facts=(*folded.facts, body))
    if row.kind == READ:
        return replace(after, readings={**folded.readings, body["capture"]: body})
    if row.kind == CLOSED:
        return replace(after, closed_at=row.at)
    if row.kind == RELABELLED:
        before = folded.exam.capture(body["capture"])
        to = place(Eye(body["eye"]), View(body["view"]))
        what = f"capture {before.number} moved from {place(before.eye, before.view)} to {to}"
        return replace(after, changes=(*folded.changes, Change(row.seq, _time(row.at), row.who, what, body["reason"])))
    if row.kind == AMENDED:
        what = " and ".join(words for part, words in _AMENDED_WORDS.items() if part in body)
        change = Change(row.seq, _time(row.at), row.who, f"{what} corrected", body["reason"])
        patient, order = body.get("patient", folded.patient), body.get("order", folded.order)
        return replace(after, patient=patient, order=order, changes=(*folded.changes, change))
    if row.kind == DOCUMENTED:
        return replace(after, documented=(*folded.documented, {**body, "who": row.who, "at": row.at}))
    raise ExamRefused(f"event {row.seq}: kind {row.kind!r} is not known")


def machine_event(kind: str, body: Mapping[str, Any], rules: ExamRules) -> Event | None:
    """The event of the state machine, None for kinds that it does not know."""
    if kind == CAPTURED:
        return Captured(Eye(body["eye"]), View(body["view"]), body["frame_sha256"])
    if kind == READ:
        return ReadingMade(body["capture"], ReadingFacts.of(body["reading"], rules))
    if kind == RELABELLED:
        return Relabelled(body["capture"], Eye(body["eye"]), View(body["view"]), body["reason"])
    return Closed() if kind == CLOSED else None


def fold(rows: Sequence[EventRow]) -> Folded:
    """The state after all events of one exam that is not retired."""
    folded = begin(rows[0])
    for row in rows[1:]:
        folded = step(folded, row)
    return folded


def summary_row(folded: Folded) -> tuple[Any, ...]:
    """The row of the table `exams`, in the order of `SUMMARY_COLUMNS`."""
    exam, infant = folded.exam, exam_result(folded.exam).infant
    return (
        exam.exam_id,
        exam.phase.value,
        infant.outcome.value,
        infant.reason,
        infant.where,
        len(exam.captures),
        len(exam.pending),
        folded.opened.at,
        folded.closed_at,
        folded.opened.who,
        folded.station,
        folded.last_seq,
    )


def retired_row(event: EventRow) -> tuple[Any, ...]:
    """The row of the table `exams` after the `retired` event, which holds the row before."""
    row = json.loads(event.body or "{}")["summary"]
    return (row[0], Phase.RETIRED.value, *row[2:-1], event.seq)


def summary_of(row: Sequence[Any]) -> ExamSummary:
    """From a row of the table `exams`."""
    exam, phase, outcome, reason, where, captures, pending, opened, closed, operator, station, changed = row
    return ExamSummary(
        exam_id=exam,
        phase=Phase(phase),
        outcome=Outcome(outcome),
        reason=reason,
        where=where,
        captures=captures,
        pending=pending,
        opened_at=_time(opened),
        closed_at=None if closed is None else _time(closed),
        operator=operator,
        station=station,
        changed_seq=changed,
    )


def record_of(folded: Folded) -> ExamRecord:
    """The exam for its readers."""
    captures = tuple(_capture(folded, number) for number in range(1, len(folded.facts) + 1))
    return ExamRecord(
        summary_of(summary_row(folded)),
        folded.exam.rules,
        captures,
        folded.changes,
        folded.documented,
        folded.exam,
        exam_result(folded.exam),
    )


def _capture(folded: Folded, number: int) -> CaptureRecord:
    capture, facts = folded.exam.capture(number), folded.facts[number - 1]
    outcome, reason = capture_outcome(folded.exam, capture)
    return CaptureRecord(
        number=number,
        eye=capture.eye,
        view=capture.view,
        captured_at=_time(facts["captured_at"]),
        source=facts["source"],
        sequence=facts["sequence"],
        frame_sha256=facts["frame_sha256"],
        image_sha256=facts["image_sha256"],
        width=facts["width"],
        height=facts["height"],
        reading=folded.readings[number]["reading"] if number in folded.readings else None,
        outcome=outcome,
        reason=reason,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
