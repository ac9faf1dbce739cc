"""The stored frames of an exam journal. It is opened for reading only, and nothing is left beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from device.schemes import SCHEMES
from runtime.exam.errors import ExamError, JournalDamaged
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.journal.opening import FILE
from runtime.exam.machine import Phase
from runtime.reread.keyring import JournalKeys
from runtime.reread.stored import Stored

ATTEMPTS = 3


@dataclass
class Exams:
    """Exams that were met, so that a copy of a journal brings none a second time."""

    seen: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Journal and exam to the source's number and the exam's revision."""


def stored_frames(
    number: int, folder: Path, keys: JournalKeys, classes: Sequence[str], exams: Exams, tell: Callable[[str], None]
) -> Iterator[Stored]:
    """Every capture of every exam that is not retired, in the order of the events.

    Raises `JournalError` for a journal that cannot be read; an exam that cannot is told and left out.
    """
    position = 0
    for frames in _unchanged(number, folder, keys, classes, exams, tell):
        for order, frame in enumerate(frames, start=position):
            yield _placed(frame, number, order)
        position += len(frames)


def _unchanged(
    number: int, folder: Path, keys: JournalKeys, classes: Sequence[str], exams: Exams, tell: Callable[[str], None]
) -> Iterator[list[Stored]]:
    """Exam by exam; read anew when a cart writes meanwhile, and only what was read whole is given out."""
    done: set[str] = set()
    for attempt in range(ATTEMPTS):
        before = _state(folder)
        try:
            with keys.open(folder) as journal:
                journal_id = journal.journal_id
                for summary in reversed(journal.exams()):
                    if summary.phase is Phase.RETIRED or summary.exam_id in done:
                        continue
                    key = (journal_id, summary.exam_id)
                    lines: list[str] = []
                    frames = _frames(journal, journal_id, number, summary.exam_id, classes, lines)
                    if _state(folder) != before:
                        break
                    done.add(summary.exam_id)
                    if key in exams.seen:
                        tell(_twice(number, summary.exam_id, summary.changed_seq, exams.seen[key]))
                        continue
                    exams.seen[key] = number, summary.changed_seq
                    for line in lines:
                        tell(line)
                    yield frames
                else:
                    if _state(folder) == before:
                        return
        except JournalDamaged:
            if _state(folder) == before or attempt == ATTEMPTS - 1:
                raise
    tell(f"source {number}: {folder} is being written; exams that changed while it was read may be missing, run again")


def _twice(number: int, exam_id: str, revision: int, first: tuple[int, int]) -> str:
    differs = "" if revision == first[1] else f", at another revision ({revision}, there {first[1]})"
    return f"source {number}: exam {exam_id} came with source {first[0]} already{differs}; left out here"


def _frames(
    journal: Journal, journal_id: str, number: int, exam_id: str, classes: Sequence[str], lines: list[str]
) -> list[Stored]:
    try:
        record = journal.exam(exam_id)
    except ExamError as error:
        lines.append(f"source {number}: exam left out: {error}")
        return []
    other = _other_classes(record, classes)
    if other:
        lines.append(
            f"source {number}: exam {exam_id} left out: read for {', '.join(other)}, "
            f"this bundle tells {', '.join(classes)}; re-read it with a bundle of the same classes"
        )
        return []
    return [_stored(journal.folder, journal_id, record, capture) for capture in record.captures]


def _other_classes(record: ExamRecord, classes: Sequence[str]) -> list[str]:
    """The classes of an exam's readings, where they are not the bundle's: outcomes of two questions are not compared.

    An exam that no reading states the classes of still says which of them refer.
    """
    for capture in record.captures:
        known = (capture.reading or {}).get("probabilities")
        if known:
            return [] if set(known) == set(classes) else sorted(known)
    return [] if set(record.rules.refer_classes) <= set(classes) else sorted(record.rules.refer_classes)


def _stored(folder: Path, journal_id: str, record: ExamRecord, capture: CaptureRecord) -> Stored:
    exam_id, reading = record.summary.exam_id, capture.reading
    known: Mapping[str, float] | None = None if reading is None else reading.get("probabilities")
    probability = None if known is None else float(sum(known[name] for name in record.rules.refer_classes))
    return Stored(
        reading=f"{journal_id}/{exam_id}/{capture.number}",
        order=(0, 0),
        folder=str(folder),
        file=None,
        image_sha256=capture.image_sha256,
        frame_sha256=capture.frame_sha256,
        site=_site(reading) or record.summary.station,
        camera=_camera(capture.source),
        exam=exam_id,
        eye=capture.eye.value,
        view=capture.view.value,
        excluded=bool(capture.excluded),
        old_outcome=None if reading is None else str(reading["outcome"]),
        old_probability=probability,
        old_bundle=record.rules.bundle.sha256,
    )


def _site(reading: Mapping[str, Any] | None) -> str:
    trust = (reading or {}).get("trust") or {}
    return str((trust.get("site") or {}).get("name", ""))


def _camera(source: str) -> str:
    """What kind of source it was; the name of a picture file may be a person's, and is not given."""
    scheme = source.partition(":")[0].lower()
    return scheme if scheme in SCHEMES else "pictures"


def _placed(frame: Stored, number: int, order: int) -> Stored:
    return replace(frame, order=(number, order))


def _state(folder: Path) -> tuple[tuple[int, int] | None, ...]:
    """Size and time of the journal's file and of its log."""

    def of(path: Path) -> tuple[int, int] | None:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return (found.st_size, found.st_mtime_ns) if found.st_size else None

    return of(folder / FILE), of(folder / f"{FILE}-wal")
