"""From the events of an exam to its state: pure, so that verification can make every derived row again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from runtime.exam.errors import ExamRefused
from runtime.exam.journal import chain
from runtime.exam.journal.chain import EventRow, Strand
from runtime.exam.journal.records import CaptureRecord, Change, ExamRecord, ExamSummary
from runtime.exam.machine import (
    Captured,
    Closed,
    Event,
    Exam,
    Excluded,
    Included,
    Phase,
    ReadingFacts,
    ReadingMade,
    Relabelled,
    Stopped,
    StopReason,
    ViewConfirmed,
    Voided,
    apply,
)
from runtime.exam.result import capture_outcome, exam_result, settled
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.views import Eye, View, place

OPENED, CAPTURED, READ, RELABELLED = "opened", "captured", "read", "relabelled"
AMENDED, DOCUMENTED, CLOSED, RETIRED = "amended", "documented", "closed", chain.RETIRED
EXCLUDED, INCLUDED, CONFIRMED = "excluded", "included", "confirmed view"
STOPPED, VOIDED, EXPOSED = "stopped", "voided", "exposed"
BOARD_TOTAL = "board total"
REJECTED = "rejected in archive"
"""Of the journal, not of the exam: it changes nothing that is sent, and stays when the exam is retired."""
TYPED = (RELABELLED, AMENDED, DOCUMENTED, EXCLUDED, INCLUDED, CONFIRMED, STOPPED, VOIDED)
"""Kinds that hold what a person typed; nothing of it is removed before the archive has it."""
_AMENDED_WORDS = {"patient": "infant's fields", "order": "order"}
SUMMARY_COLUMNS = (
    "exam, phase, outcome, reason, place, captures, pending, opened_at, closed_at, operator, station, changed_seq, "
    "opened_seq, typed_seq, utc_offset_s"
)
_BEFORE_4 = 12
"""Columns of a line that a journal before version 4 kept in a `retired` event."""


@dataclass(frozen=True)
class Folded:
    """An exam as its events tell it."""

    exam: Exam
    opened: EventRow
    station: str
    patient: Mapping[str, Any]
    """`Infant.to_dict`."""
    order: Mapping[str, Any] | None = None
    """`Order.to_dict`; None when the exam was not ordered."""
    facts: tuple[Mapping[str, Any], ...] = ()
    """The `captured` body of each capture."""
    readings: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """The `read` body by capture number."""
    changes: tuple[Change, ...] = ()
    documented: tuple[Mapping[str, Any], ...] = ()
    closed_at: str | None = None
    last_seq: int = 0
    last_hash: str = ""
    """Of the event of that number."""
    typed_seq: int = 0
    """Of the newest event that a person typed something into, 0 when none was."""
    utc_offset_s: int | None = None
    """Seconds that the clock on the wall was ahead of UTC when the exam was opened."""
    exposures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By run, the last `exposed` body of it."""
    accounts: frozenset[str] = frozenset()
    """Whose account of light the exposures are on: of the infant as it was and as it is."""
    strand: Strand = field(default_factory=Strand)
    """Of all of its events."""


def begin(row: EventRow, utc_offset_s: int | None = None) -> Folded:
    """The state after the `opened` event. utc_offset_s: of an exam that was opened before version 4."""
    body = row.content
    exam = Exam(str(row.exam), ExamRules.from_dict(body["rules"]))
    offset = body.get("utc_offset_s", utc_offset_s)
    return Folded(
        exam,
        row,
        body["station"],
        body["patient"],
        body.get("order"),
        last_seq=row.seq,
        last_hash=row.hash,
        utc_offset_s=offset,
        strand=Strand().after(row.seq, row.hash),
    )


def step(folded: Folded, row: EventRow) -> Folded:
    """The state after one more event. Raises `ExamRefused` when the rules forbid it."""
    body = row.content
    event = machine_event(row.kind, body, folded.exam.rules, row.who)
    typed_seq, strand = row.seq if row.kind in TYPED else folded.typed_seq, folded.strand.after(row.seq, row.hash)
    after = replace(folded, last_seq=row.seq, last_hash=row.hash, typed_seq=typed_seq, strand=strand)
    if event is not None:
        after = replace(after, exam=settled(apply(folded.exam, event)))
    if row.kind == CAPTURED:
        if body["number"] != len(after.exam.captures):
            raise ExamRefused(f"event {row.seq}: capture {body['number']} does not follow the one before")
        return replace(after, facts=(*folded.facts, body))
    if row.kind == READ:
        return replace(after, readings={**folded.readings, body["capture"]: body})
    if row.kind == CLOSED:
        return replace(after, closed_at=row.at)
    if row.kind == EXPOSED:
        exposures = {**folded.exposures, body["run"]: body}
        return replace(after, exposures=exposures, accounts=folded.accounts | {body["account"]})
    if row.kind == DOCUMENTED:
        return replace(after, documented=(*folded.documented, {**body, "who": row.who, "at": row.at}))
    if row.kind not in TYPED:
        raise ExamRefused(f"event {row.seq}: kind {row.kind!r} is not known")
    change = Change(row.seq, _time(row.at), row.who, _what(folded, row.kind, body), body["reason"], row.kind)
    after = replace(after, changes=(*folded.changes, change))
    if row.kind in (STOPPED, VOIDED):
        return replace(after, closed_at=folded.closed_at or row.at)
    if row.kind == AMENDED:
        accounts = folded.accounts | ({body["account"]} if "account" in body else set())
        patient, order = body.get("patient", folded.patient), body.get("order", folded.order)
        return replace(after, patient=patient, order=order, accounts=accounts)
    return after


