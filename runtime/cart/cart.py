"""`Cart`: the whole as a Python object. A screen, in this process or over HTTP, needs nothing else.

No call blocks, `refresh_worklist` aside: what takes time comes as a `concurrent.futures.Future`. A fault that belongs
to one picture is that picture's outcome, never an exception.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from datetime import date, datetime
from types import TracebackType
from typing import Any, TypeVar

from device.cameras.stills import StillSource
from device.errors import StaleFrame
from device.frame import Frame
from device.live import CameraState
from device.live.reader import LiveReader
from runtime.cart.adjusting import Turned, said_of, shown_controls
from runtime.cart.desk import Desk
from runtime.cart.errors import NotNow, in_words, shown, technical
from runtime.cart.events import Events
from runtime.cart.kept import Supervised
from runtime.cart.lighting import Lighting
from runtime.cart.noted import Noted
from runtime.cart.orders import LatestWorklist, WorklistRow
from runtime.cart.parts import Parts
from runtime.cart.persons import shown_day, shown_name, shown_time
from runtime.cart.preview import Preview
from runtime.cart.room import NOT_AIMED, NOT_OPEN, Hardware, Room, ScreenShown
from runtime.cart.sending import Send
from runtime.cart.service import service_facts, support_zip
from runtime.cart.shelf import Shelf
from runtime.cart.watch import HUNG_S, Watch, stuck_problem
from runtime.commands.text import word
from runtime.errors import ScreeningError
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import EMERGENCY, Infant
from runtime.exam.journal.journal import ID_LETTERS
from runtime.exam.look_twice import ALREADY, folded
from runtime.exam.machine import StopReason
from runtime.exam.naming import cleaned
from runtime.exam.order import Order, Ordered
from runtime.explanation import Explanation
from runtime.outcome import AID_NOTICE, NO_MODEL_NOTICE, Outcome
from runtime.views import Eye, View

T = TypeVar("T")
SEND_EVERY_S = 2.0
"""So often the cart's own sender looks for something to send."""


