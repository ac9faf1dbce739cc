"""An exam as the screens show it: one JSON object, made from the journal and nothing else."""

from __future__ import annotations

from typing import Any

from runtime.cart.persons import infant_dict
from runtime.commands.text import word
from runtime.exam.describe import exam_dict
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.machine import Phase
from runtime.exam.result import Conclusion
from runtime.outcome import LIKE_ANOTHER, ONE_PICTURE, Outcome
from runtime.views import Eye, View, place

STATUS = {
    Outcome.REFER: "refer",
    Outcome.NO_REFERRAL_FINDINGS: "taken",
    Outcome.RETAKE: "retake",
    Outcome.NO_RESULT: "no result",
}
"""How the map of the eyes shows a view that was begun."""


def exam_state(journal: Journal, exam_id: str, aim: tuple[Eye, View] | None = None) -> dict[str, Any]:
    """The exam for the screens; a retired one has its line only."""
    summary = journal.summary(exam_id)
    if summary.phase is Phase.RETIRED:
        verdict = Conclusion(summary.outcome, summary.reason, summary.where)
        return {
            "exam": exam_id,
            "phase": summary.phase.value,
            "opened_at": summary.opened_at.isoformat(),
            "operator": summary.operator,
            "infant": None,
            "captures": [],
            **_verdict(verdict),
        }
    record, infant = journal.exam(exam_id), journal.infant(exam_id)
    content = exam_dict(record, infant, journal.order(exam_id))
    content["infant"] = infant_dict(infant, record.summary.opened_at)
    content |= _verdict(record.result.infant)
    content["aim"] = None if aim is None else {"eye": aim[0].value, "view": aim[1].value}
    content["rules"] |= {"all_views": [view.value for view in View]}
    content["captures"] = [capture_dict(record, capture) for capture in record.captures]
    content["eyes"] = {eye.value: _eye(record, eye) for eye in Eye}
    content["voided"] = record.summary.phase is Phase.VOIDED
    content["stopped"] = record.exam.stopped is not None
    content["warnings"] = list(record.result.warnings)
    return content


def _verdict(verdict: Conclusion) -> dict[str, str]:
    return {
        "outcome": verdict.outcome.value,
        "word": word(verdict.outcome),
        "reason": verdict.reason,
        "where": verdict.where,
        "banner": verdict.banner,
        "base": verdict.base,
    }


def _eye(record: ExamRecord, eye: Eye) -> dict[str, Any]:
    views = {}
    begun = {(capture.eye, capture.view) for capture in record.exam.captures if not capture.excluded}
    for (of, view), verdict in record.result.views.items():
        if of is not eye:
            continue
        alike = verdict.outcome is Outcome.RETAKE and verdict.reason.startswith(LIKE_ANOTHER)
        status = "alike" if alike else STATUS[verdict.outcome] if (eye, view) in begun else "todo"
        views[view.value] = {**_verdict(verdict), "status": status}
    return {**_verdict(record.result.eyes[eye]), "views": views}


def capture_dict(record: ExamRecord, capture: CaptureRecord) -> dict[str, Any]:
    """One picture: what was aimed at, its outcome within the exam, and which pictures of it there are."""
    state = record.exam.capture(capture.number)
    like = record.exam.like(state) if not state.confirmed and not state.excluded else None
    verdict = Conclusion(capture.outcome, capture.reason, place(capture.eye, capture.view), ONE_PICTURE)
    shown = ["image", "thumbnail"] if capture.image_sha256 is not None else []
    if shown and capture.reading is not None and capture.outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS):
        shown += ["overlay", "gates"]
    return {
        "number": capture.number,
        "eye": capture.eye.value,
        "view": capture.view.value,
        "captured_at": capture.captured_at.isoformat(),
        "outcome": capture.outcome.value,
        "word": word(capture.outcome),
        "reason": capture.reason,
        "base": verdict.base,
        "banner": verdict.banner,
        "pending": capture.reading is None,
        "excluded": state.excluded,
        "confirmed": state.confirmed,
        "view_like": None if like is None else place(like.eye, like.view),
        "pictures": shown,
    }
