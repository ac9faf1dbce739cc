"""Light and exam together: what an infant's eyes get is on its account, in the journal, before it is given.

The account is that of the infant, not of a program or an exam: it goes on over exams, restarts and clocks that are
set, and no file beside the journal can be lost. It is kept by the journal's key (`JournalKey.account`), and its events
stay when an exam is retired. An `exposed` event holds

    run, eye, kind (led, flash), level, duration_s, ended (UTC), state (counted, given, refused)
    boot, uptime_s     which start of the machine, and its uptime when the light ended: time that nobody can set
    board              its number; hazards {name: {unit, dose, used, limit, window_s}}, `used` with this exposure

Continuous light is journalled a few seconds ahead, so that a program that dies has counted too much, never too little;
when it goes out, a last event of the same run says how long it was.
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from device.errors import DoseUnrecorded
from device.eye import Eye
from device.light.calibrated import CalibratedLight
from device.light.calibration import LightCalibration
from device.light.dose import DoseAccount, Exposure, LightKind, SteadyClock
from device.light.link import BoardLink
from runtime.exam.board_total import compare
from runtime.exam.errors import ExamError
from runtime.exam.infant import now_utc
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.uptime import uptime_s

AHEAD_S = 5.0
"""Continuous light is journalled for so long at once."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Left:
    """What one hazard leaves an eye."""

    unit: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        """Used of the limit, 0 to 1."""
        return self.used / self.limit


def boot_id() -> str:
    """Which start of the machine this is; empty where the system does not say."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def age_s(exposure: Mapping[str, Any], now: datetime, jumps: tuple[tuple[datetime, float], ...] = ()) -> float:
    """How long ago light ended, in seconds, never more than can be known.

    In the same start of the machine its uptime tells, whatever the clock was set to; else the clock, less by what the
    trail saw it jump forward since (`jumps`: when, and by how many seconds).
    """
    if exposure["boot"] and exposure["boot"] == boot_id():
        return max(0.0, uptime_s() - float(exposure["uptime_s"]))
    ended = datetime.fromisoformat(exposure["ended"])
    forward = sum(by for at, by in jumps if at >= ended and by > 0)
    return max(0.0, (now - ended).total_seconds() - forward)


class LightJournal:
    """Gives the account of light of an exam's infant, kept in the journal; a context manager.

    It has its own connection to the journal, in its own thread: continuous light is counted in the link's thread.
    Raises what `Journal.open` raises.
    """

    def __init__(
        self,
        folder: Path,
        key: JournalKey,
        *,
        clock: Callable[[], datetime] = now_utc,
        anchors: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._desk = _Desk(lambda: Journal.open(folder, key, clock=clock, anchors=anchors))
        self._kept: _ExamAccount | None = None

    def account(self, exam_id: str, operator: str, calibration: LightCalibration, link: BoardLink) -> DoseAccount:
        """The account of the open exam's infant from here on; ask anew when its fields were corrected.

        link: the board, its light off: what it says that it gave is compared first. Raises `DoseUnrecorded` where that
        is more than the journal knows of, `LightError` where the board does not say, and what the journal raises.
        """
        totals = link.totals()
        self._desk.ask(lambda journal: compare(journal, link.board_id, totals))
        clock = SteadyClock()
        bodies, jumps = self._desk.ask(lambda journal: _given(journal, exam_id))
        now, steady_now = self._clock(), clock()
        before = [_exposure(body, steady_now - timedelta(seconds=age_s(body, now, jumps))) for body in bodies]
        keeper = _ExamAccount(self._desk, calibration, exam_id, operator, self._clock)
        account = DoseAccount(
            calibration,
            exposures=sorted(before, key=lambda one: one.ended),
            keep=keeper.keep,
            forget=keeper.forget,
            settle=keeper.settle,
            clock=clock,
        )
        keeper.account = account
        self._kept = keeper
        return account

    @property
    def last_flash(self) -> Mapping[str, Any] | None:
        """The exposure of the last flash on the last account, for its frame's reading; None before the first."""
        return None if self._kept is None else self._kept.last_flash

    def close(self) -> None:
        """Give the journal back; no light is given on its accounts any more. Closing twice is fine."""
        self._desk.close()

    def __enter__(self) -> LightJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ExamLight:
    """A board whose every exposure is in the journal, on the account of the infant whose exam is open.

    `for_exam` turns it to an infant; without that no light is given. A context manager, which puts the light out.
    """

    def __init__(self, kept: LightJournal, link: BoardLink, calibration: LightCalibration) -> None:
        self._kept, self._calibration = kept, calibration
        self.light = CalibratedLight(link, DoseAccount(calibration, keep=_no_exam))
        """For `capture_with_flash` and `illuminate`."""

    def for_exam(self, exam_id: str, operator: str) -> None:
        """The open exam's infant is before the light from here on, also after its fields were corrected."""
        self.light.off()
        self.light.turn_to(self._kept.account(exam_id, operator, self._calibration, self.light.link))

    def no_exam(self) -> None:
        """Light off; no light until `for_exam`."""
        self.light.turn_to(DoseAccount(self._calibration, keep=_no_exam))

    def left(self, eye: Eye) -> dict[str, Left]:
        """What each hazard's limit leaves the eye, by its name."""
        used = self.light.account.used(eye)
        return {one.name: Left(one.unit, used[one.name], one.limit) for one in self._calibration.hazards}

    @property
    def last_flash(self) -> Mapping[str, Any] | None:
        """The exposure of the last flash, for its frame's reading."""
        return self._kept.last_flash

    def __enter__(self) -> ExamLight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.no_exam()


