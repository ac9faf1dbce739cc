"""`Journal`: the few ways of writing to a journal, each one transaction that is on disk when the call returns."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.exam.errors import ExamRefused, JournalDamaged, JournalError, JournalFull, JournalUnwritable
from runtime.exam.infant import Infant, now_utc
from runtime.exam.journal import deliveries, lines
from runtime.exam.journal import fold as folding
from runtime.exam.journal.changes import JournalChanges
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.database import Database
from runtime.exam.journal.fold import Folded, step, summary_row
from runtime.exam.journal.opening import open_database, prepare
from runtime.exam.journal.png import encode_png
from runtime.exam.journal.records import ExamRecord
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.sights import Like, Sights, view_like
from runtime.exam.journal.trail import PROGRAM, Trail, own_strand, save_own
from runtime.exam.journal.writer import check_length, who_of
from runtime.exam.machine import Phase
from runtime.exam.order import Order
from runtime.exam.result import exam_result
from runtime.exam.rules import ExamRules
from runtime.outcome import Outcome
from runtime.reading import Reading
from runtime.views import Eye, View

FLOOR_BYTES = 512 * 2**20
"""New exams are refused while the disk has less than this."""
ID_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Journal(JournalChanges):
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
        anchors: Sequence[str | Path] = (),
    ) -> None:
        super().__init__(folder, database, key, floor_bytes, clock, anchors)
        self._sights = Sights(self)
        self._ahead: tuple[UInt8Array, bytes] | None = None
        """A vessel map whose reading is to be kept next, and its PNG."""

    @classmethod
    def open(
        cls,
        folder: Path | str,
        key: JournalKey | None = None,
        *,
        create: bool = False,
        read_only: bool = False,
        untouched: bool = False,
        check: bool = True,
        floor_bytes: int = FLOOR_BYTES,
        clock: Callable[[], datetime] = now_utc,
        anchors: Sequence[str | Path] = (),
    ) -> Journal:
        """Open a journal, bring an older one forward, and clean up after a crash.

        key: without it only `verify` does something. create: make the journal when there is none. anchors: files
        outside of the folder, or `syslog`, that are told the newest event, and asked here (`anchors.py`).
        untouched: with read_only, leave no file in the folder either, as SQLite does for its locks; the caller has to
        look whether the journal changed meanwhile.
        check: False for verification only, which itself names what does not fit.
        Raises `JournalNewer`, `JournalDamaged`, `JournalUnwritable`, `JournalFull` or `KeyUnusable`.
        """
        folder = Path(folder)
        database = open_database(folder, key, create=create, read_only=read_only, untouched=untouched)
        journal = cls(folder, database, key, floor_bytes, clock, anchors)
        try:
            prepare(journal, journal._trail_of, check=check)
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
        check_length("station", station)
        free = self.free_bytes()
        if free < self._floor_bytes:
            raise JournalFull(
                f"journal {self.folder}: {free // 2**20} MiB left, new exams need {self._floor_bytes // 2**20}; "
                f"free some space, or retire delivered exams"
            )
        exam_id = f"{now:%Y%m%d}-{''.join(secrets.choice(ID_LETTERS) for _ in range(8))}"
        with self._writing() as (connection, trail):
            already = self.open_exam()
            if already is not None:
                open_id = already.exam_id
                raise ExamRefused(f"exam {open_id} is still open; close it first, or stop or void it")
            content: dict[str, Any] = {
                "rules": rules.to_dict(),
                "station": station,
                "utc_offset_s": _offset_s(now),
                "patient": infant.to_dict(),
            }
            if order is not None and not order.empty:
                content["order"] = order.to_dict()
            folded = folding.begin(trail.append(connection, exam_id, folding.OPENED, who_of(operator), content))
            lines.save(connection, self.unlocked(), lines.kept_of(folded))
        self._known = folded
        return exam_id

    def add_capture(self, exam_id: str, eye: Eye, view: View, frame: Frame | None, *, operator: str) -> int:
        """Accept a frame into the open exam, bound to eye and view, and give its number; its reading comes later.

        frame: None when the camera gave none. On disk when this returns. Raises `ExamRefused` when the exam is not
        open, `JournalFull` when there is no space.
        """
        png = None if frame is None else encode_png(frame.pixels)  # first: who reads it beside this hashes it meanwhile
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
                    who_of(operator),
                    content | {"number": number, "image_sha256": kept},
                )
                folded = step(folded, row)
                lines.save(connection, self.unlocked(), lines.kept_of(folded))
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
        if frame is not None:
            self._sights.taken(exam_id, number, frame)
        return number

    def look_ahead(self, exam_id: str, frame: Frame, reading: Reading) -> None:
        """Do what can be done of `add_reading` while `add_capture` keeps the frame; may be called beside it."""
        if reading.vessels is not None:
            self._ahead = reading.vessels, encode_png(reading.vessels)
        if reading.quality is not None and reading.quality.gradable:
            self._sights.look_ahead(exam_id, frame, reading.vessels)

    def add_reading(self, exam_id: str, number: int, reading: Reading) -> Reading:
        """Keep the reading of a capture, also when the exam was closed meanwhile. On disk when this returns.

        Gives the reading as it was kept: with the earlier frame of another view that it is like, if there is one.
        """
        png, self._ahead = self._png_of(reading.vessels), None
        folded, like = self.folded(exam_id), tuple[Like, ...]()
        gradable = reading.quality is not None and reading.quality.gradable
        if gradable and 1 <= number <= len(folded.exam.captures):
            like = self._sights.like(folded, number, reading.vessels)
            reading = replace(reading, view_like=view_like(folded, like, folded.exam.capture(number)))
        body = {"capture": number, "reading": json_of(reading), "vessels_sha256": _sha256(png)}
        if like:
            body["like"] = [asdict(one) for one in like]
        with self._writing() as (connection, trail):
            if png is not None:
                sealed = self.unlocked().seal("vessels", f"{exam_id} {number}", png)
                connection.execute(
                    "INSERT OR REPLACE INTO vessels(exam, capture, sealed) VALUES (?, ?, ?)", (exam_id, number, sealed)
                )
            folded = self._step(connection, trail, exam_id, folding.READ, PROGRAM, body)
        self._known = folded
        return reading

    def _png_of(self, vessels: UInt8Array | None) -> bytes | None:
        if vessels is not None and self._ahead is not None and self._ahead[0] is vessels:
            return self._ahead[1]
        return None if vessels is None else encode_png(vessels)

    def close_exam(self, exam_id: str, *, operator: str) -> ExamRecord:
        """Take no more frames. Readings that are not finished may still come, and count."""
        with self._writing() as (connection, trail):
            infant = exam_result(self._current(exam_id, trail).exam).infant
            body = {"outcome": infant.outcome.value, "reason": infant.reason, "where": infant.where}
            folded = self._step(connection, trail, exam_id, folding.CLOSED, who_of(operator), body)
        self._known = folded
        self.database.checkpoint()
        return self.exam(exam_id)

    def mend(self) -> tuple[str, ...]:
        """Make rows that were altered again from the trail, and forget deliveries that were; what was mended, in words.

        A delivery that is forgotten is sent anew under the same UIDs. What is mended stands in the trail.
        """
        secrets = self.unlocked()
        self.lines()
        if not self.altered and not self.deliveries.altered() and self._own_is_sealed(secrets):
            return ()
        with self._writing() as (connection, trail):
            told = lines.mend(connection, secrets) + deliveries.forget_altered(connection, secrets)
            trail.append(connection, None, "mended", PROGRAM, {"rows": told})
        self._known = None
        return tuple(told)

    def _own_is_sealed(self, secrets: Secrets) -> bool:
        with self.database.naming():
            try:
                own_strand(self.database.connection, secrets)
            except JournalDamaged:
                return False
        return True

    def rekey(self, new: JournalKey, *, operator: str, wrap_only: bool = False) -> None:
        """Wrap the secrets by a new key, which is needed from here on; with new secrets too for all that is written.

        What was sealed before stays readable by the older secrets, which are wrapped with them; lines, deliveries and
        the head are sealed anew, so that whoever had an older secret can forge none of them. wrap_only: no new secrets.
        """
        self.check_whole()  # nothing that was altered gets a new seal
        secrets = self.unlocked() if wrap_only else self.unlocked().renewed()
        kept, sent = self.lines(), self.deliveries.all()
        with self._writing() as (connection, trail):
            own = own_strand(connection, self.unlocked())
            line = self.keyring.keep(connection, new, secrets)
            save_own(connection, secrets, own)
            for one in kept:
                lines.save(connection, secrets, one)
            for delivery in sent:
                deliveries.save(connection, secrets, delivery)
            renewed = Trail(secrets, self._clock)
            renewed.start(connection)
            renewed.append(connection, None, "rekeyed", who_of(operator), {"secret": secrets.current})
            trail.start(connection)
        self.key, self.secrets, self._trail, self._known = new, secrets, None, None
        with self.database.naming():
            self.keyring.write_file(line)
        self.database.truncate_log()

    def _check_retirable(self, folded: Folded, destinations: Collection[str], discard_typed: bool) -> None:
        exam, exam_id = folded.exam, folded.exam.exam_id
        if exam.phase not in (Phase.CLOSED, Phase.VOIDED) or exam.pending:
            raise ExamRefused(f"exam {exam_id}: it is not finished; close it, and let its readings finish")
        voided = exam.phase is Phase.VOIDED
        typed_seq = 0 if discard_typed or voided else folded.typed_seq
        owed = self.deliveries.owed(exam_id, folded.last_seq, destinations, only_where_sent=voided)
        if owed:
            raise ExamRefused(f"exam {exam_id}: it has not reached {', '.join(owed)} as it is now; send it first")
        owed = self.deliveries.owed(exam_id, folded.last_seq, destinations, typed_seq=typed_seq, only_where_sent=voided)
        if owed:
            raise ExamRefused(
                f"exam {exam_id}: what a person typed into it (findings, reasons) is not proven in {', '.join(owed)}; "
                f"send it first, with this version or a newer one"
            )
        proven = bool(typed_seq) and any(d.typed >= typed_seq for d in self.deliveries.all(exam_id=exam_id))
        lost = folded.documented if voided else () if proven else folded.typed_seq
        if lost and not discard_typed:
            raise ExamRefused(
                f"exam {exam_id}: a person typed findings or reasons into it, and no archive has them; "
                f"keep its report (python -m runtime.exam export {exam_id}), then give --discard-typed"
            )

    def retire_exam(
        self, exam_id: str, *, operator: str, destinations: Collection[str] = (), discard_typed: bool = False
    ) -> None:
        """Remove images, readings and the patient's fields of a closed exam; its line and its trail remain.

        destinations: where it must have arrived as it stands now, beside those that any exam of this journal was
        ever sent to. A voided one only has to be rejected where it was sent. discard_typed: a person says that what
        was typed into it (findings, reasons) may go although no archive has it. Raises `ExamRefused` while it is
        open, waits for a reading, has not arrived, or holds such words.
        """
        with self._writing() as (connection, trail):
            folded = self._current(exam_id, trail)
            self._check_retirable(folded, destinations, discard_typed)
            images = sorted({str(facts["image_sha256"]) for facts in folded.facts if facts["image_sha256"]})
            self.images.depart(images)
            content = {
                "summary": list(summary_row(folded)),
                "images": images,
                "exposures": list(folded.exposures.values()),  # the infant's account of light outlives the exam
                "accounts": sorted(folded.accounts) if folded.exposures else [],
            }
            event = trail.append(connection, exam_id, folding.RETIRED, who_of(operator), content)
            connection.execute("UPDATE events SET body = NULL WHERE exam = ? AND seq < ?", (exam_id, event.seq))
            connection.execute("DELETE FROM images WHERE exam = ?", (exam_id,))
            connection.execute("DELETE FROM vessels WHERE exam = ?", (exam_id,))
            strand = folded.strand.after(event.seq, event.hash)
            lines.save(connection, self.unlocked(), lines.retired(event, strand, folded.opened.seq))
        self._known = None
        with self.database.writing():  # so that nobody takes the same picture meanwhile
            for sha256 in images:
                self.images.discard(sha256, self.names_image)
        self.database.truncate_log()


def _offset_s(now: datetime) -> int:
    """Seconds that this machine's zone is ahead of UTC at that moment."""
    offset = now.astimezone().utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


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


def _sha256(png: bytes | None) -> str | None:
    return None if png is None else hashlib.sha256(png).hexdigest()
