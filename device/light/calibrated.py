"""The light as the rest of the program uses it: a board whose every exposure is counted before it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from device.errors import AnotherHost, BoardRefused, CalibrationInvalid, DoseExceeded, LightError
from device.eye import Eye
from device.light.board import WATCHDOG_MS
from device.light.dose import DoseAccount, LightKind
from device.light.link import BoardLink, FlashReceipt
from device.light.messages import NakCode

_AHEAD_S = WATCHDOG_MS / 1000
_SURELY_DARK = (NakCode.RECHARGING, NakCode.INTERLOCK_OPEN, NakCode.OVERHEATED)
"""Refusals of FIRE by a board that knows that it did not flash."""


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
        _check_board(account, link)
        self.link = link
        self.account = account
        self._lock = threading.Lock()
        self._lit: _Lit | None = None
        self._refused: DoseExceeded | None = None
        self._charged_ns = 0
        self._gap_ms: int | None = None
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
            if self._lit is not None:
                self._lit = None
                self.account.settle()

    def turn_to(self, account: DoseAccount) -> None:
        """Another infant's account from here on; the light goes off. Raises `CalibrationInvalid` as the start does."""
        _check_board(account, self.link)
        self.off()
        with self._lock:
            self.account = account
            self._refused = None

    def flash(
        self, eye: Eye, flash_us: int, level: int, *, before_fire: Callable[[], None] = lambda: None
    ) -> FlashReceipt:
        """One flash to an eye. Raises `DoseExceeded` before anything is sent, or what the link raises.

        `before_fire` is called between ARM and FIRE and may wait there, for less than the 2 s that ARM is valid. The
        flash counts as given once ARM may have been sent, also when a reply was lost. It does not when the board said
        that it gave none; while the board recharges it is not asked to fire.
        """
        with self._lock:
            account = self.account
            exposure = account.add(eye, LightKind.FLASH, level, flash_us / 1_000_000)
        try:
            self.link.arm(flash_us, level)
        except BoardRefused:
            account.take_back(exposure)
            raise
        before_fire()
        try:
            self._check_charged()
            receipt = self.link.fire()
        except BoardRefused as error:
            # A board that restarted, or follows another host, does not know what it did before.
            if error.code in _SURELY_DARK and not isinstance(error, AnotherHost):
                account.take_back(exposure)
            raise
        # From the earliest moment that the flash can have begun: the board refuses by itself what is still too early.
        self._charged_ns = receipt.requested_ns + flash_us * 1000 + round(self._recharge_ms() * 1e6)
        return receipt

    def _check_charged(self) -> None:
        left_ms = (self._charged_ns - time.monotonic_ns()) / 1e6
        if left_ms > 0:
            raise BoardRefused(
                f"the flash is recharging, {ceil(left_ms)} ms left; wait", code=NakCode.RECHARGING, detail=ceil(left_ms)
            )

    def _recharge_ms(self) -> float:
        """The board's own gap; 0 where it does not tell, for it keeps to it all the same."""
        if self._gap_ms is None:
            with suppress(LightError):
                self._gap_ms = self.link.status().recharge_ms
        return self._gap_ms or 0

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
                self.account.settle()
            return True


def _check_board(account: DoseAccount, link: BoardLink) -> None:
    if account.calibration.board_id != link.board_id:
        raise CalibrationInvalid(
            f"calibration is for board {account.calibration.board_id:016x}, connected is {link.board_id:016x}; "
            "use this board's own file"
        )
