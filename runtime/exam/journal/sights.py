"""Which earlier frames of an exam a frame is like: measured when its reading is kept, and kept with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.fold import Folded
from runtime.exam.journal.reader import JournalReader
from runtime.exam.likeness import LIMIT, Sight, likeness_either_way, sight, small
from runtime.exam.machine import Capture
from runtime.reading import ViewLike


@dataclass(frozen=True)
class Like:
    """A frame that shows nearly the same place."""

    capture: int
    likeness: float | None
    """None when its picture cannot be read any more: it then counts as like, until a person says otherwise."""


@dataclass(frozen=True, eq=False)
class _Exam:
    """What is kept of one exam; replaced as a whole, so that no thread ever sees one exam's frames as another's."""

    exam_id: str = ""
    sights: dict[int, Sight | None] = field(default_factory=dict)
    taken: dict[int, UInt8Array] = field(default_factory=dict)
    """Those not compared yet; all but the newest are small."""


class Sights:
    """The sights of one exam's frames, kept while it is worked on, made again from the journal after a restart."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._exam = _Exam()
        self._ahead: tuple[str, str, Sight, dict[int, float]] | None = None
        """Of the frame that is being kept: its exam, its SHA-256, how it looks, and how alike others are."""

    def taken(self, exam_id: str, number: int, frame: Frame) -> None:
        """A frame of the exam is kept: so that it need not be read and decoded to be compared.

        Its outcome is waited for, so that it is made small only when the next one comes, if it is still needed then.
        """
        exam = self._of_exam(exam_id)
        for earlier in exam.taken:
            exam.taken[earlier] = small(exam.taken[earlier])
        exam.taken[number] = frame.pixels

    def look_ahead(self, exam_id: str, frame: Frame, vessels: UInt8Array | None) -> None:
        """Compare a frame that was read, while it is being kept, with those that are known: `like` need not then.

        For a thread beside the journal's own; nothing of the journal is touched.
        """
        exam, own = self._exam, sight(frame.pixels, vessels)
        known = exam.sights.copy() if exam.exam_id == exam_id else {}
        alike = {number: likeness_either_way(own, other, LIMIT) for number, other in known.items() if other is not None}
        self._ahead = exam_id, frame.sha256, own, alike

    def like(self, folded: Folded, number: int, vessels: UInt8Array | None) -> tuple[Like, ...]:
        """The frames that were read and are gradable that this one, which is being read, is like."""
        exam, known = self._of_exam(folded.exam.exam_id), dict[int, float]()
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[:2] == (exam.exam_id, folded.exam.capture(number).frame_sha256):
            exam.sights[number], known = ahead[2:]
            exam.taken.pop(number, None)
        own = self._of(folded, number, vessels)
        if own is None:
            return ()
        return tuple(self._found(folded, own, number, known))

    def _of_exam(self, exam_id: str) -> _Exam:
        if self._exam.exam_id != exam_id:
            self._exam = _Exam(exam_id)
        return self._exam

    def _found(self, folded: Folded, own: Sight, number: int, ahead: Mapping[int, float]) -> Iterator[Like]:
        for other in folded.exam.captures:
            if other.number == number or other.reading is None or not other.reading.gradable:
                continue
            if other.frame_sha256 == folded.exam.capture(number).frame_sha256:
                yield Like(other.number, 1.0)
                continue
            try:
                known = other.number in self._exam.sights
                vessels = None if known else self._journal.vessels(folded.exam.exam_id, other.number)
                seen = self._of(folded, other.number, vessels)
            except JournalDamaged:
                yield Like(other.number, None)
                continue
            found = 0.0 if seen is None else ahead.get(other.number) or likeness_either_way(own, seen, LIMIT)
            if found >= LIMIT:
                yield Like(other.number, round(found, 3))

    def _of(self, folded: Folded, number: int, vessels: UInt8Array | None) -> Sight | None:
        exam = self._exam
        if number not in exam.sights:
            image, pixels = folded.facts[number - 1]["image_sha256"], exam.taken.pop(number, None)
            if pixels is None and image is not None:
                pixels = self._journal.image(image)
            exam.sights[number] = None if pixels is None else sight(pixels, vessels)
        return exam.sights[number]


def view_like(folded: Folded, like: tuple[Like, ...], capture: Capture) -> ViewLike | None:
    """The earliest of them that is of another place, for the reading; None when there is none."""
    for one in sorted(like, key=lambda found: found.capture):
        other = folded.exam.capture(one.capture)
        if (
            one.capture < capture.number
            and not other.excluded
            and (other.eye, other.view) != (capture.eye, capture.view)
        ):
            return ViewLike(one.capture, other.eye.value, other.view.value, one.likeness)
    return None
