"""`ExamSession`: one exam at the cart, from camera frames to journalled readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from device.errors import BoardRefused, CameraError, DeviceError, FlashNotCaught
from device.frame import Frame, StatedOf
from runtime.exam.binding import Aims
from runtime.exam.errors import ExamRefused
from runtime.exam.infant import EMERGENCY, Infant
from runtime.exam.journal import ExamRecord, Journal
from runtime.exam.journal.writer import who_of
from runtime.exam.look_twice import same_identifier
from runtime.exam.machine import StopReason
from runtime.exam.order import Order
from runtime.exam.result import ExamResult, exam_result
from runtime.exam.rules import ExamRules
from runtime.reading import Reader, Reading
from runtime.views import Eye, View

T = TypeVar("T")
NOT_HELD = "the flash was given, but no picture holds it: take it again"
"""Of a flash that no frame is sure to hold; what the board and the camera said of it follows in brackets."""
SIDES = {Eye.OD: "R", Eye.OS: "L"}
"""As DICOM names the patient's sides."""
NO_ONE_EYE = {"B": "both eyes (laterality B)", "RL": "OD and OS at once (its two lateralities contradict each other)"}
"""What a file says of its eye that no eye of an exam can be."""


@dataclass(frozen=True, eq=False)
class Accepted:
    """A frame that is in the journal and waits for its reading."""

    exam_id: str
    number: int
    frame: Frame


