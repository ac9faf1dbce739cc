"""The light as the desk uses it: the board's link kept alive, and one account of light for the infant of the exam."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from device.errors import AnotherHost, LightError, PortUnusable
from device.eye import Eye
from device.light.calibrated import CalibratedLight
from device.light.calibration import LightCalibration
from device.light.dose import DoseAccount
from device.light.link import BoardLink
from device.light.messages import EventCode, Flags, NakCode
from runtime.cart.errors import NotNow, shown
from runtime.cart.kept import Supervised
from runtime.cart.parts import LightPart
from runtime.cart.shots import Recharge

BOUNCE_S = 0.3
"""A second press so soon after the first is the switch bouncing."""


def board_words(link: BoardLink, part: LightPart) -> str:
    """Which board answers, and until when its calibration holds. Raises `LightError`."""
    status, calibration = link.status(), part.calibration(link)
    return f"board {status.board_id:016x}, calibrated until {calibration.expires}"


class Lighting:
    """The board while it is there, with its foot switch. Safe for use from several threads, `begin` to `flash` aside.

    account_for: the account of the infant whose exam is open, made by the desk. pressed: told of each press of the
    foot switch, once, however it bounces; changed: told when the board comes, goes or says something.
    """

    def __init__(self, part: LightPart, pressed: Callable[[], None], changed: Callable[[], None]) -> None:
        self._part, self._pressed, self._changed = part, pressed, changed
        self.recharge = Recharge()
        self._level = part.preview_level
        self._light: CalibratedLight | None = None
        self._account: Callable[[LightCalibration, BoardLink], DoseAccount] | None = None
        self._current = False
        """Whether `_light` counts on the account of the exam that is open."""
        self._kept: Supervised[BoardLink] = Supervised("light board", part.open_link, self._problem_of, changed)
        self._closed = threading.Event()
        self._down = False
        self._pressed_ns = 0
        self._listener = threading.Thread(target=self._listen, name="foot switch", daemon=True)
        self._listener.start()

    @property
    def part(self) -> LightPart:
        """How the light is used."""
        return self._part

    @property
    def problem(self) -> str:
        """What is wrong with the board, empty when nothing is."""
        return self._kept.problem

    def begin(self, account: Callable[[LightCalibration, BoardLink], DoseAccount]) -> None:
        """An exam is open: its infant's account is used from now on. account: by the board's calibration."""
        self.off()
        self._account, self._current = account, False
        self._level = self._part.preview_level

    def end(self) -> None:
        """No exam is open: the light is off, and no account is open."""
        self.off()
        self._account, self._current = None, False

    def light(self) -> CalibratedLight:
        """The light under the account of the open exam. Raises `LightError` when there is none to be had."""
        link = self._kept.part
        if link is None:
            raise PortUnusable(f"the light board is not there: {self._kept.problem}")
        if self._account is None:
            raise LightError("no exam is open, so no light is given: there is no account to count it on; open one")
        if self._light is None or self._light.link is not link:
            link.stop()  # what the board says that it gave is compared while it gives nothing
            self._light, self._current = CalibratedLight(link, self._account(self._part.calibration(link), link)), True
        elif not self._current:
            self._light.turn_to(self._account(self._part.calibration(link), link))
            self._current = True
        return self._light

    @property
    def level(self) -> int:
        """How bright the continuous light is, or would be, as the board counts."""
        return self._level

    @property
    def most_level(self) -> int:
        """The brightest continuous light that the board was calibrated for; 0 while no account is open."""
        light = self._light
        if light is None or not self._current:
            return 0
        tops = [hazard.led[-1].level if hazard.led else 0 for hazard in light.account.calibration.hazards]
        return min(tops)

    def set_level(self, level: int) -> None:
        """How bright the continuous light is to be from its next switching. Raises `NotNow`, `LightError`."""
        self.light()
        if not 1 <= level <= self.most_level:
            raise NotNow(f"level {level}: this light was calibrated up to {self.most_level}; choose less")
        self._level = level

    def illuminate(self, eye: Eye) -> None:
        """The continuous light for aiming at that eye, where the cart has one. Raises `LightError`."""
        if self._level > 0:
            self.light().illuminate(eye, self._level)

    def off(self) -> None:
        """Light off; where that fails the board's own watchdog puts it out."""
        light = self._light
        if light is not None:
            with suppress(LightError):
                light.off()

    @property
    def lit(self) -> bool:
        """Whether the continuous light is on, as of the board's last heartbeat."""
        link = self._kept.part
        return link is not None and bool(link.flags & Flags.LIGHT_ON)

    def test(self) -> str:
        """Ask the board how it is, in words; gives no light. Raises `LightError` when it does not answer."""
        link = self._kept.part
        if link is None:
            raise PortUnusable(f"the light board is not there: {self._kept.problem}")
        return board_words(link, self._part)

    def close(self) -> None:
        """Light off, board given back."""
        self._closed.set()
        self.off()
        self._kept.close()
        self._listener.join(timeout=2)

    @staticmethod
    def _problem_of(link: BoardLink) -> tuple[str, bool]:
        """A board that started anew has no connection any more: opened again it is dark, and its account goes on."""
        if isinstance(link.failure, PortUnusable):
            return str(link.failure), True
        if isinstance(link.failure, AnotherHost) and link.failure.code == NakCode.CONNECTION:
            return str(link.failure), True
        if link.failure is not None:
            return shown(link.failure), False
        if not link.flags & Flags.INTERLOCK_CLOSED:
            return "the interlock is open; close it", False
        if link.flags & Flags.OVERHEATED:
            return "the light is too hot; let it cool", False
        return "", False

    def _listen(self) -> None:
        """A press counts when the switch was up before, and not so soon after the last: held or bouncing, it is one."""
        while not self._closed.is_set():
            link = self._kept.part
            if link is None:
                self._down = False
                self._closed.wait(0.1)
                continue
            with suppress(LightError, queue.Empty):
                event = link.next_event(0.25)
                if event is None:
                    continue
                if event.code == EventCode.FOOT_SWITCH:
                    down, self._down = self._down, event.value == 1
                    since_s = (event.received_ns - self._pressed_ns) / 1e9
                    if self._down and not down and since_s >= BOUNCE_S:
                        self._pressed_ns = event.received_ns
                        self._pressed()
                else:
                    self._changed()
                continue
            self._closed.wait(0.1)
