"""From the journal's records to what DICOM objects are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.arrays import UInt8Array
from runtime.dicom.configuration import CartNode
from runtime.dicom.errors import RecordUnusable
from runtime.dicom.records import Changed, DicomExam, Documented, EquipmentFacts, InfantFacts, Shot, ViewShown
from runtime.exam.describe import deciding, light_lines
from runtime.exam.disagreement import disagreements
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant
from runtime.exam.journal.fold import AMENDED, OPENED, Folded, fold, record_of
from runtime.exam.machine import StopReason
from runtime.exam.order import Order
from runtime.outcome import Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Quality, Reading

if TYPE_CHECKING:
    from runtime.exam.journal import CaptureRecord, ExamRecord, ExamSummary, Journal
    from runtime.exam.rules import ExamRules


def exam_from_journal(
    journal: Journal,
    exam_id: str,
    cart: CartNode,
    *,
    revision: int | None = None,
    rejected: frozenset[str] = frozenset(),
) -> DicomExam:
    """One closed exam; its images are read when the objects are made. Needs the journal's key.

    revision: the exam as it was at that event, None as it is now. rejected: UIDs that may not be used again. A frame
    that a person excluded is left out. Raises `RecordUnusable`, and what the journal raises.
    """
    folded = journal.folded(exam_id) if revision is None else _at(journal, exam_id, revision)
    kept, infant = record_of(folded), _infant(folded)
    summary, rules = kept.summary, kept.rules
    if summary.closed_at is None:
        raise RecordUnusable(f"exam {exam_id}: it is {summary.phase.value}; only a closed exam can be sent")
    shots = {c.number: _shot(journal, exam_id, c, summary) for c in kept.captures if c.image_sha256 and not c.excluded}
    return DicomExam(
        exam_id=f"{journal.journal_id}/{exam_id}",
        infant=InfantFacts(
            identifier=infant.infant_id,
            name=infant.name,
            birth_date=infant.born_at.date(),
            birth_time=infant.born_at.time() if infant.time_known else None,
            sex=infant.sex,
            gestational_age_days=infant.gestational_age.days,
            postmenstrual_age_days=infant.postmenstrual_age(summary.opened_at).days,
            birth_weight_g=infant.birth_weight_g,
        ),
        shots=tuple(shots.values()),
        verdict=kept.result.infant,
        eyes=kept.result.eyes,
        views=tuple(_views(kept, shots)),
        opened_at=summary.local(summary.opened_at),
        closed_at=summary.local(summary.closed_at),
        equipment=_equipment(cart, summary.station, rules.software),
        order=_order(journal, folded, infant),
        operator=summary.operator,
        refer_threshold=rules.threshold,
        facts=_facts(rules),
        documented=tuple(_documented(found, summary) for found in kept.documented),
        changes=tuple(Changed(c.what, c.reason, c.who, summary.local(c.at)) for c in kept.changes),
        exposures=tuple(light_lines(kept)),
        disagreements=disagreements(kept),
        warnings=kept.result.warnings,
        notice=rules.bundle.notice,
        trail=f"{folded.last_seq}:{folded.last_hash}",
        page=cart.page,
        rejected=rejected,
    )


def _views(kept: ExamRecord, shots: Mapping[int, Shot]) -> Iterator[ViewShown]:
    for (eye, view), verdict in kept.result.views.items():
        frame = deciding(kept, eye, view)
        yield ViewShown(eye, view, verdict, None if frame is None else shots.get(frame.number))


def subject(
    journal: Journal, exam_id: str, cart: CartNode
) -> tuple[ExamSummary, Infant, Order, StopReason | None, Callable[[], DicomExam]]:
    """Whose an exam is, what was ordered, why it was stopped, and what it becomes; also of one that is still open."""
    folded = journal.folded(exam_id)
    infant = _infant(folded)
    order = _order(journal, folded, infant)
    return (
        record_of(folded).summary,
        infant,
        order,
        folded.exam.stopped,
        partial(exam_from_journal, journal, exam_id, cart),
    )


def changes_of(journal: Journal, exam_id: str) -> list[tuple[int, str, str]]:
    """(event, what, reason) of everything that a person changed in an exam."""
    return [(change.seq, change.what, change.reason) for change in journal.exam(exam_id).changes]


def _at(journal: Journal, exam_id: str, revision: int) -> Folded:
    """The exam as its events up to one of them tell it."""
    rows = [row for row in journal.events(exam_id) if row.seq <= revision]
    if not rows or rows[-1].body is None:
        raise RecordUnusable(f"exam {exam_id}: what it was at event {revision} is not in the journal any more")
    return fold(rows, journal.folded(exam_id).utc_offset_s)


def _infant(folded: Folded) -> Infant:
    return Infant.from_dict(folded.patient)


def _order(journal: Journal, folded: Folded, infant: Infant) -> Order:
    """What was ordered, empty where that was for another infant than the exam has now: no study may hold two.

    The order is corrected together with the infant then (`python -m runtime.exam correct`).
    """
    if folded.order is None:
        return Order()
    ordered_for = _ordered_for(journal, folded)
    if ordered_for["infant_id"].strip(" ") != infant.infant_id.strip(" "):
        return Order()
    return Order.from_dict(folded.order)


def _ordered_for(journal: Journal, folded: Folded) -> Mapping[str, Any]:
    """The infant's fields as they were when the order was set."""
    patient = ordered_for = folded.patient
    for row in journal.events(folded.exam.exam_id):
        if row.seq > folded.last_seq or row.kind not in (OPENED, AMENDED):
            continue
        body = row.content
        patient = body.get("patient", patient)
        if "order" in body:
            ordered_for = patient
    return ordered_for


