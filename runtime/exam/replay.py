"""Replay: every reading of a stored exam made again from its stored frame, and held against what was kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runtime.commands.text import word
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import CaptureRecord, Journal
from runtime.exam.session import stored_frame
from runtime.outcome import Outcome
from runtime.quality import REPEATED
from runtime.reading import Reader, Reading

TOLERANCE = 0.005
"""Difference of a class's probability that another processor or library version may make."""


@dataclass(frozen=True)
class Repeat:
    """One reading, as kept and as made again."""

    number: int
    kept: Outcome | None
    again: Outcome | None
    same: bool | None
    """None when it cannot be repeated: no frame, late, or a fault of that moment."""
    difference: float | None
    """Largest difference of a class's probability."""
    note: str = ""


@dataclass(frozen=True)
class Replay:
    """What a replay found."""

    exam_id: str
    repeats: tuple[Repeat, ...]

    @property
    def same(self) -> bool:
        """Whether everything that can be repeated came out as before."""
        return all(repeat.same is not False for repeat in self.repeats)


def replay(journal: Journal, exam_id: str, reader: Reader, bundle_sha256: str) -> Replay:
    """Repeat every reading of an exam.

    reader: a `Screener` that does not reject repeated frames, with no budget. bundle_sha256: its bundle's.
    Raises `ExamRefused` when that is not the exam's bundle, `JournalDamaged` for an altered frame.
    """
    record = journal.exam(exam_id)
    bundle = record.rules.bundle
    if bundle.sha256 != bundle_sha256:
        raise ExamRefused(
            f"exam {exam_id}: read with bundle {bundle.name} {bundle.version} ({bundle.sha256[:12]}), "
            f"got {bundle_sha256[:12]}; name its bundle with --bundle"
        )
    repeats = (_repeat(journal, exam_id, capture, reader) for capture in record.captures)
    return Replay(exam_id, tuple(_with_exam(one, of) for one, of in zip(repeats, record.captures, strict=True)))


def _with_exam(repeat: Repeat, capture: CaptureRecord) -> Repeat:
    """With what the exam makes of the frame, where that is not what the reading says."""
    if capture.outcome is repeat.kept:
        return repeat
    says = f"in the exam {word(capture.outcome)}: {capture.reason}"
    return replace(repeat, note="; ".join(filter(None, (repeat.note, says))))


def _repeat(journal: Journal, exam_id: str, capture: CaptureRecord, reader: Reader) -> Repeat:
    if capture.reading is None:
        return Repeat(capture.number, None, None, None, None, "its reading was never finished")
    kept = Outcome(capture.reading["outcome"])
    frame = stored_frame(journal, exam_id, capture.number)
    if frame is None:
        return Repeat(capture.number, kept, None, None, None, "the camera gave no frame")
    if frame.sha256 != capture.frame_sha256 or frame.sha256 != capture.reading["frame"]["sha256"]:
        return Repeat(capture.number, kept, None, False, None, "the stored frame is not the one that was read")
    again = reader.screen(frame)
    reasons = (capture.reading["quality"] or {}).get("reasons", [])
    if REPEATED in reasons:
        return Repeat(capture.number, kept, again.outcome, None, None, "it repeated the camera's frame before")
    if kept is Outcome.NO_RESULT:
        return Repeat(capture.number, kept, again.outcome, None, None, "a fault of that moment")
    difference = _difference(capture, again)
    same = again.outcome is kept and (difference is None or difference <= TOLERANCE)
    return Repeat(capture.number, kept, again.outcome, same, difference, "" if same else again.reason)


def _difference(capture: CaptureRecord, again: Reading) -> float | None:
    before = (capture.reading or {}).get("probabilities")
    if before is None or again.probabilities is None:
        return None
    return max(abs(float(before[name]) - again.probabilities.get(name, 2.0)) for name in before)