class Cart:
    """Runs a cart. Any thread may use it; a context manager."""

    def __init__(self, parts: Parts, *, lock_minutes: float = 5.0) -> None:
        self.parts = parts
        self.events = Events()
        self._lock_minutes = lock_minutes
        self._noted = Noted()
        self._shelf = Shelf(parts.bundles, self._health_changed, after=parts.after_bundle, noted=self._noted)
        self._worklist = LatestWorklist(parts.ordering, parts.ae_title, lambda: self.events.tell("worklist"))
        self._desk_problem, self._desk_technical = "starting", ""
        self._watch = Watch()
        self._taking = False
        notice = f"{AID_NOTICE} {NO_MODEL_NOTICE}"
        self._shown: dict[str, Any] = {"exam": None, "delivery": None, "last_exam": None, "notice": notice}
        self.operator: Callable[[], str] = lambda: self._last_operator
        """In whose name the foot switch acts; empty when nobody is there. A screen with sign-in sets its own."""
        self._last_operator = ""
        self._examined: tuple[date, Mapping[str, Outcome]] = (date.min, {})
        self._foot: Future[dict[str, Any]] | None = None
        self._closing = threading.Event()
        self._turned = Turned(parts.open_camera)
        self.camera: Supervised[LiveReader] = Supervised(
            "camera", self._turned.open, _camera_problem, self._health_changed
        )
        still = None
        if parts.open_still is not None:
            still = Supervised("still camera", parts.open_still, _still_problem, self._health_changed)
        lighting = None if parts.light is None else Lighting(parts.light, self._foot_pressed, self._health_changed)
        self.preview = Preview(
            self._newest, parts.limits, hint=lambda found: self.events.tell("hint", hint=found.hint.value)
        )
        self._hardware = Hardware(self.camera, still, lighting, self.preview)
        self._desk: Desk[Room] = Desk(self._open_room, self._close_room, self._idle, failed=self._desk_failed)
        self._sender = None
        if parts.send is not None:
            self._sender = threading.Thread(target=self._send, args=(parts.send,), name="sender", daemon=True)
            self._sender.start()

    # What is shown -------------------------------------------------------------------------------------------------

    def welcome(self) -> dict[str, Any]:
        """What may be seen before anybody signs in."""
        return {
            "station": self.parts.station,
            "notice": self._shown["notice"],
            "health": [{"name": part["name"], "problem": part["problem"]} for part in self.health()],
            "hint": self.parts.sign_in_hint,
        }

    def state(self) -> dict[str, Any]:
        """Everything that the screens show, as of the last command.

        `exam` is empty where none is open, and None for as long as the journal was not opened, so that nobody knows.
        """
        exam = None if self._shown["exam"] is None else dict(self._shown["exam"])
        lighting = self._hardware.lighting
        if exam and exam.get("light") and lighting is not None:
            light = exam["light"]  # set by the last command; whether it is on is the board's to say, now
            recharge_s = round(lighting.recharge.left_s, 2)
            exam["light"] = {**light, "on": light["on"] and lighting.lit, "recharge_s": recharge_s}
        return {
            **self._shown,
            "exam": exam,
            "taking": self._taking,
            "station": self.parts.station,
            "health": self.health(),
            "lock_minutes": self._lock_minutes,
            "worklist": {key: value for key, value in self.worklist().items() if key != "rows"},
            "emergency_id": emergency_id(),
        }

    def exam_shown(self) -> dict[str, Any]:
        """The open exam of `state` as of the last command, empty where none is, or nobody knows; quick, as no part is
        asked for it."""
        return dict(self._shown["exam"] or {})

    def health(self) -> list[dict[str, str]]:
        """Each part with what is wrong and what to do; empty where nothing is. `technical`: what that leaves out."""
        hardware = self._hardware
        software = self._desk_problem or stuck_problem(self._desk.busy_s)
        parts = [("software", software), ("camera", self.camera.problem)]
        if hardware.still is not None:
            parts.append(("still camera", hardware.still.problem or self._watch.stills_problem))
        if hardware.lighting is not None:
            parts.append(("light board", hardware.lighting.problem))
        if self._worklist.exists:
            parts.append(("worklist", self._worklist.answer.problem))
        parts += self._watch.problems
        parts += [check() for check in self.parts.health]
        found = [{"name": name, "problem": problem} for name, problem in parts]
        if self._desk_problem and self._desk_technical:
            found[0]["technical"] = self._desk_technical
        return found

    def _newest(self, max_age_ms: float) -> Frame:
        reader = self.camera.part
        if reader is None:
            raise StaleFrame(self.camera.problem)
        return reader.newest(max_age_ms)

    # The worklist ---------------------------------------------------------------------------------------------------

    def worklist(self) -> dict[str, Any]:
        """The last answer of the worklist; `done` of a row: an exam of today is over, `done_as`: with which outcome."""
        answer = self._worklist.answer
        day, examined = self._examined
        done = {identifier: _done_as(one) for identifier, one in examined.items()} if day == date.today() else {}
        return {
            "exists": self._worklist.exists,
            "age_s": answer.age_s,
            "problem": answer.problem,
            "rows": [_row_dict(row, done.get(folded(row.item.patient_id))) for row in answer.rows],
        }

    def refresh_worklist(self) -> dict[str, Any]:
        """Ask the worklist now; blocks for as long as that takes."""
        self._worklist.refresh()
        return self.worklist()

    def signed_in(self, user: str, *, refused: bool = False) -> Future[None]:
        """Somebody signed in, or tried to with a wrong PIN: for the trail."""
        kind = "sign-in refused" if refused else "signed in"
        return self._desk.do(lambda room: room.journal.note_person(kind, user))

    def pin_changed(self, user: str) -> Future[None]:
        """Somebody gave themselves another PIN: for the trail."""
        return self._desk.do(lambda room: room.journal.note_person("PIN changed", user))

    # An exam --------------------------------------------------------------------------------------------------------

    def open_exam(self, infant: Infant, *, key: str = "", operator: str) -> Future[dict[str, Any]]:
        """Open an exam. key: the line of the worklist that it was ordered by, empty for one that is entered by hand.

        `warnings` of the answer is what `look_before` says.
        The future raises `OrderInvalid` when the order is another infant's, `ExamRefused`, `JournalFull`, `SiteError`.
        """

        def job(room: Room) -> dict[str, Any]:
            order, alike = self._order(key, infant), self._alike(key)
            exam_id = room.open_exam(infant, order, operator)
            room.look_twice(exam_id, infant, self._ordered(), alike, operator)
            self._told_bundle()
            self._last_operator = operator
            return self._said(room)

        return self._desk.do(job)

    def look_before(self, infant: Infant) -> Future[list[str]]:
        """What is to be known before an exam of this infant is opened, in sentences; nothing is opened, nothing kept.

        An exam of today that is over, with its outcome; where the worklist or another exam has its identifier with
        another name or birth; where the worklist has its name and birth under another identifier. Whoever opens the
        exam all the same does so knowingly.
        """
        return self._desk.do(lambda room: room.said_of(infant, self._ordered()))

    def _ordered(self) -> list[dict[str, Any]]:
        return [_fields(row.item) for row in self._worklist.answer.rows]

    def _alike(self, key: str) -> tuple[str, ...]:
        """Why that line of the worklist may be taken for another, as the screen said it when the line was chosen."""
        row = self._worklist.row(key) if key else None
        return () if row is None else row.alike

    def _order(self, key: str, infant: Infant) -> Order | None:
        if not key:
            return None
        row = self._worklist.row(key)
        if row is None:
            raise NotNow("the worklist was asked anew since; choose the line again")
        ordered: Ordered = Ordered.from_dict(_fields(row.item))
        ordered.check_infant(infant)
        return ordered.order

    def aim(self, eye: Eye, view: View, *, exam: str | None = None) -> Future[dict[str, Any]]:
        """Eye and view of the pictures that follow; nothing is inferred from a picture.

        exam: the one that the screen shows, None for whichever is open; `NotNow` where it is not open.
        """

        def job(room: Room) -> dict[str, Any]:
            room.aim_at(eye, view, exam)
            return self._said(room)

        return self._desk.do(job)

    def light(
        self, on: bool, level: int | None = None, *, exam: str | None = None, eye: Eye | None = None
    ) -> Future[dict[str, Any]]:
        """Switch the continuous light for aiming. level: how bright from now on, as the board counts; None as it was.

        exam, eye: on whose account the screen shows it, None for whichever is open and set. Raises `NotNow` where that
        is another one by now, and for more than is calibrated; `DoseExceeded` for more than the eye may have.
        """

        def job(room: Room) -> dict[str, Any]:
            room.light_for(on, level, exam, eye)
            return self._said(room)

        return self._desk.do(job)

    def camera_controls(self) -> Future[list[dict[str, Any]]]:
        """What can be turned on the camera, as `device.cameras.controls.Control` has it; `fixed` says why one cannot.

        Raises `CameraError` where it is not there.
        """
        return self._desk.do(lambda room: shown_controls(self.camera, flashed=room.flashed))

    def set_camera(self, name: str, value: float | None, *, operator: str) -> Future[list[dict[str, Any]]]:
        """Set exposure, focus or gain, None: the camera by itself; between pictures, and kept in the trail.

        The cart sets it again when the camera was lost and is back. Raises `NotNow` for an exposure that a flash is
        timed for, `SettingRefused` for what the camera cannot do.
        """

        def job(room: Room) -> list[dict[str, Any]]:
            control = self._turned.turn(self.camera, name, value, flashed=room.flashed)
            room.journal.note_person("camera set", operator, what=said_of(control))
            self.events.tell("camera")
            return shown_controls(self.camera, flashed=room.flashed)

        return self._desk.do(job)

    def capture(self, *, operator: str, exam: str, aim: tuple[Eye, View]) -> Future[dict[str, Any]]:
        """Take one picture of what is aimed at and read it; `capture` of the answer is its line.

        exam, aim: what the screen showed to whoever pressed; a picture is taken for nothing else. Raises `NotNow` when
        another exam is open, nothing or something else is aimed at, the cart was busy for too long, or the flash
        recharges; `LightError` when no light may be given.
        """
        seen = ScreenShown(exam, aim, time.monotonic())

        def job(room: Room) -> dict[str, Any]:
            self._last_operator = operator
            try:
                return room.capture(operator, seen, takes)
            finally:
                self._taking = False
                self._said(room)

        def takes() -> None:
            self._taking = True
            self.events.tell("taking")

        return self._desk.do(job)

    def close_exam(self, exam_id: str, *, operator: str) -> Future[dict[str, Any]]:
        """Take no more pictures of this exam."""
        return self._change(lambda room: room.close_exam(exam_id, operator), exam_id)

    def stop_exam(self, exam_id: str, *, cause: str, note: str = "", operator: str) -> Future[dict[str, Any]]:
        """End it early: `infant unstable`, `refused` or `equipment`."""
        return self._change(lambda room: room.stop_exam(exam_id, StopReason.of(cause), note, operator), exam_id)

    def void_exam(self, exam_id: str, *, reason: str, operator: str) -> Future[dict[str, Any]]:
        """It counts for nothing; what was sent of it is rejected in the archive."""
        return self._change(lambda room: room.void_exam(exam_id, reason, operator), exam_id)

    def exclude(self, exam_id: str, number: int, *, reason: str, operator: str) -> Future[dict[str, Any]]:
        """Take a picture out of the exam."""
        return self._change(
            lambda room: room.journal.exclude(exam_id, number, reason=reason, operator=operator), exam_id
        )

    def include(self, exam_id: str, number: int, *, reason: str, operator: str) -> Future[dict[str, Any]]:
        """Take back that a picture was excluded."""
        return self._change(
            lambda room: room.journal.include(exam_id, number, reason=reason, operator=operator), exam_id
        )

    def confirm_view(self, exam_id: str, number: int, *, reason: str, operator: str) -> Future[dict[str, Any]]:
        """A picture shows its view although it looks like another one's."""
        return self._change(
            lambda room: room.journal.confirm_view(exam_id, number, reason=reason, operator=operator), exam_id
        )

    def relabel(
        self, exam_id: str, number: int, eye: Eye, view: View, *, reason: str, operator: str
    ) -> Future[dict[str, Any]]:
        """Move a picture to another eye or view."""
        return self._change(
            lambda room: room.journal.relabel(exam_id, number, eye, view, reason=reason, operator=operator), exam_id
        )

    def correct(
        self, exam_id: str, infant: Infant, *, key: str = "", reason: str, operator: str
    ) -> Future[dict[str, Any]]:
        """Infant and order corrected in one step.

        Without `key` the order stays where the infant is the same and a field was wrong, and goes where it is another.
        """

        def job(room: Room) -> None:
            same = room.journal.infant(exam_id).infant_id == infant.infant_id
            order = self._order(key, infant) or (None if same else Order())
            room.journal.amend(exam_id, infant=infant, order=order, reason=reason, operator=operator)
            summary = room.journal.open_exam()
            if summary is not None and summary.exam_id == exam_id:
                room.look_twice(exam_id, infant, self._ordered(), self._alike(key), operator)
            room.take_up()

        return self._change(job, exam_id)

    def document(self, exam_id: str, findings: EyeFindings, *, clinician: str) -> Future[dict[str, Any]]:
        """What a clinician found in an eye; it does not touch the outcome."""
        return self._change(lambda room: room.document(exam_id, findings, clinician), exam_id)

    def _look_who_is_done(self, room: Room) -> None:
        """For the marks of the worklist."""
        today = date.today()
        found = today, room.examined(today)
        if found != self._examined:
            self._examined = found
            self.events.tell("worklist")

    def _change(self, does: Callable[[Room], object], exam_id: str) -> Future[dict[str, Any]]:
        def job(room: Room) -> dict[str, Any]:
            does(room)
            self._said(room)
            self._look_who_is_done(room)
            return room.exam(exam_id)

        return self._desk.do(job)

    # What is stored -------------------------------------------------------------------------------------------------

    def day(self, day: date) -> Future[dict[str, Any]]:
        """The exams of a day (`exams`), and how many of them are in the archive or on their way (`archive`)."""
        return self._desk.do(lambda room: room.day(day))

    def exam(self, exam_id: str) -> Future[dict[str, Any]]:
        """One exam, whole."""
        return self._desk.do(lambda room: room.exam(exam_id))

    def picture(self, exam_id: str, number: int, kind: str) -> Future[tuple[bytes, str]]:
        """A stored picture: (bytes, media type). kind: `thumbnail`, `image`, `overlay`, `gates`."""
        return self._desk.do(lambda room: room.picture(exam_id, number, kind))

    def gates(self, exam_id: str, number: int) -> Future[tuple[bytes, Explanation]]:
        """A stored picture under each of the classifier's gates, JPEG, and what its branches add to the answer.

        Made anew of the stored frame, which takes as long as a reading; a picture that is being taken goes before it
        or waits that long. Show `runtime.explanation.WORDS` beside it. The future raises `ExamRefused` with the reason
        where there are no gates.
        """
        return self._desk.do(lambda room: room.gates(exam_id, number))

    def report(self, exam_id: str, kind: str) -> Future[tuple[bytes, str]]:
        """The report: (bytes, media type). kind: `html` or `pdf`."""
        return self._desk.do(lambda room: room.report(exam_id, kind))

    def service(self) -> Future[dict[str, Any]]:
        """What a technician looks at; nothing of a patient."""
        return self._desk.do(lambda room: service_facts(room, self.health()))

    def test_light(self) -> Future[str]:
        """Ask the light board how it is, in words; no light is given. Raises `NotNow`, `LightError`."""
        return self._desk.do(lambda room: room.test_light())

    def bundles(self) -> dict[str, Any]:
        """The bundles that are installed, how each did when it was tried here, and what is being done; may block."""
        return self._shelf.state()

    def install_bundle(self, path: str) -> None:
        """Install the folder or archive at a path, and try it beside the running one; `bundles` tells what came of it.

        Raises `NotNow` while an exam is open, as the other two changes of bundles do, or another change goes on. It
        needs no desk: where the active bundle does not load there is none.
        """
        self._check_no_exam()
        self._shelf.install(path)

    def activate_bundle(self, sha256: str, *, despite: str = "", operator: str) -> None:
        """Read with an installed bundle from now on. despite: why, where its trial objects. Raises `NotNow`."""
        self._check_no_exam()
        self._shelf.activate(sha256, despite=despite, operator=operator)

    def go_back(self, *, reason: str, operator: str) -> None:
        """Read with the bundle before the active one again. Raises `NotNow`."""
        self._check_no_exam()
        self._shelf.rollback(reason=reason, operator=operator)

    def _check_no_exam(self) -> None:
        """An exam that is opened later keeps its own bundle all the same."""
        if self._shown["exam"]:
            raise NotNow("an exam is open, and keeps the bundle that it began with; change bundles between exams")

    def support_archive(self) -> Future[bytes]:
        """What a technician sends to the maker, as a ZIP; nothing of a patient."""
        return self._desk.do(lambda room: support_zip(room, self.health()))

    # The desk -------------------------------------------------------------------------------------------------------

    def _open_room(self) -> Room:
        journal = self.parts.open_journal()
        self._noted.secrets = journal.secrets
        lights = None
        try:
            lights = None if self.parts.light is None else self.parts.light.open_account()
            summary = journal.open_exam()
            self.parts.use_bundle(None if summary is None else journal.exam(summary.exam_id).rules.bundle.sha256)
            screener = self.parts.open_screener(None)
        except BaseException:
            if lights is not None:
                lights.close()
            journal.close()
            raise
        room = Room(self.parts, self.events, self._hardware, journal, screener, lights, None)
        try:
            room.unread = True
            room.finish_unread()
            room.take_up()
            room.recall()
            self._told_bundle()
            self._watch.look(room, now=True)
            self._look_who_is_done(room)
            self._said(room)
        except BaseException:
            room.close()
            raise
        return room

    def _told_bundle(self) -> None:
        self._shown["notice"] = self.parts.rules().bundle.notice

    def _close_room(self, room: Room) -> None:
        room.close()

    def _idle(self, room: Room) -> None:
        room.screener.between_frames()
        if room.finish_unread():
            self._said(room)
        if room.follow_active():
            self._told_bundle()
            self._watch.look(room, now=True)
            self._said(room)
            self._health_changed()
        if self._watch.look(room):
            self._said(room)
            self._health_changed()

    def _desk_failed(self, error: Exception | None) -> None:
        problem, full = ("", "") if error is None else (shown(error), technical(error))
        if (problem, full) != (self._desk_problem, self._desk_technical):
            self._desk_problem, self._desk_technical = problem, full
            self._health_changed()

    def _said(self, room: Room) -> dict[str, Any]:
        """Keep what the screens show, tell that it changed, and give the exam's part."""
        exam = room.state()
        last = exam.get("exam") or self._shown["last_exam"]
        self._shown = {**self._shown, "exam": exam, "delivery": room.delivery(), "last_exam": last}
        self.events.tell("state")
        return exam

    def _health_changed(self) -> None:
        self.events.tell("health")

    def _foot_pressed(self) -> None:
        """The foot switch takes a picture for whoever works at the cart; one press, one picture."""
        self.events.tell("foot_switch")
        operator = self.operator()
        if not operator or (self._foot is not None and not self._foot.done()):
            return
        exam = self.exam_shown()
        aim = aim_shown(exam)
        if aim is None:
            self.events.tell("refused", reason=NOT_AIMED if exam else NOT_OPEN)
            return
        self._foot = self.capture(operator=operator, exam=exam["exam"], aim=aim)
        self._foot.add_done_callback(self._foot_done)

    def _foot_done(self, done: Future[dict[str, Any]]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self.events.tell("refused", reason=shown(error))

    def _send(self, send: Send) -> None:
        while not self._closing.is_set():
            try:
                send(self._closing.is_set, self._watch.sent)
            except Exception as error:  # each exam's own trouble is in the outbox; the sender itself must not end
                said = shown(error) if isinstance(error, ScreeningError) else ""
                self._watch.sender_problem = said or f"sending does not work ({type(error).__name__}); report it"
            self._closing.wait(SEND_EVERY_S)

    @property
    def alive(self) -> bool:
        """Whether the desk's thread runs, and gets on: for a watchdog."""
        return self._desk.alive and self._desk.busy_s < HUNG_S

    @property
    def lost(self) -> bool:
        """Whether the desk ended by itself, as it does when the engine is lost: this program must be started anew."""
        return self._desk.ended_by_itself

    def close(self) -> None:
        """Light off, everything given back. Closing twice is fine."""
        self._closing.set()
        self.preview.close()
        self._desk.close()
        if self._hardware.lighting is not None:
            self._hardware.lighting.close()
        self.camera.close()
        if self._hardware.still is not None:
            self._hardware.still.close()
        if self._sender is not None:
            self._sender.join(timeout=10)

    def __enter__(self) -> Cart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def aim_shown(exam: Mapping[str, Any]) -> tuple[Eye, View] | None:
    """Eye and view that the screens show beside an exam of `state`; None where none is open, or none is set."""
    aim = exam.get("aim")
    return None if aim is None else (Eye(aim["eye"]), View(aim["view"]))


def emergency_id() -> str:
    """For an infant whose identifier nobody knows yet; two never have the same, whatever any clock says."""
    letters = "".join(secrets.choice(ID_LETTERS) for _ in range(4))
    return f"{EMERGENCY}{datetime.now().astimezone():%Y%m%d-%H%M}-{letters}"


def _still_problem(still: StillSource) -> tuple[str, bool]:
    """Nothing, after a look at what came between presses; what the look raises is said."""
    still.look()
    return "", False


def _camera_problem(reader: LiveReader) -> tuple[str, bool]:
    state = reader.state
    if state in (CameraState.FAILED, CameraState.CLOSED):
        return f"the camera is lost ({state.value}); plug it in, it is opened again by itself", True
    if state is CameraState.STREAMING:
        return "", False
    return f"the camera gives no picture ({state.value}); look at its cable and power", False


def _done_as(outcome: Outcome) -> dict[str, str]:
    return {"outcome": outcome.value, "word": word(outcome), "said": ALREADY[outcome]}


def _row_dict(row: WorklistRow, done_as: dict[str, str] | None) -> dict[str, Any]:
    item = row.item
    return {
        "key": row.key,
        "patient_id": item.patient_id,
        "patient_name": item.patient_name,
        "shown_name": shown_name(item.patient_name),
        "birth_day": shown_day(item.birth_date),
        "sex": item.sex,
        "accession": item.accession,
        "time": shown_time(item.scheduled),
        "station": cleaned(item.station_ae_title),
        "description": cleaned(item.description),
        "unreadable": [in_words(name) for name in item.unreadable],
        "alike": list(row.alike),
        "own": row.own,
        "done": done_as is not None,
        "done_as": done_as,
    }


def _fields(item: Any) -> dict[str, Any]:
    """Of a line of the worklist, for `Ordered.from_dict`, which refuses one of which something could not be read."""
    return asdict(item)
