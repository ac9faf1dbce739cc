"""Stored pictures for the screen: small, whole, with the vessels drawn in, or under the classifier's gates."""

from __future__ import annotations

from runtime.arrays import UInt8Array
from runtime.errors import ScreeningError
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.session import stored_frame
from runtime.explanation import Explanation
from runtime.screener import Screener
from runtime.sinks.draw import draw_vessels
from runtime.sinks.draw_gates import draw_each_gate
from runtime.sinks.picture import encode, shrink

THUMBNAIL = 240
"""Longer side, pixels."""
LONGEST = 2048
JPEG = "image/jpeg"


def picture_of(journal: Journal, record: ExamRecord, capture: CaptureRecord, kind: str) -> tuple[bytes, str]:
    """The file's bytes and media type. kind: `thumbnail`, `image` or `overlay`. Raises `ExamRefused`."""
    if capture.image_sha256 is None:
        raise ExamRefused(f"exam {record.summary.exam_id}: frame {capture.number} has no picture; take it again")
    pixels = journal.image(capture.image_sha256)
    if kind == "thumbnail":
        return thumbnail_of(pixels), JPEG
    if kind == "image":
        return encode(shrink(pixels, LONGEST), ".jpg", 92), JPEG
    return encode(_overlay(journal, record, capture, shrink(pixels, LONGEST)), ".jpg", 92), JPEG


def thumbnail_of(pixels: UInt8Array) -> bytes:
    """A small JPEG of a frame, RGB uint8 [H, W, 3]."""
    return encode(shrink(pixels, THUMBNAIL), ".jpg", 80)


def gates_of(
    journal: Journal, record: ExamRecord, capture: CaptureRecord, reader: Screener
) -> tuple[bytes, Explanation]:
    """The frame under each gate as a JPEG, and what else is told; read anew from the stored frame, for nobody else.

    So that a capture never waits for it, and it is there after a restart, too. Raises `ExamRefused` with the reason
    where the reading has none.
    """
    which = f"exam {record.summary.exam_id}: frame {capture.number}"
    reading = capture.reading or {}
    probabilities = reading.get("probabilities")
    frame = stored_frame(journal, record.summary.exam_id, capture.number)
    if frame is None or not probabilities:
        raise ExamRefused(f"{which} has no outcome of the networks, and so no gates")
    try:
        found = reader.explain(
            frame,
            bundle_sha256=str(reading.get("bundle", {}).get("sha256", "")),
            probabilities=probabilities,
        )
    except ScreeningError as error:
        raise ExamRefused(f"{which}: its gates cannot be shown: {error}") from error
    return encode(draw_each_gate(frame.pixels, found.gates), ".jpg", 92), found


def _overlay(journal: Journal, record: ExamRecord, capture: CaptureRecord, pixels: UInt8Array) -> UInt8Array:
    return draw_vessels(pixels, journal.vessels(record.summary.exam_id, capture.number))
