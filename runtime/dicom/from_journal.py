"""From the journal's records to what DICOM objects are made from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.arrays import UInt8Array
from runtime.dicom.errors import RecordUnusable
from runtime.dicom.records import (
    EquipmentFacts,
    ExamRecord,
    InfantFacts,
    Shot,
)
from runtime.dicom.site import Cart
from runtime.outcome import Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Quality, Reading

if TYPE_CHECKING:
    from runtime.exam.journal import CaptureRecord, Journal
    from runtime.exam.rules import ExamRules


def exam_from_journal(journal: Journal, exam_id: str, cart: Cart) -> ExamRecord:
    """One closed exam; its images are read when the objects are made. Needs the journal's key.

    Raises `RecordUnusable`, and what the journal raises.
    """
    kept, infant = journal.exam(exam_id), journal.infant(exam_id)
    summary, rules = kept.summary, kept.rules
    if summary.closed_at is None:
        raise RecordUnusable(f"exam {exam_id}: it is {summary.phase.value}; only a closed exam can be sent")
    return ExamRecord(
        exam_id=f"{journal.journal_id}/{exam_id}",
        infant=InfantFacts(
            identifier=infant.infant_id,
            name=infant.name,
            birth_date=infant.born_at.date(),
            birth_time=infant.born_at.time(),
            sex=infant.sex,
            gestational_age_days=infant.gestational_age.days,
            postmenstrual_age_days=infant.postmenstrual_age(summary.opened_at).days,
            birth_weight_g=infant.birth_weight_g,
        ),
        shots=tuple(_shot(journal, exam_id, c) for c in kept.captures if c.image_sha256),
        verdict=kept.result.infant,
        eyes=kept.result.eyes,
        opened_at=summary.opened_at.astimezone(),
        closed_at=summary.closed_at.astimezone(),
        equipment=_equipment(cart, summary.station, rules.software),
        order=journal.order(exam_id),
        operator=summary.operator,
        refer_threshold=rules.threshold,
        facts=_facts(rules),
    )


def _shot(journal: Journal, exam_id: str, capture: CaptureRecord) -> Shot:
    if not (capture.image_sha256 and capture.frame_sha256 and capture.reading and capture.width and capture.height):
        raise RecordUnusable(
            f"exam {exam_id}, capture {capture.number}: image without hash, size or reading; verify the journal"
        )
    return Shot(
        number=capture.number,
        eye=capture.eye,
        view=capture.view,
        captured_at=capture.captured_at.astimezone(),
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


def _equipment(cart: Cart, station: str, software: str) -> EquipmentFacts:
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
