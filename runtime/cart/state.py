"""An exam as the screens show it: one JSON object, made from the journal and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.cart.errors import says_a_step
from runtime.cart.persons import in_exam_time, infant_dict
from runtime.commands.text import word
from runtime.exam.describe import exam_dict
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.machine import Phase
from runtime.exam.result import (
    Conclusion,
    awaits_second,
    count_awaits_second,
    place_awaits_second,
    still_to_take,
    view_awaits_second,
)
from runtime.exam.rules import ExamRules
from runtime.exam.session import NOT_HELD
from runtime.outcome import LIKE_ANOTHER, ONE_PICTURE, Outcome
from runtime.views import Eye, View, place

STATUS = {
    Outcome.REFER: "refer",
    Outcome.NO_REFERRAL_FINDINGS: "taken",
    Outcome.RETAKE: "retake",
    Outcome.NO_RESULT: "no result",
}
"""How the map of the eyes shows a view that was begun."""
AGAIN = "take this view again, and call the technician where it stays so"
"""What to do about a picture without a result whose reason does not say it."""


def exam_state(journal: Journal, exam_id: str, aim: tuple[Eye, View] | None = None) -> dict[str, Any]:
    """The exam for the screens; a retired one has its line only."""
    summary = journal.summary(exam_id)
    if summary.phase is Phase.RETIRED:
        verdict = Conclusion(summary.outcome, summary.reason, summary.where)
        retired = {
            "exam": exam_id,
            "phase": summary.phase.value,
            "opened_at": summary.opened_at.isoformat(),
            "operator": summary.operator,
            "infant": None,
            "captures": [],
            **_verdict(verdict, None),
        }
        return dict(in_exam_time(retired, summary))
    record, infant = journal.exam(exam_id), journal.infant(exam_id)
    content = exam_dict(record, infant, journal.order(exam_id))
    content["infant"] = infant_dict(infant, record.summary.opened_at)
    content |= _verdict(record.result.infant, record.rules)
    content["aim"] = None if aim is None else {"eye": aim[0].value, "view": aim[1].value}
    content["rules"] |= {"all_views": [view.value for view in View]}
    content["captures"] = [capture_dict(record, capture) for capture in record.captures]
    content["eyes"] = {eye.value: eye_dict(record, eye) for eye in Eye}
    content["voided"] = record.summary.phase is Phase.VOIDED
    content["void_awaits_second"] = void_awaits_second(record)
    content["stopped"] = record.exam.stopped is not None
    content["warnings"] = list(record.result.warnings)
    return dict(in_exam_time(content, record.summary))


def void_awaits_second(record: ExamRecord) -> bool:
    """Whether one person alone said that an exam that refers is void, so that it still counts."""
    return bool(record.exam.voided) and record.summary.phase is not Phase.VOIDED


def plain(reason: str, rules: ExamRules | None) -> str:
    """A reason as a person reads it: the bundle's classes by their words, `ridge in view` for `ridge_in_view`, and
    without what only a technician needs of it (`technical_of`)."""
    for name in () if rules is None else rules.refer_classes:
        reason = reason.replace(name, name.replace("_", " "))
    return NOT_HELD if technical_of(reason) else reason


def technical_of(reason: str) -> str:
    """What a part said of its own milliseconds, behind the words for the person at the screen; empty where nothing."""
    said, _, technical = reason.partition(" (")
    return technical.removesuffix(")") if said == NOT_HELD else ""


def _verdict(verdict: Conclusion, rules: ExamRules | None) -> dict[str, str]:
    verdict = replace(verdict, reason=plain(verdict.reason, rules))
    return {
        "outcome": verdict.outcome.value,
        "word": word(verdict.outcome),
        "reason": verdict.reason,
        "where": verdict.where,
        "banner": verdict.banner,
        "base": verdict.base,
    }


def eye_dict(record: ExamRecord, eye: Eye) -> dict[str, Any]:
    """One eye: its outcome, each view with how the map shows it, and which views are still to be taken."""
    views = {}
    begun = {(capture.eye, capture.view) for capture in record.exam.captures if not capture.excluded}
    for (of, view), verdict in record.result.views.items():
        if of is not eye:
            continue
        alike = _kept_out_as_alike(verdict.outcome, verdict.reason)
        known = (eye, view) in begun or verdict.outcome is Outcome.REFER  # what one person alone excluded refers still
        status = "alike" if alike else STATUS[verdict.outcome] if known else "todo"
        views[view.value] = {**_verdict(verdict, record.rules), "status": status}
    undone = [view.value for of, view in still_to_take(record.result) if of is eye]
    return {**_verdict(record.result.eyes[eye], record.rules), "views": views, "undone": undone}


def _kept_out_as_alike(outcome: Outcome, reason: str) -> bool:
    """Whether that it is like another view is what keeps a picture, or a view, from counting: a REFER always counts."""
    return outcome is Outcome.RETAKE and reason.startswith(LIKE_ANOTHER)


def capture_dict(record: ExamRecord, capture: CaptureRecord) -> dict[str, Any]:
    """One picture: what was aimed at, its outcome within the exam, and which pictures of it there are."""
    state = record.exam.capture(capture.number)
    kept_out = _kept_out_as_alike(capture.outcome, capture.reason)
    told = kept_out or (capture.outcome is Outcome.REFER and not state.confirmed)
    like = record.exam.like(state) if told else None
    named = None if like is None else place(like.eye, like.view)
    reason = plain(capture.reason, record.rules)
    verdict = Conclusion(capture.outcome, reason, place(capture.eye, capture.view), ONE_PICTURE)
    lost = capture.outcome is Outcome.NO_RESULT and capture.reading is not None and not state.excluded
    shown = ["image", "thumbnail"] if capture.image_sha256 is not None else []
    if shown and capture.reading is not None and capture.outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS):
        shown += ["overlay", "gates"]
    return {
        "number": capture.number,
        "eye": capture.eye.value,
        "view": capture.view.value,
        "captured_at": record.summary.local(capture.captured_at).isoformat(),
        "outcome": capture.outcome.value,
        "word": word(capture.outcome),
        "reason": reason,
        "technical": technical_of(capture.reason),
        "step": AGAIN if lost and not says_a_step(reason) else "",
        "read_as": "" if state.reading is None else word(state.reading.outcome),
        "base": verdict.base,
        "banner": verdict.banner,
        "pending": capture.reading is None,
        "excluded": state.excluded,
        "awaits_second": awaits_second(record.exam, state),
        "count_awaits_second": count_awaits_second(record.exam, state),
        "confirmed": state.confirmed,
        "view_awaits_second": view_awaits_second(record.exam, state),
        "place_awaits_second": place_awaits_second(record.exam, state),
        "view_like": named if kept_out else None,
        "looks_like": None if kept_out else named,
        "pictures": shown,
    }
