"""What is wrong with the cart beside its cables: disk, model, archive, clock; each with what to do, or empty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from runtime.cart.errors import NotNow, shown
from runtime.cart.persons import shown_span
from runtime.errors import ScreeningError
from runtime.exam.errors import JournalDamaged
from runtime.exam.infant import now_utc
from runtime.exam.journal.journal import FLOOR_BYTES
from runtime.exam.journal.trail import JUMP_S, trail_end
from runtime.uptime import uptime_s

if TYPE_CHECKING:
    from runtime.cart.parts import FrameReader, Parts
    from runtime.exam.journal import Journal

PICTURE_BYTES = 96 * 2**20
"""So much must be free before a picture is asked for: several times what the largest one takes in the journal."""
LOOK_S, ARCHIVE_S = 1.0, 5.0
TOLD_S = 600.0
"""A jump of the clock is said for so long."""
STUCK_S = 12.0
"""No command takes so long: a still may take eight seconds to come."""
HUNG_S = 40.0
"""A desk that is at one command for so long is taken for hung; its supervisor is no longer told that it lives."""


class Watched(Protocol):
    """What is looked at: the desk's room."""

    @property
    def parts(self) -> Parts:
        """What the cart is made of."""
        ...

    @property
    def journal(self) -> Journal:
        """Of the cart."""
        ...

    @property
    def screener(self) -> FrameReader:
        """What reads."""
        ...

    def delivery(self) -> dict[str, Any] | None:
        """Counts of the outbox; None where the cart sends nowhere."""
        ...

    def not_read(self) -> int:
        """How many stills nobody read."""
        ...


class Watch:
    """Looks at what changes slowly. Belongs to the desk's thread, `problems` aside.

    clock: UTC; uptime: seconds that nobody can set.
    """

    def __init__(self, clock: Callable[[], datetime] = now_utc, uptime: Callable[[], float] = uptime_s) -> None:
        self._clock, self._uptime = clock, uptime
        self._ahead = self._offset()
        self._jumped: tuple[float, float] | None = None
        self._looked = self._asked = -1e9
        self._delivery: dict[str, Any] | None = None
        self.stills_problem = ""
        """What is said of stills that nobody read."""
        self.sender_problem = ""
        """Why the cart's own sender does not run; set by its thread."""
        self.problems: tuple[tuple[str, str], ...] = ()
        """(part, what is wrong or empty), as of the last look."""

    def sent(self) -> None:
        """The cart's own sender works."""
        self.sender_problem = ""

    def look(self, room: Watched, *, now: bool = False) -> bool:
        """Look again when it is time; whether something changed."""
        if not now and self._uptime() - self._looked < LOOK_S:
            return False
        self._looked, delivery = self._uptime(), self._delivery
        stills, self.stills_problem = self.stills_problem, stills_problem(room.not_read())
        found = [
            ("disk", disk_problem(room.journal)),
            ("model", model_problem(room.parts, room.screener)),
            ("clock", self._clock_problem(room.journal)),
        ]
        if room.parts.archive:
            found.append(("archive", self._archive_problem(room)))
        before, self.problems = (self.problems, delivery), tuple(found)
        return before != (self.problems, self._delivery) or stills != self.stills_problem

    def _offset(self) -> float:
        return self._clock().timestamp() - self._uptime()

    def _clock_problem(self, journal: Journal) -> str:
        ahead = self._offset()
        if abs(ahead - self._ahead) > JUMP_S:
            self._jumped = (ahead - self._ahead, self._uptime())
            self._ahead = ahead
        try:
            newest = trail_end(journal.database.connection)
            behind_s = 0.0 if newest is None else (newest.moment - self._clock()).total_seconds()
        except JournalDamaged as error:
            return shown(error)
        if behind_s > JUMP_S:
            return (
                f"it is {shown_span(behind_s)} behind the newest entry of the journal; set it to the right time, "
                "times and ages on the screen may be wrong"
            )
        if self._jumped is not None and self._uptime() - self._jumped[1] < TOLD_S:
            jumped_s = self._jumped[0]
            where = "forward" if jumped_s > 0 else "back"
            return f"it was moved {shown_span(abs(jumped_s))} {where}; compare it with a watch"
        return ""

    def _archive_problem(self, room: Watched) -> str:
        if self._uptime() - self._asked >= ARCHIVE_S:
            self._asked = self._uptime()
            self._delivery = room.delivery()
        state = self._delivery
        if state is not None and state["error"]:
            return f"{state['error']}; {state['waiting'] + state['held']} exams wait, none is lost"
        return self.sender_problem


def disk_problem(journal: Journal) -> str:
    """What the journal's disk forbids."""
    free = journal.free_bytes()
    if free < PICTURE_BYTES:
        return f"full, {free // 2**20} MiB left: no picture can be kept; free some space, or call the technician"
    if free < FLOOR_BYTES:
        return f"nearly full, {free // 2**20} MiB left: this exam can be finished, no other opened; free some space"
    return ""


def check_disk(journal: Journal) -> None:
    """Before light is given: whether the picture could be kept. Raises `NotNow`."""
    if journal.free_bytes() < PICTURE_BYTES:
        raise NotNow(f"the disk is {disk_problem(journal)}; no light was given, nothing was taken")


def stills_problem(number: int) -> str:
    """What is said of pictures that came into the camera's folder and were not read."""
    if number == 0:
        return ""
    came, them = ("1 picture", "it") if number == 1 else (f"{number} pictures", "any of them")
    return (
        f"{came} came since this exam was opened for which no button was pressed, that came late or beside another; "
        f"nobody read {them}: take the views again that are missing"
    )


def model_problem(parts: Parts, screener: FrameReader) -> str:
    """Why there would be no result, or what its watch for drift says."""
    if problem := screener.problem or parts.bundle_problem():
        return problem
    try:
        parts.rules()
    except ScreeningError as error:
        return shown(error)
    drift = None if screener.trust is None else screener.trust.drift
    if drift is not None and drift.state == "alarm":
        return f"drift: {'; '.join(drift.reasons)}; have the technician look at Service"
    return ""


def stuck_problem(busy_s: float) -> str:
    """What is said of a command that takes far too long."""
    if busy_s < STUCK_S:
        return ""
    return f"it has been at one command for {shown_span(busy_s)}; where it is supervised it is started anew by itself"
