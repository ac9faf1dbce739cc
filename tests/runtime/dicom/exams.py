"""Exams to put into DICOM: made directly, and kept in a journal."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from pathlib import Path

import numpy as np

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.dicom.records import DicomExam, EquipmentFacts, InfantFacts, Shot, ViewShown
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.order import Order
from runtime.exam.result import Conclusion
from runtime.exam.rules import ExamRules
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE, ONE_EYE, Outcome
from runtime.reading import BundleFacts, EngineFacts, FrameFacts, Quality, Reading
from runtime.views import Eye, View

ZONE = timezone(timedelta(hours=2))
OPENED = datetime(2026, 11, 20, 10, 15, 0, tzinfo=ZONE)
BUNDLE = BundleFacts("demonstration", "1.2", "cd" * 32, f"{AID_NOTICE} {DEMONSTRATION_NOTICE}")
ENGINE = EngineFacts("openvino", "fp32", "CPU")
KEY = JournalKey(b"k" * 32)
MEASURES = {
    "brightness": 115.23333,
    "glare_share": 0.0,
    "field_share": 0.86429,
    "detail": 3.00904,
    "edge_ratio": 7.45048,
    "redness": 0.25647,
    "green_excess": -0.20179,
}


def picture(seed: int, width: int = 64, height: int = 48) -> UInt8Array:
    """Noise, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reading(frame: Frame, outcome: Outcome = Outcome.NO_REFERRAL_FINDINGS, probability: float = 0.125) -> Reading:
    facts = FrameFacts(frame.source, frame.sequence, frame.captured_at, frame.sha256, frame.width, frame.height)
    return Reading(
        frame=facts,
        outcome=outcome,
        reason="ridge_in_view 0.12, threshold 0.40",
        bundle=BUNDLE,
        engine=ENGINE,
        probabilities={"no_ridge_in_view": 1 - probability, "ridge_in_view": probability},
        quality=Quality(True, (), MEASURES),
        vessel_fraction=0.0625,
        vessels=np.zeros((256, 256), np.uint8),
    )


def shot(number: int, eye: Eye, view: View, *, seed: int = 0, width: int = 64, height: int = 48) -> Shot:
    frame = Frame(picture(seed + number, width, height), number, "sim:retcam", captured_at=OPENED)
    return Shot(
        number=number,
        eye=eye,
        view=view,
        captured_at=OPENED + timedelta(seconds=number),
        sha256=hashlib.sha256(frame.pixels.tobytes()).hexdigest(),
        load=partial(picture, seed + number, width, height),
        width=width,
        height=height,
        reading=reading(frame),
    )


def exam(frames: int = 2, *, width: int = 64, height: int = 48) -> DicomExam:
    """An exam of both eyes with everything said that can be said."""
    places = [(eye, view) for view in View for eye in Eye]
    below = Conclusion(Outcome.NO_REFERRAL_FINDINGS, "every required view gradable and below the threshold")
    shots = tuple(shot(i + 1, *places[i % 10], width=width, height=height) for i in range(frames))
    return DicomExam(
        exam_id="3f0a5a0e-0c2b-4b46-a7cf-8a3f4f6b1c11/20261120-7F3K2QXA",
        infant=InfantFacts(
            "MRN-4711-77", "Müßig^Zoë Łucja", date(2026, 10, 1), time(3, 4), "F", 27 * 7 + 2, 34 * 7 + 3, 950
        ),
        shots=shots,
        verdict=below,
        eyes=dict.fromkeys(Eye, replace(below, alone=ONE_EYE)),
        views=tuple(ViewShown(one.eye, one.view, below, one) for one in shots[:10]),
        opened_at=OPENED,
        closed_at=OPENED + timedelta(minutes=9),
        equipment=EquipmentFacts(
            "Camera Works", "Wide 130", "SN-88-1234", "CART-NICU-3", "St. Example Hospital", "0.1.0", 130.0, True
        ),
        order=Order("ACC-2026-991", "1.2.826.0.1.3680043.8.498.777", "RP-55", "SPS-56", "Referrer^Rita", "ROP"),
        operator="Nurse^Nadia",
        refer_threshold=0.4,
        facts={"refer classes": "ridge_in_view"},
        page=False,  # which has tests of its own
    )


def with_name(record: DicomExam, name: str) -> DicomExam:
    return replace(record, infant=replace(record.infant, name=name))


def fill_journal(
    folder: Path, exams: int = 1, frames: int = 10, *, width: int = 64, height: int = 48, seed: int = 0
) -> list[str]:
    """Closed exams in a journal with the key `KEY`; gives their ids."""
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
    ids = []
    with Journal.open(folder, KEY, create=True, floor_bytes=0) as journal:
        for number in range(exams):
            born = datetime.now(timezone.utc) - timedelta(days=40)
            infant = Infant(f"MRN-{seed}-{number}", f"Infant{number}^Test", born, Weeks(190), 950)
            exam_id = journal.begin_exam(infant, rules, operator="nurse", station="CART1")
            for i in range(frames):
                frame = Frame(picture(seed + 1000 * number + i, width, height), i, "sim:retcam")
                eye, view = tuple(Eye)[i % 2], tuple(View)[i // 2 % 5]
                capture = journal.add_capture(exam_id, eye, view, frame, operator="nurse")
                journal.add_reading(exam_id, capture, reading(frame))
            journal.close_exam(exam_id, operator="nurse")
            ids.append(exam_id)
    return ids