def _documented(found: Mapping[str, Any], summary: ExamSummary) -> Documented:
    findings = EyeFindings.from_dict(found)
    facts = {
        "zone": findings.zone,
        "notch": "yes" if findings.notch else None,
        "stage": findings.stage,
        "plus": findings.plus,
        "a_rop": "yes" if findings.a_rop else None,
    }
    return Documented(
        eye=findings.eye,
        words=findings.words(),
        facts=tuple((name, word) for name, word in facts.items() if word),
        note=findings.note,
        who=str(found["who"]),
        at=summary.local(datetime.fromisoformat(str(found["at"]))),
    )


def _shot(journal: Journal, exam_id: str, capture: CaptureRecord, summary: ExamSummary) -> Shot:
    if not (capture.image_sha256 and capture.frame_sha256 and capture.reading and capture.width and capture.height):
        raise RecordUnusable(
            f"exam {exam_id}, capture {capture.number}: image without hash, size or reading; verify the journal"
        )
    return Shot(
        number=capture.number,
        eye=capture.eye,
        view=capture.view,
        captured_at=summary.local(capture.captured_at),
        sha256=capture.frame_sha256,
        load=partial(journal.image, capture.image_sha256),
        width=capture.width,
        height=capture.height,
        reading=_reading(capture.reading, capture.outcome, capture.reason),
        vessels=partial(_vessels, journal, exam_id, capture.number),
    )


def _vessels(journal: Journal, exam_id: str, number: int) -> UInt8Array | None:
    return journal.vessels(exam_id, number)


def _reading(kept: Mapping[str, Any], outcome: Outcome, reason: str) -> Reading:
    """The reading with the outcome that the frame has within its exam, which is never better than its own."""
    frame, quality = dict(kept["frame"]), kept["quality"]
    frame["captured_at"] = datetime.fromisoformat(frame["captured_at"])
    return Reading(
        frame=FrameFacts(**frame),
        outcome=outcome,
        reason=reason,
        bundle=BundleFacts(**kept["bundle"]),
        engine=EngineFacts(**kept["engine"]),
        probabilities=kept["probabilities"],
        quality=None if quality is None else _quality(quality),
        vessel_fraction=kept["vessel_fraction"],
        budget_ms=kept["budget_ms"],
        late=kept["late"],
    )


def _quality(kept: Mapping[str, Any]) -> Quality:
    measures = {name: float(value) for name, value in kept.items() if name not in ("gradable", "reasons")}
    return Quality(bool(kept["gradable"]), tuple(kept["reasons"]), measures)


def _equipment(cart: CartNode, station: str, software: str) -> EquipmentFacts:
    return EquipmentFacts(
        manufacturer=cart.manufacturer,
        model=cart.model,
        serial=cart.serial,
        station=station or cart.station,
        institution=cart.institution,
        software=software,
        field_of_view_deg=cart.field_of_view_deg,
        pupil_dilated=cart.pupil_dilated,
    )


def _facts(rules: ExamRules) -> dict[str, str]:
    """What else is needed to repeat the readings."""
    facts = {
        "software": rules.software,
        "refer classes": " + ".join(rules.refer_classes),
        "required views": ", ".join(view.value for view in rules.required_views),
        "retakes": str(rules.retakes),
    }
    if rules.site_profile_sha256:
        facts["site profile SHA-256"] = rules.site_profile_sha256
    return facts
