"""Which earlier frames of an exam a frame is like: measured when its reading is kept, and kept with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.arrays import UInt8Array
from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.fold import Folded
from runtime.exam.journal.reader import JournalReader
from runtime.exam.likeness import LIMIT, Sight, likeness, sight, small
from runtime.exam.machine import Capture
from runtime.reading import ViewLike


@dataclass(frozen=True)
class Like:
    """A frame that shows nearly the same place."""

    capture: int
    likeness: float | None
    """None when its picture cannot be read any more: it then counts as like, until a person says otherwise."""


class Sights:
    """The sights of one exam's frames, kept while it is worked on, made again from the journal after a restart."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._exam_id = ""
        self._kept: dict[int, Sight | None] = {}
        self._taken: dict[int, UInt8Array] = {}

    def taken(self, exam_id: str, number: int, pixels: UInt8Array) -> None:
        """A frame of the exam is kept, RGB uint8 [H, W, 3]: so that it need not be read and decoded to be compared."""
        self._work_on(exam_id)
        self._taken[number] = small(pixels)

    def _work_on(self, exam_id: str) -> None:
        if self._exam_id != exam_id:
            self._exam_id, self._kept, self._taken = exam_id, {}, {}

    def like(self, folded: Folded, number: int, vessels: UInt8Array | None) -> tuple[Like, ...]:
        """The frames that were read and are gradable that this one, which is being read, is like."""
        self._work_on(folded.exam.exam_id)
        own = self._of(folded, number, vessels)
        if own is None:
            return ()
        return tuple(self._found(folded, own, number))

    def _found(self, folded: Folded, own: Sight, number: int) -> Iterator[Like]:
        for other in folded.exam.captures:
            if other.number == number or other.reading is None or not other.reading.gradable:
                continue
            if other.frame_sha256 == folded.exam.capture(number).frame_sha256:
                yield Like(other.number, 1.0)
                continue
            try:
                known = other.number in self._kept
                vessels = None if known else self._journal.vessels(folded.exam.exam_id, other.number)
                seen = self._of(folded, other.number, vessels)
            except JournalDamaged:
                yield Like(other.number, None)
                continue
            found = 0.0 if seen is None else likeness(own, seen, LIMIT)
            if found >= LIMIT:
                yield Like(other.number, round(found, 3))

    def _of(self, folded: Folded, number: int, vessels: UInt8Array | None) -> Sight | None:
        if number not in self._kept:
            image, pixels = folded.facts[number - 1]["image_sha256"], self._taken.pop(number, None)
            if pixels is None and image is not None:
                pixels = self._journal.image(image)
            self._kept[number] = None if pixels is None else sight(pixels, vessels)
        return self._kept[number]


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
