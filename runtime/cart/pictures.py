"""Stored pictures for the screen: small, whole, or with the vessels drawn in."""

from __future__ import annotations

from runtime.arrays import UInt8Array
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.sinks.draw import draw_vessels
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
        return encode(shrink(pixels, THUMBNAIL), ".jpg", 80), JPEG
    if kind == "image":
        return encode(shrink(pixels, LONGEST), ".jpg", 92), JPEG
    return encode(_overlay(journal, record, capture, shrink(pixels, LONGEST)), ".jpg", 92), JPEG


def _overlay(journal: Journal, record: ExamRecord, capture: CaptureRecord, pixels: UInt8Array) -> UInt8Array:
    return draw_vessels(pixels, journal.vessels(record.summary.exam_id, capture.number))
