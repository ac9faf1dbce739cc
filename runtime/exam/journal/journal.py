"""`Journal`: the few ways of writing to a journal, each one transaction that is on disk when the call returns."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from device.frame import Frame
from runtime.exam.errors import ExamRefused, JournalError, JournalFull, JournalUnwritable, KeyUnusable
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant, now_utc
from runtime.exam.journal import fold as folding
from runtime.exam.journal.crypt import HOW, JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.fold import Folded, step, summary_row
from runtime.exam.journal.images import encode_png
from runtime.exam.journal.opening import open_database, prepare
from runtime.exam.journal.reader import JournalReader, order_of
from runtime.exam.journal.records import ExamRecord
from runtime.exam.journal.trail import PROGRAM, Trail, check_end
from runtime.exam.machine import Phase
from runtime.exam.order import Order
from runtime.exam.result import exam_result
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.reading import Reading
from runtime.views import Eye, View

FLOOR_BYTES = 512 * 2**20
"""New exams are refused while the disk has less than this."""
_IMAGES_OF = "SELECT sha256 FROM images WHERE exam = ?"
ID_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Journal(JournalReader):
    """The journal in a folder. One thread at a time; any number of processes. A context manager.

    Everything that is written is on disk when the call returns, or, when it raises, not there at all.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        key: JournalKey | None,
        floor_bytes: int,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(folder, database, key)
        self._floor_bytes = floor_bytes
        self._clock = clock
        self._trail = None if key is None else Trail(key, clock)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        key: JournalKey | None = None,
        *,
        create: bool = False,
        read_only: bool = False,
        check: bool = True,
        floor_bytes: int = FLOOR_BYTES,
        clock: Callable[[], datetime] = now_utc,
    ) -> Journal:
        """Open a journal, bring an older one forward, and clean up after a crash.

        key: needed to write exams and to read the patients' fields. create: make the journal when there is none.
        check: False for verification only, which itself names what does not fit.
        Raises `JournalNewer`, `JournalDamaged`, `JournalUnwritable`, `JournalFull` or `KeyUnusable`.
        """
        folder = Path(folder)
        database = open_database(folder, key, create=create, read_only=read_only)
        journal = cls(folder, database, key, floor_bytes, clock)
        try:
            prepare(journal, journal._trail, check=check)
        except BaseException:
            database.close()
            raise
        return journal

    def begin_exam(
        self, infant: Infant, rules: ExamRules, *, operator: str, station: str = "", order: Order | None = None
    ) -> str:
        """Open an exam and give its id. order: what the worklist said of it, None when it was not ordered.

        Raises `ExamRefused` while another is open, `InfantInvalid` for a birth in the future, `JournalFull` when the
        disk has less than the floor.
        """
        now = self._clock()
        infant.check_born(now)
        key = self._writing_key()
        free = self.free_bytes()
        if free < self._floor_bytes:
            raise JournalFull(
                f"journal {self.folder}: {free // 2**20} MiB left, new exams need {self._floor_bytes // 2**20}; "
                f"free some space, or retire delivered exams (python -m runtime.exam retire)"
            )
        exam_id = f"{now:%Y%m%d}-{''.join(secrets.choice(ID_LETTERS) for _ in range(8))}"
        with self._writing() as (connection, trail):
            already = self.open_exam()
            if already is not None:
                open_id = already.exam_id
                raise ExamRefused(
                    f"exam {open_id} is still open; close it first: python -m runtime.exam close {open_id}"
                )
            content: dict[str, Any] = {
                "rules": rules.to_dict(),
                "station": station,
                "patient": key.encrypt(infant.to_dict(), exam_id),
            }
            if order is not None and not order.empty:
                content["order"] = key.encrypt(order.to_dict(), order_of(exam_id))
            folded = folding.begin(trail.append(connection, exam_id, folding.OPENED, _who(operator), content))
            self._save(connection, summary_row(folded))
        self._known = folded
        return exam_id

    def add_capture(self, exam_id: str, eye: Eye, view: View, frame: Frame | None, *, operator: str) -> int:
        """Accept a frame into the open exam, bound to eye and view, and give its number; its reading comes later.

        frame: None when the camera gave none. On disk when this returns. Raises `ExamRefused` when the exam is not
        open, `JournalFull` when there is no space.
        """
        content: dict[str, Any] = {
            "eye": Eye(eye).value,
            "view": View(view).value,
            "captured_at": (self._clock() if frame is None else frame.captured_at).isoformat(),
            "source": "" if frame is None else frame.source,
            "sequence": 0 if frame is None else frame.sequence,
            "frame_sha256": None if frame is None else frame.sha256,
            "width": None if frame is None else frame.width,
            "height": None if frame is None else frame.height,
        }
        png = None if frame is None else encode_png(frame.pixels)
        kept: str | None = None
        try:
            with self._writing() as (connection, trail):
                folded = self._current(exam_id, trail)
                if png is not None:
                    kept = self.images.put(png)
                    connection.execute("INSERT OR IGNORE INTO images(sha256, exam) VALUES (?, ?)", (kept, exam_id))
                number = len(folded.exam.captures) + 1
                row = trail.append(
                    connection,
                    exam_id,
                    folding.CAPTURED,
                    _who(operator),
                    content | {"number": number, "image_sha256": kept},
                )
                folded = step(folded, row)
                self._save(connection, summary_row(folded))
        except BaseException as error:
            # What a failing `put` left in `incoming` is cleaned up at the next opening. So is the file of a commit
            # that the disk failed at: the log may hold the row all the same, and only that opening can tell.
            if kept is not None and not isinstance(error, JournalUnwritable):
                with suppress(JournalError), self.database.writing():
                    self.images.discard(kept, self.names_image)
            raise
        if kept is not None:
            self.images.settle(kept)
        self._known = folded
        return number

    def add_reading(self, exam_id: str, number: int, reading: Reading) -> None:
        """Keep the reading of a capture, also when the exam was closed meanwhile. On disk when this returns."""
        content = json_of(reading)
        png = None if reading.vessels is None else encode_png(reading.vessels)
        with self._writing() as (connection, trail):
            if png is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO vessels(exam, capture, png) VALUES (?, ?, ?)", (exam_id, number, png)
                )
            body = {"capture": number, "reading": content, "vessels_sha256": _sha256(png)}
            folded = self._step(connection, trail, exam_id, folding.READ, PROGRAM, body)
        self._known = folded

    def relabel(self, exam_id: str, number: int, eye: Eye, view: View, *, reason: str, operator: str) -> None:
        """Move a capture to another eye or view; a reason is needed and stays in the trail."""
        body = {"capture": number, "eye": Eye(eye).value, "view": View(view).value, "reason": reason}
        self._change(exam_id, folding.RELABELLED, operator, body)

    def amend_infant(self, exam_id: str, infant: Infant, *, reason: str, operator: str) -> None:
        """Correct who was examined; a reason is needed and stays in the trail, as do the fields before (encrypted)."""
        infant.check_born(self._clock())
        self._amend(exam_id, {"patient": self._writing_key().encrypt(infant.to_dict(), exam_id)}, reason, operator)

    def amend_order(self, exam_id: str, order: Order, *, reason: str, operator: str) -> None:
        """Correct, add or (an empty one) take away what was ordered; otherwise as `amend_infant`."""
        box = None if order.empty else self._writing_key().encrypt(order.to_dict(), order_of(exam_id))
        self._amend(exam_id, {"order": box}, reason, operator)

    def _amend(self, exam_id: str, body: Mapping[str, Any], reason: str, operator: str) -> None:
        if not reason.strip():
            raise ExamRefused(f"exam {exam_id}: correcting the infant's fields or the order needs a reason")
        self._change(exam_id, folding.AMENDED, operator, {**body, "reason": reason})

    def document(self, exam_id: str, findings: EyeFindings, *, clinician: str) -> None:
        """Keep what a clinician found in an eye, in their words; it does not touch the outcome."""
        self._change(exam_id, folding.DOCUMENTED, clinician, findings.to_dict())

    def close_exam(self, exam_id: str, *, operator: str) -> ExamRecord:
        """Take no more frames. Readings that are not finished may still come, and count."""
        with self._writing() as (connection, trail):
            infant = exam_result(self._current(exam_id, trail).exam).infant
            body = {"outcome": infant.outcome.value, "reason": infant.reason, "where": infant.where}
            folded = self._step(connection, trail, exam_id, folding.CLOSED, _who(operator), body)
        self._known = folded
        self.database.checkpoint()
        return self.exam(exam_id)

    def retire_exam(self, exam_id: str, *, operator: str, destinations: Collection[str] = ()) -> None:
        """Remove images, readings and the patient's fields of a closed exam; its line and its trail remain.

        destinations: where it must have arrived as it stands now, beside those that any exam of this journal was
        ever sent to. Raises `ExamRefused` while it is open, waits for a reading, or has not arrived.
        """
        with self._writing() as (connection, trail):
            folded = self._current(exam_id, trail)
            if folded.exam.phase is not Phase.CLOSED or folded.exam.pending:
                raise ExamRefused(f"exam {exam_id}: it is not finished; close it, and let its readings finish")
            owed = self.deliveries.owed(exam_id, folded.last_seq, destinations)
            if owed:
                raise ExamRefused(f"exam {exam_id}: it has not reached {', '.join(owed)} as it is now; send it first")
            images = [str(sha256) for (sha256,) in self.database.rows(_IMAGES_OF, (exam_id,))]
            self.images.depart(images)
            line = list(summary_row(folded))
            event = trail.append(
                connection, exam_id, folding.RETIRED, _who(operator), {"summary": line, "images": images}
            )
            connection.execute("UPDATE events SET body = NULL WHERE exam = ? AND seq < ?", (exam_id, event.seq))
            connection.execute("DELETE FROM images WHERE exam = ?", (exam_id,))
            connection.execute("DELETE FROM vessels WHERE exam = ?", (exam_id,))
            self._save(connection, folding.retired_row(event))
        self._known = None
        with self.database.writing():  # so that nobody takes the same picture meanwhile
            for sha256 in images:
                self.images.discard(sha256, self.names_image)
        self.database.truncate_log()

    def _change(self, exam_id: str, kind: str, who: str, content: Mapping[str, Any]) -> None:
        with self._writing() as (connection, trail):
            folded = self._step(connection, trail, exam_id, kind, _who(who), content)
        self._known = folded

    def _step(
        self,
        connection: sqlite3.Connection,
        trail: Trail,
        exam_id: str,
        kind: str,
        who: str,
        content: Mapping[str, Any],
    ) -> Folded:
        folded = step(self._current(exam_id, trail), trail.append(connection, exam_id, kind, who, content))
        self._save(connection, summary_row(folded))
        return folded

    def _current(self, exam_id: str, trail: Trail) -> Folded:
        """The exam, without a query when its last event is the trail's: nobody wrote since."""
        known, end = self._known, trail.end
        if known is not None and end is not None and (known.exam.exam_id, known.last_seq) == (exam_id, end.seq):
            return known
        return self.folded(exam_id)

    def _save(self, connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO exams({folding.SUMMARY_COLUMNS}) VALUES ({marks})", row)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, Trail]]:
        self._writing_key()
        assert self._trail is not None
        try:
            with self.database.writing() as connection:
                self._trail.start(connection)
                check_end(self._trail.end, self.key, f"journal {self.folder}")  # nothing is added to an altered one
                yield connection, self._trail
            self._trail.committed()
        except JournalError:
            self._known = None
            raise

    def _writing_key(self) -> JournalKey:
        if self.key is None:
            raise KeyUnusable(f"journal {self.folder}: writing to it needs its key; {HOW}")
        return self.key


def json_of(reading: Reading) -> dict[str, Any]:
    """The reading's JSON object. One with a number that is not finite cannot be kept: it becomes NO_RESULT."""
    content = reading.to_dict()
    try:
        json.dumps(content, allow_nan=False)
    except ValueError:
        content = _finite(content)
        content |= {"outcome": Outcome.NO_RESULT.value, "reason": "a number of the reading is not finite"}
        content |= {"probabilities": None, "quality": None, "vessel_fraction": None}
    return content


def _finite(content: Any) -> Any:
    """The same with None for every number that JSON has no word for."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _who(name: str) -> str:
    if not name.strip():
        raise ExamRefused("operator: got nobody, expected who works at the cart (--operator NAME)")
    return name


def _sha256(png: bytes | None) -> str | None:
    return None if png is None else hashlib.sha256(png).hexdigest()
