"""Taking one picture: the frame that belongs to the press of the button, lit by a flash where there is one."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from device.errors import (
    BoardRefused,
    BoardSilent,
    CameraError,
    FlashNotCaught,
    FrameTimeout,
    FrameUnreadable,
    StaleFrame,
)
from device.eye import Eye
from device.frame import Frame
from device.light.calibrated import CalibratedLight
from device.light.capture import capture_with_flash
from device.light.exposure import ExposureTiming
from device.light.messages import NakCode
from device.live import LiveReader
from runtime.cart.errors import NotNow

CAPTURE_TIMEOUT_MS = 2000.0
"""How long a picture may take to come after the button was pressed."""


@dataclass(frozen=True)
class ShotLighting:
    """How a picture is lit."""

    flash_us: int
    """Microseconds."""
    level: int
    """Drive level as the board counts."""
    timing: ExposureTiming
    recharge_ms: int = 0
    """The board takes no flash so soon after the last."""


def take_frame(reader: LiveReader, since_ns: int | None = None, *, timeout_ms: float = CAPTURE_TIMEOUT_MS) -> Frame:
    """A whole frame that the camera captured since then: the newest there is, or the first that comes. `CameraError`.

    since_ns: when the button was pressed, `time.monotonic_ns()`; None: now. One that was on its way already shows what
    was there before, and is passed over.
    """
    pressed_ns = time.monotonic_ns() if since_ns is None else since_ns
    deadline = time.monotonic() + timeout_ms / 1000
    lost: CameraError | None = None
    with reader.tap(room=4) as tap:
        with suppress(StaleFrame):
            newest = reader.newest(timeout_ms)
            if newest.captured_ns >= pressed_ns:
                return newest
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                frame = tap.next(left_s * 1000)
            except FrameUnreadable as error:
                lost = error
                continue
            except FrameTimeout:  # which would name what was left of the time
                break
            if frame is None:
                raise FrameTimeout("the camera was closed; open it anew")
            if frame.captured_ns >= pressed_ns:
                return frame
    raise lost or FrameTimeout(f"no frame within {timeout_ms:g} ms; look at the camera")


def _recharging(left_s: float) -> NotNow:
    return NotNow(f"the flash recharges, {left_s:.1f} s left; nothing was given, press again then", retry_s=left_s)


class Recharge:
    """When the next flash may be asked for: the board would refuse it before, and it must not be counted then."""

    def __init__(self) -> None:
        self._ready_at = 0.0

    def flashed(self, recharge_ms: float) -> None:
        """A flash was given, or may have been."""
        self._ready_at = time.monotonic() + recharge_ms / 1000

    @property
    def left_s(self) -> float:
        """Seconds until the next flash may be asked for."""
        return max(0.0, self._ready_at - time.monotonic())

    def check(self) -> None:
        """Raise `NotNow` while the flash recharges."""
        if (left_s := self.left_s) > 0:
            raise _recharging(left_s)


def take_flashed(
    reader: LiveReader, light: CalibratedLight, flash: ShotLighting, eye: Eye, recharge: Recharge
) -> Frame:
    """Flash once at the eye and give the frame that holds the flash.

    Raises `NotNow` while the flash recharges, and what `capture_with_flash` raises.
    """
    recharge.check()
    try:
        flashed = capture_with_flash(
            reader,
            light,
            flash.timing,
            eye=eye,
            flash_us=flash.flash_us,
            level=flash.level,
            timeout_ms=CAPTURE_TIMEOUT_MS,
        )
    except BoardRefused as error:
        if error.code != NakCode.RECHARGING:
            raise
        left_s = error.detail / 1000
        raise _recharging(left_s) from None
    except (FlashNotCaught, BoardSilent):  # it was given, or may have been
        recharge.flashed(flash.recharge_ms)
        raise
    recharge.flashed(flash.recharge_ms)
    return flashed.frame
