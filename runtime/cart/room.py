"""What the desk's thread owns, and the commands that work on it. Nothing here is called from another thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from device.cameras.stills import StillSource
from device.errors import CameraError, DeviceError, FlashNotCaught, LightError, PressTooSoon
from device.frame import Frame
from device.live import LiveReader
from runtime.cart.errors import NotNow
from runtime.cart.events import Events
from runtime.cart.kept import Supervised
from runtime.cart.lighting import Lighting
from runtime.cart.parts import FrameReader, Parts
from runtime.cart.persons import in_exam_time, shown_name
from runtime.cart.pictures import JPEG, gates_of, picture_of, thumbnail_of
from runtime.cart.preview import Preview
from runtime.cart.shots import CAPTURE_TIMEOUT_MS, take_flashed, take_frame
from runtime.cart.standing import NOWHERE, counted, standing_of
from runtime.cart.state import capture_dict, exam_state, void_awaits_second
from runtime.cart.watch import check_disk
from runtime.dicom.errors import RecordUnusable
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.outbox import outbox_state
from runtime.dicom.page import page as pdf_page
from runtime.errors import ScreeningError
from runtime.exam.describe import summary_dict
from runtime.exam.disagreement import disagreements
from runtime.exam.errors import ExamRefused, JournalError
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant, now_utc
from runtime.exam.journal import CaptureRecord, ExamRecord, ExamSummary, Journal
from runtime.exam.journal.told import TOLD, WENT_ON, told_of
from runtime.exam.light import LightJournal
from runtime.exam.look_twice import examined, for_the_trail, said_of_today, said_otherwise
from runtime.exam.machine import Phase, StopReason
from runtime.exam.order import Order
from runtime.exam.report import report_page
from runtime.exam.session import Accepted, ExamSession
from runtime.explanation import Explanation
from runtime.outcome import Outcome
from runtime.reading import BundleFacts, Reading
from runtime.screener import Screener
from runtime.views import Eye, View


@dataclass(frozen=True)
class ScreenShown:
    """What the screen showed to whoever pressed a button. A picture is taken for nothing else."""

    exam_id: str
    aim: tuple[Eye, View]
    pressed_s: float
    """`time.monotonic()`."""

    def check(self, exam_id: str, aim: tuple[Eye, View]) -> None:
        """Raise `NotNow` where the press is not for this exam, eye and view, or too long ago."""
        if self.exam_id != exam_id:
            raise NotNow(f"{OTHER_OPEN}; nothing was taken, look again")
        if self.aim != aim:
            raise NotNow(
                f"{aim[0].value} {aim[1].value} is set now, the screen showed {self.aim[0].value} {self.aim[1].value}; "
                "nothing was taken, look again"
            )
        if time.monotonic() - self.pressed_s > PRESS_HOLDS_S:
            raise NotNow("the cart was busy as the button was pressed; nothing was taken, press again", retry_s=0.1)


OTHER_OPEN = "another exam is open than the screen showed"
NOT_OPEN = "no exam is open; open one from the worklist"
NO_BOARD = "this cart has no light board; go on without, or have the technician add one"
UNREAD_TOLD = "what was told of this infant's identifier could not be read; compare with the wrist band again"
NOT_AIMED = "eye and view are not set; choose them first"
UNREAD_AGAIN_S = 5.0
PRESS_HOLDS_S = 2.0
"""A press that waited for longer takes no picture: the infant has moved on, and so has whoever pressed."""


@dataclass(eq=False)
class Hardware:
    """What hangs on cables: looked after by threads of its own, whatever the desk does."""

    camera: Supervised[LiveReader]
    still: Supervised[StillSource] | None
    lighting: Lighting | None
    preview: Preview


@dataclass(eq=False)
class Room:
    """Everything that an exam needs, open."""

    parts: Parts
    events: Events
    hardware: Hardware
    journal: Journal
    screener: FrameReader
    lights: LightJournal | None
    """Where light is counted; None where the cart has no light."""
    threshold: float | None
    """Under which `screener` reads; None: the site's."""
    aim: tuple[Eye, View] | None = None
    _aimed_ns: int = 0
    """When that was set, `time.monotonic_ns()`."""
    _taken_ns: int = 0
    """When the last picture was captured: none is taken twice."""
    _since_ns: int = 0
    """The picture that is being taken was captured then or later."""
    told: tuple[str, ...] = ()
    """What is known elsewhere under the identifier of the open exam's infant; shown until that is corrected."""
    _went_on: set[str] = field(default_factory=set)
    """Who takes pictures although it was told, as the journal has it."""
    unread: bool = False
    """Whether a picture may have been kept whose reading could not be."""
    _unkept: tuple[str, int, Reading] | None = None
    _small: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """Small pictures of the open exam, so that no page waits for a large one to be decoded."""
    _explainer: Screener | None = None
    _again_s: float = 0.0
    light_on: bool = False
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """(`time.monotonic()`, milliseconds) of the readings of the last hour."""
    budget_ms: float | None = None
    """Of the last reading; None where it had none, or there was no reading."""
    _stills_since: datetime = field(default_factory=now_utc)
    """When the newest exam was opened, or the cart started."""
    _unopened: bool = False
    """Whether `screener` was given back and another one could not be opened yet."""

    # The exam ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The open exam; empty when none is open."""
        summary = self.journal.open_exam()
        if summary is None:
            return {}
        content = exam_state(self.journal, summary.exam_id, self.aim)
        return content | {"light": self.light_state(), "warnings": [*self.told, *content["warnings"]]}

    def open_exam(self, infant: Infant, order: Order | None, operator: str) -> str:
        """Open an exam, under the bundle that is active now; the engine reads under its threshold from now on."""
        self.follow_active()
        rules = self.parts.rules()
        exam_id = self.session(operator).open(infant, rules, order)
        self.aim, self.light_on, self.told = None, False, ()
        self._small.clear()
        self.take_up()
        self.parts.opened()
        return exam_id

    def look_twice(
        self,
        exam_id: str,
        infant: Infant,
        ordered: Iterable[Mapping[str, Any]],
        alike: Sequence[str],
        operator: str,
    ) -> None:
        """Look for what else is known under the infant's identifier: for the screen, and for the trail.

        ordered: the worklist's lines; alike: what was said of the chosen one; operator: at whose screen it is shown.
        """
        before = self.told
        self.told = tuple(self.said_of(infant, ordered, exam_id))
        self._went_on.clear()
        if self.told or alike or before:
            kept = for_the_trail(self.told)
            self.journal.note_person(TOLD, operator, exam=exam_id, said=kept, alike=list(alike))

    def said_of(self, infant: Infant, ordered: Iterable[Mapping[str, Any]], exam_id: str = "") -> list[str]:
        """What is known of the infant elsewhere, in sentences; exam_id: its own exam, empty before it is opened."""
        return [*said_of_today(infant, self.journal), *said_otherwise(infant, ordered, self.journal, exam_id)]

    def recall(self) -> None:
        """After a start: what was told of the open exam before, and who went on."""
        summary = self.journal.open_exam()
        if summary is None:
            return
        try:
            for one in told_of(self.journal, summary.exam_id):
                if one.kind == TOLD:
                    self.told, self._went_on = one.said, set()
                else:
                    self._went_on.add(one.who)
        except JournalError:
            self.told = (UNREAD_TOLD,)

    def _go_on(self, exam_id: str, operator: str) -> None:
        """Keep who takes pictures although something was told, once for each person."""
        if self.told and operator not in self._went_on:
            self.journal.note_person(WENT_ON, operator, exam=exam_id, said=for_the_trail(self.told))
            self._went_on.add(operator)

    def take_up(self) -> None:
        """What belongs to the open exam: bundle and threshold that it was opened with, the account of its infant."""
        summary = self.journal.open_exam()
        lighting = self.hardware.lighting
        if summary is None:
            if lighting is not None:
                lighting.end()
            return
        rules = self.journal.exam(summary.exam_id).rules
        self._read_under(rules.bundle.sha256, rules.threshold)
        if lighting is not None:
            assert self.lights is not None
            lighting.begin(partial(self.lights.account, summary.exam_id, summary.operator))

    def follow_active(self) -> bool:
        """Between exams, read with the bundle that is active now; whether that is another one than before."""
        if self.journal.open_exam() is not None or not (self.parts.use_bundle(None) or self._unopened):
            return False
        threshold = None
        with suppress(ScreeningError):  # no exam can be opened then, and why is said when somebody tries
            threshold = self.parts.rules().threshold
        self._open_screener(threshold)
        return True

    def _read_under(self, sha256: str, threshold: float) -> None:
        if self.parts.use_bundle(sha256) or self.threshold != threshold or self._unopened:
            self._open_screener(threshold)

    def _open_screener(self, threshold: float | None) -> None:
        self._unopened = True
        self.screener.close()
        if self._explainer is not None:
            self._explainer.close()
            self._explainer = None
        self.screener, self.threshold = self.parts.open_screener(threshold), threshold
        self._unopened = False

    def session(self, operator: str) -> ExamSession:
        """The session of the open exam in that operator's name."""
        self._keep_late()
        if self._unopened:
            self.take_up()
        session = ExamSession(self.journal, self.screener, operator=operator, station=self.parts.station)
        if self.journal.open_exam() is not None:
            since_ns = None if self.aim is None else self._aimed_ns
            session.resume(self.parts.rules().bundle.sha256, self.threshold, since_ns=since_ns)
            if self.aim is not None:
                session.aim(*self.aim, since_ns=since_ns)
        return session

    def finish_pending(self) -> None:
        """Read what a crash or a full disk left unread, each under bundle and threshold of its exam."""
        self._keep_late()
        all_rules = (self.journal.exam(exam).rules for exam, _ in self.journal.pending())
        for sha256, threshold in sorted({(rules.bundle.sha256, rules.threshold) for rules in all_rules}):
            self._read_under(sha256, threshold)
            self.session("cart").finish_all(self.parts.rules().bundle.sha256, threshold)
        self.unread = False

    def finish_unread(self) -> bool:
        """`finish_pending` where a reading could not be kept before; whether that went well now."""
        if not self.unread or time.monotonic() < self._again_s:
            return False
        try:
            self.finish_pending()
        except ScreeningError:  # the disk is still full, or the bundle another one; the pictures wait
            self._again_s = time.monotonic() + UNREAD_AGAIN_S
            return False
        self.take_up()
        return True

    def aim_at(self, eye: Eye, view: View, exam_id: str | None) -> None:
        """Eye and view of the pictures that follow in that exam, None: the open one; the light goes to that eye."""
        if exam_id not in (None, self._open_id()):
            raise NotNow(f"{OTHER_OPEN}; nothing was set, look again")
        other_eye = self.aim is None or self.aim[0] is not eye
        self.aim = (eye, view)
        try:
            self.parts.aimed(eye, view)
            if self.light_on and other_eye:
                self.switch_light(True)
        finally:
            self._aimed_ns = time.monotonic_ns()

    def capture(self, operator: str, seen: ScreenShown, takes: Callable[[], None]) -> dict[str, Any]:
        """Take a picture of what is aimed at and read it; the picture's line, and the exam's.

        seen: what the screen showed as the button was pressed; where it is not so any more, nothing is taken.
        takes: called before a picture is taken, and not for a press that is refused.
        """
        exam_id = self._open_id()
        if self.aim is None:
            raise NotNow(NOT_AIMED)
        seen.check(exam_id, self.aim)
        check_disk(self.journal)
        self._go_on(exam_id, operator)
        session = self.session(operator)
        takes()
        self._since_ns = max(round(seen.pressed_s * 1e9), self._aimed_ns, self._taken_ns + 1)
        preview = self.hardware.preview
        preview.pause()
        frame: Frame | None = None
        try:
            try:
                frame = self._frame(self.aim[0])
                self._taken_ns = frame.captured_ns
            except (CameraError, LightError) as error:
                reading = self._missed(session, error)
            else:
                self._accept_and_read(session, exam_id, frame)
                reading = self._keep()
                self._timed(reading)
            record = self.journal.exam(exam_id)
            shown = capture_dict(record, record.captures[-1])
            told = {key: shown[key] for key in ("number", "outcome", "banner")}
            self.events.tell("reading", exam=exam_id, **told, capture=dict(shown))
            if frame is not None:  # every page asks for it in a moment
                self._small[exam_id, shown["number"]] = thumbnail_of(frame.pixels)
        finally:
            preview.resume()
        return {"exam": exam_id, "captures": [shown], "capture": shown}

    def _accept_and_read(self, session: ExamSession, exam_id: str, frame: Frame) -> None:
        """Side by side; the reading waits in `_unkept` for `_keep`, which there is none of for a picture not kept."""
        own = self.journal.exam(exam_id).rules.bundle

        def told(accepted: Accepted) -> None:
            self.unread = True
            self.parts.taken()
            self.events.tell("captured", exam=exam_id, number=accepted.number)

        def read() -> Reading:
            reading = self._read(own, frame)
            self.journal.look_ahead(exam_id, frame, reading)
            return reading

        accepted, reading = session.accept_while(frame, read, told)
        self._unkept = (exam_id, accepted.number, reading)

    def _read(self, own: BundleFacts, frame: Frame) -> Reading:
        """The reading of a frame; by another bundle than the exam's `own` it is no result, and is shown as none."""
        reading = self.screener.screen(frame)
        if reading.bundle is None or reading.bundle.sha256 == own.sha256:
            return reading
        why = self.parts.bundle_problem() or f"read with another bundle than the exam's {own.name} {own.version}"
        return replace(reading, outcome=Outcome.NO_RESULT, reason=why)

    def _keep(self) -> Reading:
        """Journal the reading that waits. It is made once only: the same picture again would be a repeated one."""
        assert self._unkept is not None
        reading = self.journal.add_reading(*self._unkept)
        self.unread, self._unkept = False, None
        return reading

    def _keep_late(self) -> None:
        """`_keep` for a reading of before; an exam that takes none any more, as one that is void, goes without."""
        if self._unkept is None:
            return
        try:
            self._keep()
        except ExamRefused:
            self._unkept = None

    def _missed(self, session: ExamSession, error: CameraError | LightError) -> Reading:
        """A picture that could not be had is a NO_RESULT of the exam; a light that was refused took none at all."""
        if isinstance(error, (CameraError, FlashNotCaught)):
            return session.miss(error)
        raise error

    def _frame(self, eye: Eye) -> Frame:
        """One picture, by the way that this cart has; without flash the first that was captured after the press."""
        hardware = self.hardware
        if hardware.still is not None:
            still = hardware.still.part
            if still is None:
                raise CameraError(f"the camera's still pictures: {hardware.still.problem}")
            try:
                return still.take(time.monotonic_ns(), self.parts.still_timeout_ms)
            except PressTooSoon as error:
                raise NotNow(str(error), retry_s=error.left_s) from None
        reader = hardware.camera.part
        if reader is None:
            raise CameraError(f"the camera is not there: {hardware.camera.problem}")
        lighting = hardware.lighting
        if lighting is None or lighting.part.flash is None:
            return take_frame(reader, self._since_ns, timeout_ms=CAPTURE_TIMEOUT_MS)
        return take_flashed(reader, lighting.light(), lighting.part.flash, eye, lighting.recharge)

    def not_read(self) -> int:
        """How many stills came since the newest exam was opened that no press asked for, so that nobody read them."""
        still = None if self.hardware.still is None else self.hardware.still.part
        if still is None:
            return 0
        summary, given = self.journal.open_exam(), set[str]()
        if summary is not None:
            self._stills_since = summary.opened_at
            with suppress(ScreeningError):  # a damaged exam is said elsewhere; rather too many pictures are told here
                given = {capture.source for capture in self.journal.exam(summary.exam_id).captures}
        return still.not_asked_for(round(self._stills_since.timestamp() * 1e9), given)

    def _timed(self, reading: Reading) -> None:
        now, total = time.monotonic(), reading.timings_ms.total
        self.budget_ms = reading.budget_ms
        if total is not None:
            self.latencies = [(at, ms) for at, ms in self.latencies if at > now - 3600] + [(now, total)]

    @property
    def flashed(self) -> bool:
        """Whether pictures are taken by a flash."""
        lighting = self.hardware.lighting
        return lighting is not None and lighting.part.flash is not None

    def light_for(self, on: bool, level: int | None, exam_id: str | None, eye: Eye | None) -> None:
        """`switch_light` for whoever's screen shows that exam and eye; putting it out is never refused."""
        if exam_id not in (None, self._open_id() if on or level is not None else exam_id):
            raise NotNow(f"{OTHER_OPEN}; no light was given, look again")
        if on and eye is not None and self.aim is not None and self.aim[0] is not eye:
            raise NotNow(
                f"{self.aim[0].value} is set now, the screen showed {eye.value}; no light was given, look again"
            )
        self.switch_light(on, level)

    def switch_light(self, on: bool, level: int | None = None) -> None:
        """The continuous light for aiming, and how bright it is."""
        lighting = self.hardware.lighting
        if lighting is None:
            raise NotNow(NO_BOARD)
        if level is not None:
            lighting.set_level(level)
        if not on:
            lighting.off()
            self.light_on = False
            return
        if self.aim is None:
            raise NotNow("the light is counted for an eye; choose eye and view first")
        lighting.illuminate(self.aim[0])
        self.light_on = True

    def test_light(self) -> str:
        """What the light board answers; no light is given, as there may be no account to count it on."""
        lighting = self.hardware.lighting
        if lighting is None:
            raise NotNow(NO_BOARD)
        return lighting.test()

    def _open_id(self) -> str:
        summary = self.journal.open_exam()
        if summary is None:
            raise NotNow(NOT_OPEN)
        return summary.exam_id

    def close_exam(self, exam_id: str, operator: str) -> None:
        """Take no more pictures."""
        self.journal.close_exam(exam_id, operator=operator)
        self._ended()

    def stop_exam(self, exam_id: str, why: StopReason, note: str, operator: str) -> None:
        """End it early."""
        self.journal.stop_exam(exam_id, why, note=note, operator=operator)
        self._ended()

    def void_exam(self, exam_id: str, reason: str, operator: str) -> None:
        """It counts for nothing."""
        self.journal.void_exam(exam_id, reason=reason, operator=operator)
        self._ended()

    def _ended(self) -> None:
        if self.journal.open_exam() is None:
            self.aim, self.light_on = None, False
            self.take_up()

    def document(self, exam_id: str, findings: EyeFindings, clinician: str) -> None:
        """What a clinician found."""
        self.journal.document(exam_id, findings, clinician=clinician)

    # The light --------------------------------------------------------------------------------------------------

    def light_state(self) -> dict[str, Any] | None:
        """The light as the capture screen shows it; None where the cart has none."""
        lighting = self.hardware.lighting
        if lighting is None:
            return None
        dose: dict[str, Any] = {}
        with suppress(DeviceError, ExamRefused):
            dose = _dose(lighting)
        return {
            "on": self.light_on,
            "level": lighting.level,
            "most": lighting.most_level,
            "recharge_s": round(lighting.recharge.left_s, 2),
            "dose": dose,
            "problem": lighting.problem,
        }

    # What is shown of the journal ----------------------------------------------------------------------------------

    def exam(self, exam_id: str) -> dict[str, Any]:
        """One exam, whole, with what clinicians wrote and what its operators were told."""
        content = exam_state(self.journal, exam_id)
        if "changes" in content:
            summary = self.journal.summary(exam_id)
            told = [in_exam_time(one.to_change(), summary) for one in told_of(self.journal, exam_id)]
            content["changes"] = sorted([*content["changes"], *told], key=lambda change: int(change["event"]))
        return content

    def day(self, day: date) -> dict[str, Any]:
        """The exams that were opened on a day, by the clock on the wall then, newest first, and where they stand.

        `archive` counts them, see `counted`; None where the cart sends nowhere.
        """
        with self.journal.database.snapshot():
            every = self.journal.exams()
            standing = standing_of(self.journal, every) if self.parts.archive else {}
            of_day = [one for one in every if one.local(one.opened_at).date() == day]
            lines = [self._line(summary, standing.get(summary.exam_id, NOWHERE)) for summary in of_day]
        return {
            "exams": lines,
            "archive": counted(standing, {one.exam_id for one in of_day}) if self.parts.archive else None,
        }

    def examined(self, day: date) -> dict[str, Outcome]:
        """By folded identifier, see `look_twice.examined`."""
        return examined(self.journal, day)

    def _line(self, summary: ExamSummary, delivery: Mapping[str, str]) -> dict[str, Any]:
        retired = summary.phase is Phase.RETIRED
        infant = None if retired else self.journal.infant(summary.exam_id)
        record = None if retired else self.journal.exam(summary.exam_id)
        content = summary_dict(summary)
        content |= {
            "word": content["outcome"].replace("_", " "),
            "shown_name": "-" if infant is None else shown_name(infant.name),
            "infant_id": "-" if infant is None else infant.infant_id,
            "voided": summary.phase is Phase.VOIDED,
            "void_awaits_second": record is not None and void_awaits_second(record),
            "disagrees": record is not None and bool(disagreements(record)),
            "warnings": [] if record is None else list(record.result.warnings),
            "delivery": delivery,
        }
        return dict(in_exam_time(content, summary))

    def picture(self, exam_id: str, number: int, kind: str) -> tuple[bytes, str]:
        """A stored picture as a file's bytes and its media type."""
        record = self.journal.exam(exam_id)  # raises for one that is retired, whose pictures are gone
        if kind == "gates":
            return self.gates(exam_id, number)[0], JPEG
        if kind == "thumbnail" and (exam_id, number) in self._small:
            return self._small[exam_id, number], JPEG
        return picture_of(self.journal, record, _capture(record, number), kind)

    def gates(self, exam_id: str, number: int) -> tuple[bytes, Explanation]:
        """A stored picture under the classifier's gates as a JPEG, and what they tell. Raises `ExamRefused`."""
        record = self.journal.exam(exam_id)
        return gates_of(self.journal, record, _capture(record, number), self._telling(exam_id))

    def _telling(self, exam_id: str) -> Screener:
        """What can tell gates: what reads, or, where that cannot, a Screener for it that is opened when first asked."""
        if self._unopened:
            raise ExamRefused(
                f"exam {exam_id}: its gates cannot be shown: no model is open; see Service, and try again"
            )
        if isinstance(self.screener, Screener) and self.screener.explains:
            return self.screener
        if self.parts.open_explainer is None:
            raise ExamRefused(f"exam {exam_id}: what reads for this cart gives no gates")
        if self._explainer is None:
            try:
                self._explainer = self.parts.open_explainer()
            except ScreeningError as error:
                raise ExamRefused(f"exam {exam_id}: its gates cannot be shown: {error}") from error
        return self._explainer

    def report(self, exam_id: str, kind: str) -> tuple[bytes, str]:
        """The report, `html` or `pdf`, with its media type."""
        if kind == "html":
            return report_page(self.journal, exam_id).encode(), "text/html; charset=utf-8"
        try:
            exam = exam_from_journal(self.journal, exam_id, self.parts.station_facts)
        except RecordUnusable as error:
            raise NotNow(f"there is no PDF of it now, look at the page: {error}") from None
        return pdf_page(exam), "application/pdf"

    def delivery(self) -> dict[str, Any] | None:
        """Counts of the outbox; None where the cart sends nowhere."""
        if not self.parts.archive:
            return None
        state = outbox_state(self.journal, now_utc())
        return {
            "waiting": state.waiting + state.proving,
            "held": state.held,
            "done": state.done,
            "error": state.last_error,
        }

    def close(self) -> None:
        """Give engine and journal back; the light is off."""
        if self.hardware.lighting is not None:
            self.hardware.lighting.end()
        if self.lights is not None:
            self.lights.close()
        for reader in (self.screener, self._explainer):
            with suppress(Exception):
                if reader is not None:
                    reader.close()
        self.journal.close()


def _capture(record: ExamRecord, number: int) -> CaptureRecord:
    if not 1 <= number <= len(record.captures):
        raise ExamRefused(f"exam {record.summary.exam_id}: there is no picture {number}")
    return record.captures[number - 1]


def _dose(lighting: Lighting) -> dict[str, dict[str, dict[str, float | str]]]:
    """By eye and hazard: what was given, the limit, its unit."""
    account = lighting.light().account
    shown: dict[str, dict[str, dict[str, float | str]]] = {}
    for eye in Eye:
        used = account.used(eye)
        shown[eye.value] = {
            hazard.name: {"used": used[hazard.name], "limit": hazard.limit, "unit": hazard.unit}
            for hazard in account.calibration.hazards
        }
    return shown
