"""The classifier's gates for a stored frame: read again by the bundle that read it, for nobody but whoever asks.

The journal keeps nothing of it, and no capture waits for it.
"""

from __future__ import annotations

from pathlib import Path

from device.frame import Frame
from runtime.errors import ScreeningError
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.session import stored_frame
from runtime.explanation import Explanation
from runtime.screener import Screener
from runtime.sinks.draw_gates import draw_explanation
from runtime.sinks.files import write_file
from runtime.sinks.picture import encode

QUALITY = 88


def explained(
    journal: Journal, record: ExamRecord, capture: CaptureRecord, reader: Screener
) -> tuple[Frame, Explanation]:
    """The frame and what is told of it. Raises `ExamRefused` with the reason where its reading has no gates."""
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
    return frame, found


def write_gates(journal: Journal, record: ExamRecord, capture: CaptureRecord, reader: Screener, folder: Path) -> Path:
    """A JPEG of the frame under each gate, words beneath, for its owner's eyes only; where it lies.

    Raises `ExamRefused` as `explained` does, `OutputError`.
    """
    frame, found = explained(journal, record, capture, reader)
    file = folder / f"{record.summary.exam_id}-{capture.number:03d}-gates.jpg"
    write_file(file, encode(draw_explanation(frame.pixels, found, record.rules.bundle.notice), ".jpg", QUALITY))
    return file