def _what(folded: Folded, kind: str, body: Mapping[str, Any]) -> str:
    """In words, what a person changed."""
    if kind == AMENDED:
        return f"{' and '.join(words for part, words in _AMENDED_WORDS.items() if part in body)} corrected"
    if kind == STOPPED:
        return f"exam stopped early: {StopReason(body['why']).words}"
    if kind == VOIDED:
        return f"exam voided{' by a second person, too' if folded.exam.voided else ''}"
    capture = folded.exam.capture(body["capture"])
    where = place(capture.eye, capture.view)
    if kind == RELABELLED:
        to = place(Eye(body["eye"]), View(body["view"]))
        if to == where:
            return f"capture {capture.number} is {to}, as a second person says, too"
        return f"capture {capture.number} moved from {where} to {to}"
    if kind == CONFIRMED:
        again = " by a second person, too" if capture.confirmed else ""
        return f"capture {capture.number} confirmed as {where}{again}"
    if kind == INCLUDED:
        again = "" if capture.excluded else " by a second person, too"
        return f"capture {capture.number} ({where}) included again{again}"
    return f"capture {capture.number} ({where}) excluded{' by a second person, too' if capture.excluded else ''}"


def machine_event(kind: str, body: Mapping[str, Any], rules: ExamRules, who: str = "") -> Event | None:
    """The event of the state machine, None for kinds that it does not know."""
    if kind == CAPTURED:
        return Captured(Eye(body["eye"]), View(body["view"]), body["frame_sha256"])
    if kind == READ:
        like = tuple(one["capture"] for one in body.get("like", ()))
        return ReadingMade(body["capture"], ReadingFacts.of(body["reading"], rules), like)
    if kind == RELABELLED:
        return Relabelled(body["capture"], Eye(body["eye"]), View(body["view"]), body["reason"], who)
    if kind == EXCLUDED:
        return Excluded(body["capture"], body["reason"], who)
    if kind == INCLUDED:
        return Included(body["capture"], body["reason"], who)
    if kind == CONFIRMED:
        return ViewConfirmed(body["capture"], body["reason"], who)
    if kind == STOPPED:
        return Stopped(StopReason(body["why"]))
    if kind == VOIDED:
        return Voided(body["reason"], who)
    return Closed() if kind == CLOSED else None


def fold(rows: Sequence[EventRow], utc_offset_s: int | None = None) -> Folded:
    """The state after all events of one exam that is not retired."""
    folded = begin(rows[0], utc_offset_s)
    for row in rows[1:]:
        folded = step(folded, row)
    return folded


def summary_row(folded: Folded) -> tuple[Any, ...]:
    """What a line of the table `exams` tells, in the order of `SUMMARY_COLUMNS`."""
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
        folded.opened.seq,
        folded.typed_seq,
        folded.utc_offset_s,
    )


def retired_row(event: EventRow, opened_seq: int, utc_offset_s: int | None = None) -> tuple[Any, ...]:
    """What a line of the table `exams` tells after the `retired` event, which holds the one before.

    utc_offset_s: of an exam that was retired before version 4.
    """
    row = event.content["summary"]
    offset = utc_offset_s if len(row) == _BEFORE_4 else row[-1]
    return (row[0], Phase.RETIRED.value, *row[2 : _BEFORE_4 - 1], event.seq, opened_seq, 0, offset)


def summary_of(row: Sequence[Any]) -> ExamSummary:
    """From what a line of the table `exams` tells."""
    exam, phase, outcome, reason, where, captures, pending, opened, closed, operator, station, changed, *new = row
    opened_seq, typed_seq, offset_s = new
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
        opened_seq=opened_seq,
        typed_seq=typed_seq,
        zone=None if offset_s is None else timezone(timedelta(seconds=offset_s)),
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
        tuple(folded.exposures.values()),
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
        excluded=capture.excluded,
        confirmed=capture.confirmed,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
