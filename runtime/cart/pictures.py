"""Stored pictures for the screen: small, whole, with the vessels drawn in, or under the classifier's gates."""

from __future__ import annotations

from runtime.arrays import UInt8Array
from runtime.exam.errors import ExamRefused
from runtime.exam.gates import explained
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
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
    """The frame under each gate as a JPEG, and what else is told. Raises `ExamRefused` where its reading has none."""
    frame, found = explained(journal, record, capture, reader)
    return encode(draw_each_gate(frame.pixels, found.gates), ".jpg", 92), found


def _overlay(journal: Journal, record: ExamRecord, capture: CaptureRecord, pixels: UInt8Array) -> UInt8Array:
    return draw_vessels(pixels, journal.vessels(record.summary.exam_id, capture.number))
