"""Adds up what each eye has been given and refuses what would pass a limit of the calibration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum

from device.errors import CalibrationInvalid, DoseExceeded
from device.eye import Eye
from device.light.calibration import Hazard, LightCalibration

MERGED_S = 60.0
"""Slices of the same continuous light are kept as one exposure up to this length."""


class LightKind(str, Enum):
    """Which light."""

    LED = "led"
    FLASH = "flash"


@dataclass(frozen=True)
class Exposure:
    """Light that one eye was given."""

    eye: Eye
    kind: LightKind
    level: int
    """Drive level as the board counts."""
    duration_s: float
    ended: datetime
    """When the last of it was given, UTC."""


class SteadyClock:
    """UTC as it was at first, moved on by the monotonic clock: a clock that is set forward makes no dose old."""

    def __init__(self) -> None:
        self._began, self._began_s = datetime.now(timezone.utc), time.monotonic()

    def __call__(self) -> datetime:
        """The time now, UTC."""
        return self._began + timedelta(seconds=time.monotonic() - self._began_s)


class DoseAccount:
    """The account of one infant's two eyes against one calibration. Safe for use from several threads.

    `exposures` carries an account over a restart of the program, `keep` is told of each exposure before it is given,
    `forget` of one that the board then refused, `settle` when continuous light has gone out (`DoseFile` has the first
    three); what `keep` raises, `add` raises, and the light is not given. Between two calibrated levels the higher
    one's rate counts, so the sum is never below what was given. `clock` gives UTC; None takes a `SteadyClock`.
    """

    def __init__(
        self,
        calibration: LightCalibration,
        *,
        exposures: Iterable[Exposure] = (),
        keep: Callable[[Exposure], None] = lambda exposure: None,
        forget: Callable[[Exposure], None] = lambda exposure: None,
        settle: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.calibration = calibration
        self._clock = clock or SteadyClock()
        self._lock = threading.RLock()  # `keep` may ask what is used
        self._kept = keep
        self._forgotten = forget
        self.settle = settle
        """To be called when continuous light has gone out."""
        self._exposures: list[Exposure] = []
        for exposure in exposures:
            self._keep(exposure)

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Everything given so far, for the record."""
        with self._lock:
            return tuple(self._exposures)

    def used(self, eye: Eye) -> dict[str, float]:
        """What the eye has been given within each hazard's window, by the hazard's name, in its unit."""
        with self._lock:
            return {hazard.name: self._used(hazard, eye) for hazard in self.calibration.hazards}

    def add(self, eye: Eye, kind: LightKind, level: int, duration_s: float) -> Exposure:
        """Count an exposure that is about to be given, and give it for `take_back`.

        Raises `DoseExceeded` when it must not be, `CalibrationInvalid` once the calibration's last day is over; then
        nothing is counted.
        """
        if not (level > 0 and 0 < duration_s < float("inf")):
            raise ValueError(f"exposure: got level {level} for {duration_s} s, expected both above zero")
        now = self._clock()
        if now.date() > self.calibration.expires:
            raise CalibrationInvalid(
                f"calibration of board {self.calibration.board_id:016x}: expired on {self.calibration.expires}, today "
                f"is {now.date()} (UTC); have the board calibrated"
            )
        new = Exposure(eye, kind, level, duration_s, now + timedelta(seconds=duration_s))
        with self._lock:
            for hazard in self.calibration.hazards:
                self._check(hazard, new)
            self._kept(new)
            self._keep(new)
        return new

    def take_back(self, exposure: Exposure) -> None:
        """An exposure that `add` gave was not given after all: the board said no. Only a flash can be taken back."""
        with self._lock:
            if exposure.kind is LightKind.FLASH and exposure in self._exposures:
                self._forgotten(exposure)
                self._exposures.remove(exposure)

    def doses(self, exposure: Exposure) -> dict[str, float]:
        """What an exposure is of each hazard, by its name, in its unit."""
        return {hazard.name: _dose(hazard, exposure) for hazard in self.calibration.hazards}

    def _check(self, hazard: Hazard, new: Exposure) -> None:
        used, more = self._used(hazard, new.eye), _dose(hazard, new)
        if not used + more <= hazard.limit:
            raise DoseExceeded(
                f"{new.eye.value}, {hazard.name}: {used:.4g} given and {more:.4g} asked, limit {hazard.limit:.4g} "
                f"{hazard.unit} in {hazard.window_s:g} s ({hazard.clause}); wait, or use less light"
            )

    def _used(self, hazard: Hazard, eye: Eye) -> float:
        oldest = self._clock() - timedelta(seconds=hazard.window_s)
        return sum(_dose(hazard, e) for e in self._exposures if e.eye == eye and e.ended >= oldest)

    def _keep(self, new: Exposure) -> None:
        """Remember; a slice that goes on from the last one makes it longer, so that the list stays short."""
        last = self._exposures[-1] if self._exposures else None
        same = last is not None and (last.eye, last.kind, last.level) == (new.eye, new.kind, new.level)
        if last is not None and same and new.kind is LightKind.LED and last.duration_s + new.duration_s <= MERGED_S:
            new = replace(new, duration_s=last.duration_s + new.duration_s, ended=max(last.ended, new.ended))
            self._exposures[-1] = new
        else:
            self._exposures.append(new)


def _dose(hazard: Hazard, exposure: Exposure) -> float:
    points = hazard.led if exposure.kind is LightKind.LED else hazard.flash
    for point in points:
        if exposure.level <= point.level:
            return point.per_second * exposure.duration_s
    top = points[-1].level if points else 0
    raise DoseExceeded(
        f"{hazard.name}: {exposure.kind.value} level {exposure.level} is not calibrated, "
        f"expected {f'at most {top}' if top else 'a file that calibrates this light'}; use less, or calibrate it"
    )
