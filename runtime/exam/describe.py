"""An exam as JSON (`rop.exam/1`) and as lines for a person; the patient's fields only when they are given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from runtime.commands.text import printable, word
from runtime.exam.disagreement import disagreements
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant
from runtime.exam.journal import CaptureRecord, ExamRecord, ExamSummary
from runtime.exam.machine import Phase
from runtime.exam.naming import readable_name
from runtime.exam.order import Order
from runtime.exam.result import Conclusion
from runtime.outcome import EXCLUDED_ALONE, Outcome
from runtime.views import EYE_WORDS, Eye, View, place

EXAM_SCHEMA = "rop.exam/1"


def exam_dict(record: ExamRecord, infant: Infant | None = None, order: Order | None = None) -> dict[str, Any]:
    """The JSON object of an exam. `infant` and `order` are left out when None, or nothing was ordered."""
    content: dict[str, Any] = {"schema": EXAM_SCHEMA, **summary_dict(record.summary)}
    if infant is not None:
        age = infant.postmenstrual_age(record.summary.opened_at)
        content["infant"] = {**infant.to_dict(), "postmenstrual_age": str(age)}
    if order is not None and not order.empty:
        content["order"] = order.to_dict()
    content["eyes"] = {eye.value: _verdict_dict(verdict) for eye, verdict in record.result.eyes.items()}
    for (eye, view), verdict in record.result.views.items():
        content["eyes"][eye.value].setdefault("views", {})[view.value] = _verdict_dict(verdict)
    content["captures"] = [_capture_dict(capture) for capture in record.captures]
    content["changes"] = [
        {"event": c.seq, "at": c.at.isoformat(), "who": c.who, "what": c.what, "reason": c.reason}
        for c in record.changes
    ]
    content["documented"] = [dict(found) for found in record.documented]
    content["disagreements"] = list(disagreements(record))
    content["warnings"] = list(record.result.warnings)
    content["exposures"] = [dict(exposure) for exposure in record.exposures]
    content["rules"] = record.rules.to_dict()
    content["notice"] = record.rules.bundle.notice
    return content


def summary_dict(summary: ExamSummary) -> dict[str, Any]:
    """The JSON object of one line of the list."""
    verdict = Conclusion(summary.outcome, summary.reason, summary.where)
    return {
        "exam": summary.exam_id,
        "phase": summary.phase.value,
        **_verdict_dict(verdict),
        "where": summary.where,
        "captures_total": summary.captures,
        "pending": summary.pending,
        "opened_at": summary.opened_at.isoformat(),
        "closed_at": None if summary.closed_at is None else summary.closed_at.isoformat(),
        "operator": summary.operator,
        "station": summary.station,
        "revision": summary.changed_seq,
    }


def _verdict_dict(verdict: Conclusion) -> dict[str, Any]:
    return {"outcome": verdict.outcome.value, "reason": verdict.reason, "banner": verdict.banner}


def _capture_dict(capture: CaptureRecord) -> dict[str, Any]:
    return {
        "number": capture.number,
        "eye": capture.eye.value,
        "view": capture.view.value,
        "captured_at": capture.captured_at.isoformat(),
        "outcome": capture.outcome.value,
        "reason": capture.reason,
        "excluded": capture.excluded,
        "confirmed": capture.confirmed,
        "image_sha256": capture.image_sha256,
        "reading": None if capture.reading is None else dict(capture.reading),
    }


def exam_lines(record: ExamRecord, infant: Infant | None = None, order: Order | None = None) -> Iterator[str]:
    """The exam for a person at a terminal."""
    return map(printable, _exam_lines(record, infant, order))


def _exam_lines(record: ExamRecord, infant: Infant | None, order: Order | None) -> Iterator[str]:
    summary, rules = record.summary, record.rules
    state = "" if summary.phase is Phase.CLOSED else f" (exam is {summary.phase.value})"
    yield f"{word(record.result.infant.outcome)}{state}"
    yield record.result.infant.banner
    for line in (*disagreements(record), *record.result.warnings):
        yield f"! {line}"
    yield f"exam {summary.exam_id}, {when(summary, summary.opened_at)}, operator {summary.operator}"
    if infant is not None:
        age = infant.postmenstrual_age(summary.opened_at)
        yield (
            f"infant {infant.infant_id}, {infant.name}, "
            f"born {infant.born} at {infant.gestational_age}, {infant.birth_weight_g} g, "
            f"postmenstrual age {age}"
        )
    if order is not None and not order.empty:
        yield f"ordered: accession {order.accession or '-'}, {order.description or 'no description'}"
    for eye in Eye:
        yield f"{EYE_WORDS[eye]}: {word(record.result.eyes[eye].outcome)}"
        for (of, view), verdict in record.result.views.items():
            if of is eye:
                taken = frames_line(record, eye, view)
                yield f"  {view.value:<13} {word(verdict.outcome):<21} {taken}  {verdict.reason}"
    if summary.pending:
        yield f"{summary.pending} frame(s) not read yet: python -m runtime.exam finish"
    for content in record.documented:
        yield f"documented by {content['who']}, {content['eye']}: {EyeFindings.from_dict(content).words()}"
    yield from light_lines(record)
    for change in record.changes:
        at = when(summary, change.at)
        yield f"changed {at} by {change.who}: {change.what}; {change.reason}"
    yield f"bundle {rules.bundle.name} {rules.bundle.version}, threshold {rules.threshold:g}, software {rules.software}"
    yield rules.bundle.notice


def deciding(record: ExamRecord, eye: Eye, view: View) -> CaptureRecord | None:
    """The frame to show for a view: the last that has the view's outcome; an excluded one where there is no other.

    So it is where a referral stands that one person alone excluded: what counts would show why there is none.
    """
    taken = [capture for capture in record.captures if (capture.eye, capture.view) == (eye, view)]
    verdict = record.result.views.get((eye, view))
    alone = verdict is not None and verdict.reason == EXCLUDED_ALONE
    counting = [capture for capture in taken if bool(capture.excluded) is alone] or taken
    found = [capture for capture in counting if verdict is not None and capture.outcome is verdict.outcome] or counting
    return found[-1] if found else None


def frames_line(record: ExamRecord, eye: Eye, view: View) -> str:
    """How many frames a view has, and which of them a person excluded, with the reason."""
    taken = [capture for capture in record.captures if (capture.eye, capture.view) == (eye, view)]
    excluded = [f"frame {capture.number} excluded: {capture.excluded}" for capture in taken if capture.excluded]
    return "; ".join((f"{len(taken)} frame(s)", *excluded))


def light_lines(record: ExamRecord) -> Iterator[str]:
    """What each eye was given, and what of each limit that used."""
    for eye in Eye:
        given = [one for one in record.exposures if one["eye"] == eye.value and one["state"] != "refused"]
        if not given:
            continue
        flashes = sum(one["kind"] == "flash" for one in given)
        lit_s = sum(one["duration_s"] for one in given if one["kind"] == "led")
        rest = "; ".join(
            f"{name} {told['used']:.3g} of {told['limit']:.3g} {told['unit']}"
            for name, told in given[-1]["hazards"].items()
        )
        yield printable(f"light, {eye.value}: {flashes} flash(es), {lit_s:.1f} s of continuous light; {rest}")


def summary_line(summary: ExamSummary, infant: Infant | None) -> str:
    """One line of the list. infant: whose exam it is, None where that cannot be read any more."""
    open_note = f"{summary.pending} unread" if summary.pending else ""
    where = f"{summary.where} " if summary.where and summary.outcome is not Outcome.NO_REFERRAL_FINDINGS else ""
    parts = (
        summary.exam_id,
        f"{summary.local(summary.opened_at):%Y-%m-%d %H:%M}",
        "-" if infant is None else f"{infant.infant_id} {readable_name(infant.name)}".rstrip(),
        f"{summary.phase.value:<7}",
        f"{word(summary.outcome):<21}",
        f"{summary.captures:>3} frames",
        f"{where}{summary.reason}",
        open_note,
    )
    return printable("  ".join(parts)).rstrip()


def capture_line(eye: Eye, capture: CaptureRecord) -> str:
    """One frame, as it was taken."""
    return printable(
        f"{capture.number:>3}  {place(eye, capture.view):<16} {word(capture.outcome):<21} {capture.reason}"
    ).rstrip()


def when(summary: ExamSummary, moment: datetime) -> str:
    """As the clock on the ward's wall told it, with its offset from UTC; wherever it is read."""
    return f"{summary.local(moment):%Y-%m-%d %H:%M} (UTC{summary.local(moment):%z})"