def _no_exam(exposure: Exposure) -> None:
    raise DoseUnrecorded("no exam is open, so no light is given to an eye; open the infant's exam first")


def _given(journal: Journal, exam_id: str) -> tuple[list[dict[str, Any]], tuple[tuple[datetime, float], ...]]:
    bodies = journal.light_of(journal.infant(exam_id).infant_id)
    return [body for body in bodies if body["state"] != "refused"], journal.clock_jumps()


def _exposure(body: Mapping[str, Any], ended: datetime) -> Exposure:
    return Exposure(Eye(body["eye"]), LightKind(body["kind"]), body["level"], body["duration_s"], ended)


class _ExamAccount:
    """Writes one exam's exposures; called with the account's lock held."""

    def __init__(
        self, desk: _Desk, calibration: LightCalibration, exam_id: str, operator: str, clock: Callable[[], datetime]
    ) -> None:
        self.account: DoseAccount | None = None
        self.last_flash: Mapping[str, Any] | None = None
        self._desk, self._calibration, self._clock = desk, calibration, clock
        self._exam_id, self._operator = exam_id, operator
        self._led: _LedRun | None = None

    def keep(self, exposure: Exposure) -> None:
        """On disk when this returns. Raises `DoseUnrecorded`, and the light is not given."""
        if exposure.kind is LightKind.FLASH:
            run = str(uuid.uuid4())
            self._write(run, exposure, exposure.duration_s, "counted")
            self.last_flash = {"run": run, **_facts(exposure, exposure.duration_s)}
            return
        led = self._led
        if led is None or (led.exposure.eye, led.exposure.level) != (exposure.eye, exposure.level):
            self.settle()
            led = self._led = _LedRun(str(uuid.uuid4()), exposure)
        if led.total_s + exposure.duration_s > led.written_s:
            ahead_s = led.total_s + exposure.duration_s + AHEAD_S
            self._write(led.run, exposure, ahead_s, "counted")
            led.written_s = ahead_s
        led.total_s += exposure.duration_s

    def forget(self, exposure: Exposure) -> None:
        """The board refused a flash. Should this not be written, it counts as given."""
        if self.last_flash is not None:
            self._write(str(self.last_flash["run"]), exposure, exposure.duration_s, "refused")
            self.last_flash = None

    def settle(self) -> None:
        """Continuous light has gone out: what was journalled ahead and not given is taken off."""
        led, self._led = self._led, None
        if led is not None and led.total_s > 0:
            try:
                self._write(led.run, led.exposure, led.total_s, "given")
            except DoseUnrecorded:
                return  # too much is counted then, which harms nobody

    def _write(self, run: str, exposure: Exposure, duration_s: float, state: str) -> None:
        body = {
            "run": run,
            **_facts(exposure, duration_s),
            "ended": (self._clock() + timedelta(seconds=duration_s if state == "counted" else 0)).isoformat(),
            "state": state,
            "boot": boot_id(),
            "uptime_s": round(uptime_s() + (duration_s if state == "counted" else 0), 3),
            "board": f"{self._calibration.board_id:016x}",
            "hazards": self._hazards(exposure, duration_s, state),
        }
        try:
            self._desk.ask(lambda journal: journal.expose(self._exam_id, body, operator=self._operator))
        except ExamError as error:
            raise DoseUnrecorded(f"the light cannot be written to the journal, so none is given ({error})") from error

    def _hazards(self, exposure: Exposure, duration_s: float, state: str) -> dict[str, dict[str, Any]]:
        assert self.account is not None
        whole = Exposure(exposure.eye, exposure.kind, exposure.level, duration_s, exposure.ended)
        doses, used = self.account.doses(whole), self.account.used(exposure.eye)
        counted = {name: dose if state == "counted" else 0.0 for name, dose in doses.items()}
        return {
            one.name: {
                "unit": one.unit,
                "dose": 0.0 if state == "refused" else doses[one.name],
                "used": used[one.name] + counted[one.name],
                "limit": one.limit,
                "window_s": one.window_s,
            }
            for one in self._calibration.hazards
        }


@dataclass
class _LedRun:
    run: str
    exposure: Exposure
    total_s: float = 0.0
    written_s: float = 0.0


def _facts(exposure: Exposure, duration_s: float) -> dict[str, Any]:
    return {
        "eye": exposure.eye.value,
        "kind": exposure.kind.value,
        "level": exposure.level,
        "duration_s": round(duration_s, 6),
    }


class _Desk:
    """A journal in a thread of its own, for callers of any thread."""

    def __init__(self, open_it: Callable[[], Journal]) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[Journal], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(open_it,), name="account of light", daemon=True)
        self._thread.start()
        self._opened.result()

    def ask(self, what: Callable[[Journal], _Found]) -> _Found:
        """Have it done, and wait; raises what it raises."""
        if not self._thread.is_alive():
            raise DoseUnrecorded("the account of light is closed, so no light is given; open it anew")
        answer: Future[_Found] = Future()
        self._asked.put((what, answer))
        return answer.result()

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _run(self, open_it: Callable[[], Journal]) -> None:
        try:
            journal = open_it()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        with journal:
            while (asked := self._asked.get()) is not None:
                what, answer = asked
                try:
                    answer.set_result(what(journal))
                except BaseException as error:
                    answer.set_exception(error)
