"""`JournalReader`: everything that can be read out of a journal; needs its key."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from runtime.arrays import UInt8Array
from runtime.exam.errors import ExamRefused, ExamUnknown, JournalDamaged, KeyUnusable
from runtime.exam.infant import Infant
from runtime.exam.journal import fold as folding
from runtime.exam.journal.anchors import anchor_of
from runtime.exam.journal.chain import EventRow, digest, moment_of
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.deliveries import Deliveries
from runtime.exam.journal.fold import Folded, fold, record_of
from runtime.exam.journal.images import ImageStore
from runtime.exam.journal.keyring import Keyring
from runtime.exam.journal.lines import (
    Lines,
    SealedContent,
    all_lines,
    altered_events,
    events_of,
    line_of,
    named_images,
    own_events,
    sound,
    strand_of,
)
from runtime.exam.journal.once import Once
from runtime.exam.journal.png import decode_png
from runtime.exam.journal.records import ExamRecord, ExamSummary, RejectedInstance, Rejection
from runtime.exam.journal.schema import meta
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import CLOCK, WITH_BEFORE, checked_event
from runtime.exam.journal.witness import Witness
from runtime.exam.machine import Phase
from runtime.exam.order import Order

Self = TypeVar("Self", bound="JournalReader")
Reads = TypeVar("Reads", bound=Callable[..., Any])


def _of_one_moment(method: Reads) -> Reads:
    """A method of `JournalReader` whose reads are held against each other: all of them see the same last commit."""

    @wraps(method)
    def reads(self: JournalReader, *given: Any, **named: Any) -> Any:
        with self.database.snapshot():
            return method(self, *given, **named)

    return cast("Reads", reads)


class JournalReader:
    """The reading half of `Journal`. One thread at a time; a context manager."""

    def __init__(
        self, folder: Path, database: Database, key: JournalKey | None, anchors: Sequence[str | Path] = ()
    ) -> None:
        self.folder = folder
        self.key = key
        self.secrets: Secrets | None = None
        """What the key unwrapped; None without it."""
        self.database = database
        self.images = ImageStore(folder, self.unlocked)
        self.deliveries = Deliveries(database, self.unlocked, self.lines)
        self.witness = Witness(folder)
        self.keyring = Keyring(folder)
        self.anchors = [anchor_of(anchor) for anchor in anchors]
        self.altered: tuple[str, ...] = ()
        """Exams whose row in the table was found altered by the last `exams` or `summary`."""
        self._known: Folded | None = None
        self._record: tuple[Folded, ExamRecord] | None = None
        """The last that was asked for: to be asked for once more costs nothing while nothing was written."""
        self._lines: tuple[tuple[int, ...] | None, Secrets, Lines] | None = None
        """As of the last look, for as long as nothing is written: no picture is to wait for all exams that are kept."""
        self._opened: Once[SealedContent] = Once(sound)

    @property
    def journal_id(self) -> str:
        """A UUID, made with the journal."""
        with self.database.naming():
            if self.secrets is not None:
                return self.secrets.journal_id
            return meta(self.database.connection, "journal_id")

    def unlocked(self) -> Secrets:
        """What the key unwrapped. Raises `KeyUnusable` without a key: all but hashes, numbers and times is sealed."""
        if self.secrets is None:
            raise KeyUnusable(f"journal {self.folder}: it is encrypted, and there is no key; {HOW}")
        return self.secrets

    def free_bytes(self) -> int:
        """Space left on the journal's disk."""
        return shutil.disk_usage(self.folder).free

    def exams(self, *, phase: Phase | None = None) -> list[ExamSummary]:
        """Every exam, or those in one phase, newest first by event; a clock that was set back changes no order.

        A line that was altered in the table is shown as the trail tells it; `altered` names its exam.
        """
        return [kept.summary for kept in self.lines() if phase in (None, kept.summary.phase)]

    @_of_one_moment
    def lines(self) -> tuple[SealedContent, ...]:
        """Every exam's line, newest first, each against its seal and the number of its events; sets `altered`."""
        secrets, mark = self.unlocked(), self.database.mark()
        if mark is None or self._lines is None or self._lines[0] != mark or self._lines[1] is not secrets:
            with self.database.naming():
                self._lines = mark, secrets, all_lines(self.database.connection, secrets, self._opened)
        self.altered = self._lines[2].altered
        return self._lines[2].kept

    def altered_events(self) -> Iterator[tuple[str, str]]:
        """(which event, what is wrong) of everything in the trail that is not as it was written; reads all of it."""
        with self.database.naming():
            yield from altered_events(self.database.connection, self.secrets)

    @_of_one_moment
    def check_whole(self) -> None:
        """Raise `JournalDamaged` unless every event and every row is as it was written; reads the whole trail."""
        self.lines()
        found = next(self.altered_events(), None)
        if found is None and self.altered:
            found = (f"exam {self.altered[0]}", "its line was altered")
        if found is None and not self._images_are_named():
            found = ("the table images", "not what the events name")
        if found is not None:
            raise JournalDamaged(
                f"journal {self.folder}: {found[0]}: {found[1]}; run python -m runtime.exam verify, bring back a copy"
            )

    @_of_one_moment
    def _images_are_named(self) -> bool:
        with self.database.naming():
            kept = self.database.connection.execute("SELECT sha256, exam FROM images").fetchall()
            named = {(sha256, exam) for _, exam, sha256 in named_images(self.database.connection, self.unlocked())}
        return set(kept) == named

    def open_exam(self) -> ExamSummary | None:
        """The exam that is open; there is at most one."""
        found = self.exams(phase=Phase.OPEN)
        return found[0] if found else None

    def summary(self, exam_id: str) -> ExamSummary:
        """One exam's line; raises `ExamUnknown` when there is none of that name."""
        kept, altered = self._line(exam_id)
        self.altered = (exam_id,) if altered else ()
        if kept is None and altered:
            raise JournalDamaged(
                f"exam {exam_id}: its row was altered and its events make none; run python -m runtime.exam verify"
            )
        if kept is None:
            raise ExamUnknown(f"exam {exam_id[:40]!r} is not in this journal; choose one of its list")
        return kept.summary

    @_of_one_moment
    def _line(self, exam_id: str) -> tuple[SealedContent | None, bool]:
        secrets = self.unlocked()
        with self.database.naming():
            return line_of(self.database.connection, secrets, exam_id)

    @_of_one_moment
    def events(self, exam_id: str) -> list[EventRow]:
        """The events of an exam, in their order, as its line seals them. Raises `JournalDamaged`, which names one."""
        secrets = self.unlocked()
        kept, _ = self._line(exam_id)
        with self.database.naming():
            rows = events_of(self.database.connection, secrets, exam_id)
            if kept is None or kept.strand != strand_of(rows):
                wrong = next((found for found in altered_events(self.database.connection, secrets)), None)
                told = "its events are not those that its line seals" if wrong is None else ": ".join(wrong)
                raise JournalDamaged(f"exam {exam_id}: {told}; run python -m runtime.exam verify")
        return rows

    def exam(self, exam_id: str) -> ExamRecord:
        """One exam, whole; raises `ExamRefused` when there is none or it is retired."""
        folded = self.folded(exam_id)
        if self._record is None or self._record[0] is not folded:
            self._record = folded, record_of(folded)
        return self._record[1]

    def infant(self, exam_id: str) -> Infant:
        """Who was examined; raises `KeyUnusable` without the key."""
        return Infant.from_dict(self.folded(exam_id).patient)

    def order(self, exam_id: str) -> Order:
        """What was ordered, empty when nothing was; raises `KeyUnusable` without the key."""
        ordered = self.folded(exam_id).order
        return Order() if ordered is None else Order.from_dict(ordered)

    def image(self, sha256: str) -> UInt8Array:
        """A stored frame, RGB uint8 [H, W, 3], checked against its name. Raises `JournalDamaged`."""
        return decode_png(self.images.read(sha256))

    @_of_one_moment
    def vessels(self, exam_id: str, number: int) -> UInt8Array | None:
        """Vessel probability x 255 of a capture, uint8 [256, 256]; None when its reading has none."""
        if self.summary(exam_id).phase is Phase.RETIRED:
            return None
        folded = self.folded(exam_id)
        sha256 = folded.readings[number]["vessels_sha256"] if number in folded.readings else None
        if sha256 is None:
            return None
        rows = self.database.rows("SELECT sealed FROM vessels WHERE exam = ? AND capture = ?", (exam_id, number))
        png = self.unlocked().open("vessels", f"{exam_id} {number}", rows[0][0] if rows else None)
        if digest(png) != sha256:
            raise JournalDamaged(f"vessels of exam {exam_id}, capture {number}: not its reading's; run verify")
        return decode_png(png)

    @_of_one_moment
    def pending(self) -> list[tuple[str, int]]:
        """(exam id, capture number) whose reading is not finished, in the order of capture."""
        waiting = [
            summary for summary in reversed(self.exams()) if summary.pending and summary.phase is not Phase.RETIRED
        ]
        return [
            (line.exam_id, capture.number) for line in waiting for capture in self.folded(line.exam_id).exam.pending
        ]

    @_of_one_moment
    def folded(self, exam_id: str) -> Folded:
        """The exam as its events tell it; raises `ExamRefused` when there is none or it is retired."""
        summary = self.summary(exam_id)
        if summary.phase is Phase.RETIRED:
            raise ExamRefused(f"exam {exam_id}: it is retired; only its line in the list and its trail remain")
        known = self._known
        if known is not None and (known.exam.exam_id, known.last_seq) == (exam_id, summary.changed_seq):
            return known
        try:
            offset = summary.zone.utcoffset(None) if summary.zone else None
            offset_s = None if offset is None else int(offset.total_seconds())
            self._known = fold(self.events(exam_id), offset_s)
        except (ExamRefused, JournalDamaged, KeyError, ValueError, TypeError, IndexError) as error:
            raise JournalDamaged(
                f"exam {exam_id}: its events make no exam ({error}); run python -m runtime.exam verify"
            ) from None
        return self._known

    def rejections(self, exam_id: str | None = None) -> list[Rejection]:
        """What is rejected in archives, of one exam or of all, oldest first; also of exams that are retired."""
        found = [(row.seq, row.at, row.who, row.content) for row in self._own_events(folding.REJECTED)]
        return [
            Rejection(
                seq,
                moment_of(at),
                who,
                body["exam"],
                body["destination"],
                tuple(RejectedInstance(**one) for one in body["instances"]),
                body["reason"],
                body["document_uid"],
            )
            for seq, at, who, body in found
            if exam_id in (None, body["exam"])
        ]

    @_of_one_moment
    def light_of(self, infant_id: str) -> list[dict[str, Any]]:
        """Every exposure of that infant, over all exams of this journal; needs the key. See `runtime.exam.light`."""
        account = self.unlocked().account(infant_id)
        found: list[dict[str, Any]] = []
        kept_lines = self.lines()
        lost = set(self.altered) - {str(kept.line[0]) for kept in kept_lines}
        if lost:  # whose light it told cannot be known: none is given on a count that may be too low
            raise JournalDamaged(
                f"exam {min(lost)}: its row and its events were altered, so no light can be counted; run verify"
            )
        for kept in kept_lines:
            if account in kept.accounts:
                found += self._light_in(str(kept.line[0]), retired=kept.line[1] == Phase.RETIRED.value)
        return found

    def _light_in(self, exam_id: str, *, retired: bool) -> list[dict[str, Any]]:
        if retired:
            return [dict(one) for one in self.events(exam_id)[-1].content.get("exposures", ())]
        return [dict(one) for one in self.folded(exam_id).exposures.values()]

    def events_after(self, seq: int, most: int) -> tuple[list[EventRow], int]:
        """The next events of the trail after that number, at most so many, and the last one's number; each checked."""
        secrets = self.unlocked()
        rows = self.database.rows(f"{WITH_BEFORE} WHERE seq > ? ORDER BY seq LIMIT ?", (seq, most))
        found = [checked_event(secrets, row) for row in rows]
        return found, found[-1].seq if found else seq

    def moment(self, row: EventRow) -> datetime:
        """When an event was. Raises `JournalDamaged`."""
        return moment_of(row.at)

    def board_said(self, board: str) -> tuple[int, dict[str, int] | None]:
        """(event, what that light board last said that it gave); (0, None) where it never said anything."""
        said = [row for row in self._own_events(folding.BOARD_TOTAL) if row.content["board"] == board]
        return (said[-1].seq, dict(said[-1].content["totals"])) if said else (0, None)

    @_of_one_moment
    def exposures_after(self, seq: int) -> list[dict[str, Any]]:
        """All light that was journalled after an event, over all exams, each run as it was written last."""
        with self.database.naming():
            found = self.database.connection.execute(
                "SELECT DISTINCT exam FROM events WHERE kind = ? AND seq > ? ORDER BY exam", (folding.EXPOSED, seq)
            ).fetchall()
        runs: dict[str, dict[str, Any]] = {}
        for (exam,) in found:
            for row in self.events(str(exam)):
                if row.kind == folding.EXPOSED and row.seq > seq and row.body is not None:
                    runs[row.content["run"]] = row.content
                elif row.kind == folding.RETIRED:  # whose events are without content; all of its light, then
                    runs.update({one["run"]: one for one in row.content.get("exposures", ())})
        return list(runs.values())

    @_of_one_moment
    def _own_events(self, kind: str) -> list[EventRow]:
        """The journal's own events of a kind, in their order."""
        secrets = self.unlocked()
        with self.database.naming():
            return own_events(self.database.connection, secrets, kind)

    def clock_jumps(self) -> tuple[tuple[datetime, float], ...]:
        """Every jump of the clock that the trail saw: when (by the clock after it), and by how many seconds."""
        found = self._own_events(CLOCK)
        return tuple((moment_of(row.at), float(row.content["jumped_s"])) for row in found)

    def holds_plain_images(self) -> bool:
        """Whether pictures of an older journal are still to be sealed."""
        return bool(self.database.rows("SELECT 1 FROM meta WHERE name = 'images'"))

    def names_image(self, sha256: str) -> bool:
        """Whether a row names the file of that hash."""
        return bool(self.database.rows("SELECT 1 FROM images WHERE sha256 = ? LIMIT 1", (sha256,)))

    def close(self) -> None:
        """Close the files. Closing twice is fine."""
        self.database.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
