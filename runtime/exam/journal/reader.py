"""`JournalReader`: everything that can be read out of a journal; needs the key for the patients' fields only."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from runtime.arrays import UInt8Array
from runtime.exam.errors import ExamRefused, JournalDamaged, KeyUnusable
from runtime.exam.infant import Infant
from runtime.exam.journal import fold as folding
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.deliveries import Deliveries
from runtime.exam.journal.fold import Folded, fold, record_of, summary_of
from runtime.exam.journal.images import ImageStore, decode_png
from runtime.exam.journal.lines import all_lines, events_of, line_of
from runtime.exam.journal.records import ExamRecord, ExamSummary, RejectedInstance, Rejection
from runtime.exam.journal.schema import meta
from runtime.exam.journal.trail import CLOCK
from runtime.exam.journal.witness import Witness
from runtime.exam.machine import Phase
from runtime.exam.order import Order

Self = TypeVar("Self", bound="JournalReader")


class JournalReader:
    """The reading half of `Journal`. One thread at a time; a context manager."""

    def __init__(self, folder: Path, database: Database, key: JournalKey | None) -> None:
        self.folder = folder
        self.key = key
        self.database = database
        self.images = ImageStore(folder)
        self.deliveries = Deliveries(database)
        self.witness = Witness(folder)
        self.altered: tuple[str, ...] = ()
        """Exams whose row in the table was found altered by the last `exams` or `summary`."""
        self._known: Folded | None = None

    @property
    def journal_id(self) -> str:
        """A UUID, made with the journal."""
        with self.database.naming():
            return meta(self.database.connection, "journal_id")

    def free_bytes(self) -> int:
        """Space left on the journal's disk."""
        return shutil.disk_usage(self.folder).free

    def exams(self, *, phase: Phase | None = None) -> list[ExamSummary]:
        """Every exam, or those in one phase, newest first by event; a clock that was set back changes no order.

        A line that was altered in the table is shown as the trail tells it; `altered` names its exam.
        """
        found = all_lines(self.database.rows)
        self.altered = found.altered
        return [summary for summary in map(summary_of, found.lines) if phase in (None, summary.phase)]

    def open_exam(self) -> ExamSummary | None:
        """The exam that is open; there is at most one."""
        found = self.exams(phase=Phase.OPEN)
        return found[0] if found else None

    def summary(self, exam_id: str) -> ExamSummary:
        """One exam's line; raises `ExamRefused` when there is none of that name."""
        line, altered = line_of(self.database.rows, exam_id)
        self.altered = (exam_id,) if altered else ()
        if line is None and altered:
            raise JournalDamaged(
                f"exam {exam_id}: its row was altered and its events make none; run python -m runtime.exam verify"
            )
        if line is None:
            raise ExamRefused(f"exam {exam_id[:40]!r} is not in this journal; `python -m runtime.exam list` shows all")
        return summary_of(line)

    def exam(self, exam_id: str) -> ExamRecord:
        """One exam, whole; raises `ExamRefused` when there is none or it is retired."""
        return record_of(self.folded(exam_id))

    def infant(self, exam_id: str) -> Infant:
        """Who was examined; raises `KeyUnusable` without the key."""
        return Infant.from_dict(self._reading_key(exam_id).decrypt(dict(self.folded(exam_id).patient), exam_id))

    def order(self, exam_id: str) -> Order:
        """What was ordered, empty when nothing was; raises `KeyUnusable` without the key."""
        key, box = self._reading_key(exam_id), self.folded(exam_id).order
        return Order() if box is None else Order.from_dict(key.decrypt(dict(box), order_of(exam_id)))

    def _reading_key(self, exam_id: str) -> JournalKey:
        if self.key is None:
            raise KeyUnusable(f"exam {exam_id}: the patient's fields are encrypted; {HOW}")
        return self.key

    def image(self, sha256: str) -> UInt8Array:
        """A stored frame, RGB uint8 [H, W, 3], checked against its name. Raises `JournalDamaged`."""
        return decode_png(self.images.read(sha256))

    def vessels(self, exam_id: str, number: int) -> UInt8Array | None:
        """Vessel probability x 255 of a capture, uint8 [256, 256]; None when its reading has none."""
        rows = self.database.rows("SELECT png FROM vessels WHERE exam = ? AND capture = ?", (exam_id, number))
        return decode_png(rows[0][0]) if rows else None

    def pending(self) -> list[tuple[str, int]]:
        """(exam id, capture number) whose reading is not finished, in the order of capture."""
        waiting = [
            summary for summary in reversed(self.exams()) if summary.pending and summary.phase is not Phase.RETIRED
        ]
        return [
            (line.exam_id, capture.number) for line in waiting for capture in self.folded(line.exam_id).exam.pending
        ]

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
            self._known = fold(events_of(self.database.rows, exam_id), offset_s)
        except (ExamRefused, JournalDamaged, KeyError, ValueError, TypeError, IndexError) as error:
            raise JournalDamaged(
                f"exam {exam_id}: its events make no exam ({error}); run python -m runtime.exam verify"
            ) from None
        return self._known

    def rejections(self, exam_id: str | None = None) -> list[Rejection]:
        """What is rejected in archives, of one exam or of all, oldest first; also of exams that are retired."""
        rows = self.database.rows(
            "SELECT seq, at, who, body FROM events WHERE kind = ? ORDER BY seq", (folding.REJECTED,)
        )
        found = [(seq, at, who, json.loads(body)) for seq, at, who, body in rows]
        return [
            Rejection(
                seq,
                datetime.fromisoformat(at),
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

    def light_of(self, infant_id: str) -> list[dict[str, Any]]:
        """Every exposure of that infant, over all exams of this journal; needs the key. See `runtime.exam.light`."""
        account = self._reading_key("light").account(infant_id)
        rows = self.database.rows(
            "SELECT body FROM exposures WHERE exam IN (SELECT exam FROM accounts WHERE account = ?)", (account,)
        )
        return [json.loads(body) for (body,) in rows]

    def clock_jumps(self) -> tuple[tuple[datetime, float], ...]:
        """Every jump of the clock that the trail saw: when (by the clock after it), and by how many seconds."""
        rows = self.database.rows("SELECT at, body FROM events WHERE kind = ? ORDER BY seq", (CLOCK,))
        return tuple((datetime.fromisoformat(at), float(json.loads(body)["jumped_s"])) for at, body in rows)

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


def order_of(exam_id: str) -> str:
    """What the encrypted order of an exam is bound to, so that it cannot stand in for the infant's fields."""
    return f"{exam_id} order"
