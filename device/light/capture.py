"""Capture synchronised with the flash: fire inside an exposure, and take the frame that is sure to hold the flash."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from device.errors import CameraError, FlashNotCaught, FrameTimeout, FrameUnreadable
from device.eye import Eye
from device.frame import Frame
from device.light.calibrated import CalibratedLight
from device.light.exposure import ExposureTiming, flash_window_ns, margin_ms
from device.light.link import FlashReceipt
from device.live import LiveReader, Tap

_FRAMES_TO_LEARN = 3
_FRESH_PERIODS = 2.5
"""The newest of the frames that went by is no older, or the camera may be gone: then frames are waited for."""
_OFF_BEAT = 0.1
"""Of a period; frames that lie further off keep no rhythm, as where the rate just changed."""
_FIRE_AT = 1 / 3
"""Where in the room that the flash leaves in the exposure FIRE is sent: early, as the board acts a little later."""


@dataclass(frozen=True)
class FlashedFrame:
    """A frame and the flash that lit it."""

    frame: Frame
    receipt: FlashReceipt
    margin_ms: float
    """How far inside of the exposure the flash lay for sure, at its closer side."""


@dataclass(frozen=True)
class _Rhythm:
    """When exposures begin."""

    start_ns: int
    period_ns: float

    @classmethod
    def of(cls, stamps: Sequence[tuple[int, int]], timing: ExposureTiming) -> _Rhythm:
        """From (sequence, captured_ns) of frames, oldest first."""
        (first, began_ns), (last, ended_ns) = stamps[0], stamps[-1]
        return cls(timing.start_of_ns(ended_ns), max(1.0, (ended_ns - began_ns) / (last - first)))

    def next_ns(self, offset_ns: float, after_ns: int) -> int:
        """The next moment that lies `offset_ns` after the start of an exposure, which begins after `after_ns`.

        The frame of an exposure that had begun before is of what was there before, and of what was aimed at before.
        """
        begins_ns = max(after_ns + _OFF_BEAT * self.period_ns, time.monotonic_ns() - offset_ns)
        passed = max(0.0, begins_ns - self.start_ns) // self.period_ns + 1
        return round(self.start_ns + offset_ns + passed * self.period_ns)


def capture_with_flash(
    reader: LiveReader,
    light: CalibratedLight,
    timing: ExposureTiming,
    *,
    eye: Eye,
    flash_us: int,
    level: int,
    timeout_ms: float = 1000.0,
) -> FlashedFrame:
    """Flash once at an eye and give the frame whose exposure held the whole of it.

    It looks at the camera's rhythm first, in the frames that just went by or else in those that come, arms, fires
    within an exposure that begins after this call and judges the frames after it by their time stamps; a frame that
    might have missed a part of the flash is not given. `timeout_ms` holds for each wait for a frame. The dose is
    counted for the eye before anything is sent.

    Raises `ValueError` when the flash does not fit in the exposure, `CameraError` when the camera gives no frames (then
    nothing was fired), `DoseExceeded` or another `LightError` of the light, and `FlashNotCaught` when the flash was
    given and no frame is sure to hold it.
    """
    room_ms = timing.room_ms - flash_us / 1000
    if room_ms <= 0:
        raise ValueError(
            f"flash of {flash_us / 1000:g} ms: an exposure of {timing.exposure_ms:g} ms holds for sure at most "
            f"{timing.room_ms:g} ms; flash shorter or expose longer"
        )
    asked_ns = time.monotonic_ns()
    with reader.tap(room=16) as tap:
        rhythm = _known(reader, timing) or _learn(tap, timing, timeout_ms)
        offset_ns = (timing.uncertainty_ms + _FIRE_AT * room_ms) * 1e6
        receipt = light.flash(
            eye, flash_us, level, before_fire=lambda: _sleep_until(rhythm.next_ns(offset_ns, asked_ns))
        )
        return _find(tap, receipt, flash_us, timing, timeout_ms)


def _known(reader: LiveReader, timing: ExposureTiming) -> _Rhythm | None:
    """Of the frames that went by; None where there are too few, they keep none, or the camera may be gone since."""
    stamps = reader.stamps
    if len(stamps) < _FRAMES_TO_LEARN or stamps[-1][0] <= stamps[0][0]:
        return None
    rhythm, (last, newest_ns) = _Rhythm.of(stamps, timing), stamps[-1]
    off_ns = max(abs(newest_ns - at_ns - (last - number) * rhythm.period_ns) for number, at_ns in stamps)
    fresh = 0 <= time.monotonic_ns() - newest_ns <= _FRESH_PERIODS * rhythm.period_ns
    return rhythm if fresh and off_ns <= _OFF_BEAT * rhythm.period_ns else None


def _learn(tap: Tap, timing: ExposureTiming, timeout_ms: float) -> _Rhythm:
    frames = [_next(tap, timeout_ms) for _ in range(_FRAMES_TO_LEARN)]
    return _Rhythm.of([(frame.sequence, frame.captured_ns) for frame in frames], timing)


def _next(tap: Tap, timeout_ms: float) -> Frame:
    """The next whole frame; an unreadable one has no time stamp to learn from."""
    deadline_ns = time.monotonic_ns() + round(timeout_ms * 1e6)
    while (left_ms := (deadline_ns - time.monotonic_ns()) / 1e6) > 0:
        try:
            frame = tap.next(left_ms)
        except FrameUnreadable:
            continue
        if frame is None:
            raise FrameTimeout("the camera was closed before the flash; open it anew")
        return frame
    raise FrameTimeout(f"no whole frame within {timeout_ms:g} ms, nothing was fired; look at the camera")


def _sleep_until(moment_ns: int) -> None:
    time.sleep(max(0, moment_ns - time.monotonic_ns()) / 1e9)


def _find(tap: Tap, receipt: FlashReceipt, flash_us: int, timing: ExposureTiming, timeout_ms: float) -> FlashedFrame:
    window_ns = flash_window_ns(receipt, flash_us)
    deadline_ns = time.monotonic_ns() + round(timeout_ms * 1e6)
    closest_ms, lost = float("-inf"), None
    while (left_ms := (deadline_ns - time.monotonic_ns()) / 1e6) > 0:
        try:
            frame = tap.next(left_ms)
        except FrameUnreadable:  # should the flash be in this one, no other will do
            continue
        except CameraError as error:  # also a camera that is lost now: the flash was given all the same
            lost = error
            break
        if frame is None or timing.start_ns(frame) > window_ns[1]:
            break
        inside_ms = margin_ms(frame, window_ns, timing)
        if inside_ms >= 0:
            return FlashedFrame(frame, receipt, inside_ms)
        closest_ms = max(closest_ms, inside_ms)
    length_ms = (window_ns[1] - window_ns[0]) / 1e6
    raise FlashNotCaught(
        f"flash {receipt.flash_number} lay within {length_ms:.1f} ms, and no frame is sure to hold it "
        f"({_by(closest_ms)}); it counts as given, repeat the capture or expose longer"
    ) from lost


def _by(closest_ms: float) -> str:
    return "no frame came" if closest_ms == float("-inf") else f"the closest misses by {-closest_ms:.1f} ms"