class ExamSession:
    """Runs exams on a journal: `open`, then `aim` and `take` for each view, then `close`.

    A frame is journalled before it is read, so that neither a fault nor a power loss after its acceptance loses it;
    `resume` reads what was left unread. It belongs to the thread of its journal.
    """

    def __init__(self, journal: Journal, reader: Reader, *, operator: str, station: str = "") -> None:
        self._journal = journal
        self._reader = reader
        self._operator = who_of(operator)
        self._station = station
        self._aims = Aims()
        self._exam_id: str | None = None

    @property
    def operator(self) -> str:
        """Who works at the cart now; each event carries who did it."""
        return self._operator

    @operator.setter
    def operator(self, name: str) -> None:
        """Someone else takes over, also in the middle of an exam. Raises `ExamRefused` for nobody."""
        self._operator = who_of(name)

    @property
    def exam_id(self) -> str:
        """The exam that is open; raises `ExamRefused` when none is."""
        if self._exam_id is None:
            raise ExamRefused("no exam is open; open one first")
        return self._exam_id

    def open(self, infant: Infant, rules: ExamRules, order: Order | None = None) -> str:
        """Open an exam; see `Journal.begin_exam` for what refuses it."""
        self._exam_id = self._journal.begin_exam(
            infant, rules, operator=self._operator, station=self._station, order=order
        )
        self._aims = self._aims.opened(self._exam_id, time.monotonic_ns())
        return self._exam_id

    def finish_all(self, bundle_sha256: str, threshold: float | None = None) -> int:
        """Read what a crash left unread, as far as it belongs to the reader's bundle; how many frames.

        threshold: the reader's, and then only exams under the same one are read; None reads those under any.
        """
        waiting = []
        for exam_id, number in self._journal.pending():
            rules = self._journal.exam(exam_id).rules
            if rules.bundle.sha256 == bundle_sha256 and threshold in (None, rules.threshold):
                waiting.append((exam_id, number))
        for exam_id, number in waiting:
            self.read_again(exam_id, number)
        return len(waiting)

    def resume(self, bundle_sha256: str, threshold: float | None = None, *, since_ns: int | None = None) -> str | None:
        """`finish_all`, then take up the open exam if there is one, and give its id.

        since_ns: when whoever asks had taken it up already, `time.monotonic_ns()`; None: now.
        """
        self.finish_all(bundle_sha256, threshold)
        summary = self._journal.open_exam()
        if summary is not None:
            self._exam_id = summary.exam_id
            self._aims = self._aims.opened(summary.exam_id, time.monotonic_ns() if since_ns is None else since_ns)
        return self._exam_id

    def read_again(self, exam_id: str, number: int) -> None:
        """Make the reading of a stored frame that has none."""
        frame = stored_frame(self._journal, exam_id, number)
        if frame is None:
            reading = self._reader.unreadable(CameraError("the camera gave no frame"))
        else:
            reading = self._reader.screen(frame)
        self._journal.add_reading(exam_id, number, reading)

    def aim(self, eye: Eye, view: View, *, since_ns: int | None = None) -> None:
        """Eye and view of the frames that are captured from now on, as the operator sets them.

        since_ns: when they were set, `time.monotonic_ns()`; None: now.
        """
        self._aims = self._aims.aimed(eye, view, time.monotonic_ns() if since_ns is None else since_ns)

    def accept(self, frame: Frame) -> Accepted:
        """Journal a frame under what was set when it was captured.

        Raises `ExamRefused`, also for a picture that its file says is another eye's or another patient's, or
        `JournalError`.
        """
        exam_id, eye, view = self._aims.at(frame.captured_ns)
        self._is_its_own(frame.stated, exam_id, eye)
        number = self._journal.add_capture(exam_id, eye, view, frame, operator=self._operator)
        return Accepted(exam_id, number, frame)

    def _is_its_own(self, stated: StatedOf, exam_id: str, eye: Eye) -> None:
        """A file's word is not asked of twice: who set the eye or opened the exam may have taken the wrong one."""
        if stated.eye in NO_ONE_EYE:
            raise ExamRefused(
                f"the picture's file says {NO_ONE_EYE[stated.eye]}, expected {eye.value} alone; look which eye it is, "
                "set that at the camera, and take this eye's picture again"
            )
        if stated.eye not in ("", SIDES[eye]):
            other = next(one for one, side in SIDES.items() if side == stated.eye)
            raise ExamRefused(
                f"the picture's file says {other.value}, {eye.value} is set; set the eye, or take this eye's picture"
            )
        if not stated.patient_id:
            return
        known = self._journal.infant(exam_id).infant_id
        if known and not known.startswith(EMERGENCY) and not same_identifier(known, stated.patient_id):
            raise ExamRefused(
                "the picture's file names another patient's identifier than this exam; take this infant's picture, or "
                "correct the infant's identifier"
            )

    def accept_while(
        self, frame: Frame, does: Callable[[], T], told: Callable[[Accepted], None] = lambda _: None
    ) -> tuple[Accepted, T]:
        """`accept` in a thread of its own while `does` runs in this one; both are done when this returns or raises.

        A large picture takes as long to be encoded and kept as to be read. does: must not touch the journal, which is
        that thread's meanwhile. told: called there as soon as the picture is safe. What `does` raises comes before
        what `accept` raises; the picture is kept all the same.
        """

        def accept() -> Accepted:
            take()
            accepted = self.accept(frame)
            told(accepted)
            return accepted

        with self._journal.database.lent() as take, ThreadPoolExecutor(1, thread_name_prefix="keeper") as keeper:
            accepting = keeper.submit(accept)
            done = does()
        return accepting.result(), done

    def finish(self, accepted: Accepted) -> Reading:
        """Read an accepted frame and journal its reading, to the exam that it was accepted for."""
        reading = self._reader.screen(accepted.frame)
        return self._journal.add_reading(accepted.exam_id, accepted.number, reading)

    def take(self, frame: Frame) -> Reading:
        """`accept` and `finish`."""
        return self.finish(self.accept(frame))

    def miss(self, error: DeviceError) -> Reading:
        """There is no frame for what is set now: journalled as NO_RESULT with the reason, in words for the operator.

        error: of the camera, or of the light (a flash that no frame held, one that the board refused or that the dose
        forbids).
        """
        exam_id, eye, view = self._aims.at(time.monotonic_ns())
        reading = self._reader.unreadable(_in_words(error))
        number = self._journal.add_capture(exam_id, eye, view, None, operator=self._operator)
        return self._journal.add_reading(exam_id, number, reading)

    def exclude(self, number: int, reason: str) -> None:
        """Take a frame of the open exam out of it. Raises `ExamRefused`, also without a reason."""
        self._journal.exclude(self.exam_id, number, reason=reason, operator=self._operator)

    def include(self, number: int, reason: str) -> None:
        """Take back that a frame was excluded."""
        self._journal.include(self.exam_id, number, reason=reason, operator=self._operator)

    def confirm_view(self, number: int, reason: str) -> None:
        """A frame shows its view although its picture is like another view's."""
        self._journal.confirm_view(self.exam_id, number, reason=reason, operator=self._operator)

    def relabel(self, number: int, eye: Eye, view: View, reason: str) -> None:
        """Move a frame of the open exam to another eye or view."""
        self._journal.relabel(self.exam_id, number, eye, view, reason=reason, operator=self._operator)

    @property
    def result(self) -> ExamResult:
        """The outcomes of the open exam as it stands."""
        return exam_result(self._journal.exam(self.exam_id).exam)

    def close(self) -> ExamRecord:
        """Close the open exam."""
        return self._ended(self._journal.close_exam(self.exam_id, operator=self._operator))

    def stop(self, why: StopReason, note: str = "") -> ExamRecord:
        """Close the open exam before every view was taken: it never says that there are no referral findings."""
        return self._ended(self._journal.stop_exam(self.exam_id, why, note=note, operator=self._operator))

    def void(self, reason: str) -> ExamRecord:
        """The open exam counts for nothing."""
        return self._ended(self._journal.void_exam(self.exam_id, reason=reason, operator=self._operator))

    def _ended(self, record: ExamRecord) -> ExamRecord:
        self._exam_id = None
        self._aims = self._aims.closed(time.monotonic_ns())
        return record


def _in_words(error: DeviceError) -> DeviceError:
    """What the person at the cart has to know first, before what the part said."""
    if isinstance(error, FlashNotCaught):
        return FlashNotCaught(f"{NOT_HELD} ({error})")
    if isinstance(error, BoardRefused):
        return BoardRefused(
            f"the light board refused, no flash was given ({error})", code=error.code, detail=error.detail
        )
    return error


def stored_frame(journal: Journal, exam_id: str, number: int) -> Frame | None:
    """A captured frame as it was, from the journal; None when the camera had given none."""
    capture = journal.exam(exam_id).captures[number - 1]
    if capture.image_sha256 is None:
        return None
    return Frame(
        journal.image(capture.image_sha256),
        sequence=capture.sequence,
        source=capture.source,
        captured_at=capture.captured_at,
    )
