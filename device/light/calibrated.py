"""The light as the rest of the program uses it: a board whose every exposure is counted before it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from device.errors import BoardRefused, CalibrationInvalid, DoseExceeded
from device.eye import Eye
from device.light.board import WATCHDOG_MS
from device.light.dose import DoseAccount, LightKind
from device.light.link import BoardLink, FlashReceipt

_AHEAD_S = WATCHDOG_MS / 1000


@dataclass
class _Lit:
    eye: Eye
    level: int
    paid_until: float
    """`time.monotonic()` seconds up to which the light has been counted."""


class CalibratedLight:
    """A board link and a dose account together. Safe for use from several threads.

    Continuous light is counted 500 ms ahead, because that is how long it stays on if this program dies; so the account
    can be up to 500 ms a switching too high, never too low. When the next stretch is refused, the light goes off.

    Raises `CalibrationInvalid` when the account's calibration is for another board.
    """

    def __init__(self, link: BoardLink, account: DoseAccount) -> None:
        if account.calibration.board_id != link.board_id:
            raise CalibrationInvalid(
                f"calibration is for board {account.calibration.board_id:016x}, connected is {link.board_id:016x}; "
                "use this board's own file"
            )
        self.link = link
        self.account = account
        self._lock = threading.Lock()
        self._lit: _Lit | None = None
        self._refused: DoseExceeded | None = None
        self._outer_guard = link.guard
        link.guard = self._guard

    @property
    def refused(self) -> DoseExceeded | None:
        """Why the continuous light was put out, when the dose was the reason; cleared by the next `illuminate`."""
        return self._refused

    def illuminate(self, eye: Eye, level: int) -> None:
        """Continuous light at `level` to an eye until `off`. Raises `DoseExceeded` or what the link raises."""
        with self._lock:
            self.account.add(eye, LightKind.LED, level, _AHEAD_S)
            self._refused = None
            # Before the request: should its reply be lost, the light may be on and must go on being counted.
            before, self._lit = self._lit, _Lit(eye, level, time.monotonic() + _AHEAD_S)
            try:
                self.link.set_led(level)
            except BoardRefused:
                self._lit = before
                raise

    def off(self) -> None:
        """Light off and disarmed."""
        with self._lock:
            self.link.stop()
            self._lit = None

    def flash(
        self, eye: Eye, flash_us: int, level: int, *, before_fire: Callable[[], None] = lambda: None
    ) -> FlashReceipt:
        """One flash to an eye. Raises `DoseExceeded` before anything is sent, or what the link raises.

        `before_fire` is called between ARM and FIRE and may wait there, for less than the 2 s that ARM is valid. The
        flash counts as given once ARM may have been sent, also when its reply was lost or it was refused.
        """
        with self._lock:
            self.account.add(eye, LightKind.FLASH, level, flash_us / 1_000_000)
        self.link.arm(flash_us, level)
        before_fire()
        return self.link.fire()

    def _guard(self) -> bool:
        """Pay for the light's next stretch, or put it out."""
        if self._outer_guard is not None and not self._outer_guard():
            return False
        with self._lock:
            lit = self._lit
            if lit is None:
                return True
            until = time.monotonic() + _AHEAD_S
            try:
                if until > lit.paid_until:
                    self.account.add(lit.eye, LightKind.LED, lit.level, until - lit.paid_until)
                    lit.paid_until = until
            except DoseExceeded as error:
                self._refused = error
                self.link.stop()  # when this fails, no heartbeat goes out either, and the next turn tries again
                self._lit = None
            return True
