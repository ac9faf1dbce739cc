"""Which frame's exposure is sure to hold a whole flash, from time stamps alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from device.frame import Frame
from device.light.link import FlashReceipt


@dataclass(frozen=True)
class ExposureTiming:
    """When a camera exposes the frames that it stamps. Raises `ValueError` for a value out of its range.

    It is a property of camera and driver, to be measured once: turn a short flash's delay until it leaves the frame.
    """

    exposure_ms: float
    """How long every row is exposed at the same time (all of it with a global shutter)."""
    stamped_after_ms: float = 0.0
    """From the start of the exposure to the moment in `Frame.captured_ns`; below zero when that is before it."""
    uncertainty_ms: float = 0.5
    """By how much start and end may be off, jitter of the stamp included."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(getattr(self, setting.name)) for setting in fields(self)):
            raise ValueError(f"exposure timing: got {self}, expected finite numbers")
        if self.uncertainty_ms < 0 or self.exposure_ms <= 2 * self.uncertainty_ms:
            raise ValueError(
                f"exposure_ms: got {self.exposure_ms} with uncertainty_ms {self.uncertainty_ms}, expected an exposure "
                "longer than twice an uncertainty from 0 up"
            )

    @property
    def room_ms(self) -> float:
        """The longest flash of which a frame can be sure."""
        return self.exposure_ms - 2 * self.uncertainty_ms

    def start_ns(self, frame: Frame) -> int:
        """When the exposure of a frame began, `time.monotonic_ns()`."""
        return self.start_of_ns(frame.captured_ns)

    def start_of_ns(self, captured_ns: int) -> int:
        """When the exposure began of a frame with that stamp."""
        return captured_ns - round(self.stamped_after_ms * 1e6)

    def sure_ns(self, frame: Frame) -> tuple[int, int]:
        """The time in which the frame was exposed for sure."""
        start_ns, doubt_ns = self.start_ns(frame), round(self.uncertainty_ms * 1e6)
        return start_ns + doubt_ns, start_ns + round(self.exposure_ms * 1e6) - doubt_ns


def flash_window_ns(receipt: FlashReceipt, flash_us: int) -> tuple[int, int]:
    """The time in which the whole flash lay: it began between request and reply."""
    return receipt.requested_ns, receipt.acknowledged_ns + flash_us * 1000


def margin_ms(frame: Frame, window_ns: tuple[int, int], timing: ExposureTiming) -> float:
    """How far inside of the frame's sure exposure the window lies, at its closer side; below zero when it does not."""
    start_ns, end_ns = timing.sure_ns(frame)
    return min(window_ns[0] - start_ns, end_ns - window_ns[1]) / 1e6
