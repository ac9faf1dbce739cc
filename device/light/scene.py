"""`FlashLitCamera`: a simulated camera in a dark room whose frames show the flashes of a simulated board."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from types import TracebackType

import numpy as np

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.frame import Frame
from device.light.simulated import FlashSeen, SimulatedBoard

_DARK = 0.1
"""Brightness of a frame without flash."""


class FlashLitCamera:
    """Exposes frame k at `k / fps` for `exposure_ms`, all rows at once, and gives it `latency_ms` after that.

    A frame is as bright as the share of a flash that its exposure held. `stamped_after_ms` is what its driver's time
    stamp is late by: 0 for one that stamps the start of the exposure, exposure and latency for one that stamps arrival.
    """

    live = True
    frame_count = None

    def __init__(
        self,
        board: SimulatedBoard,
        config: SimulatedConfig = SimulatedConfig(size=(160, 120), fps=30),  # noqa: B008 (frozen)
        *,
        exposure_ms: float = 20.0,
        latency_ms: float = 5.0,
        stamped_after_ms: float = 0.0,
    ) -> None:
        if not (config.fps > 0 and 0 < exposure_ms <= 1000 / config.fps):
            raise ValueError(f"exposure_ms: got {exposure_ms} at {config.fps:g} fps, expected above 0, within a period")
        self.name = f"{config} with flash"
        self._board = board
        self._camera = SimulatedCamera(config)
        self._period_ns = 1e9 / config.fps
        self._exposure_ns = round(exposure_ms * 1e6)
        self._latency_ns = round(latency_ms * 1e6)
        self._stamp_ns = round(stamped_after_ms * 1e6)
        self._closed = threading.Event()
        self._next = 0
        self._camera.render(0)  # the first eye is drawn before the schedule begins
        self._began_ns = time.monotonic_ns()

    def read(self) -> Frame | None:
        """The next frame, when its transfer is done; those that nobody asked for in time are left out."""
        done_ns = self._exposure_ns + self._latency_ns
        behind_ns = time.monotonic_ns() - self._began_ns - done_ns
        number = self._next = max(self._next, int(behind_ns / self._period_ns))
        start_ns = self._start_ns(number)
        self._closed.wait(max(0, start_ns + done_ns - time.monotonic_ns()) / 1e9)
        if self._closed.is_set():
            return None
        self._next += 1
        pixels, truth = self._camera.render(number)
        gain = _DARK + (1 - _DARK) * min(1.0, self.share_of_flash(number))
        captured_ns = start_ns + self._stamp_ns
        age = timedelta(microseconds=(time.monotonic_ns() - captured_ns) / 1000)
        return Frame(
            pixels=(pixels * np.float32(gain)).astype(np.uint8),
            sequence=number,
            source=f"sim:{number}",
            captured_ns=captured_ns,
            captured_at=datetime.now(timezone.utc) - age,
            capture_ms=done_ns / 1e6,
            truth=truth,
        )

    def share_of_flash(self, number: int) -> float:
        """How much of a flash the exposure of frame `number` held, 1 for the whole of one."""
        start_ns = self._start_ns(number)
        return sum(self._overlap(flash, start_ns) for flash in self._board.flashes)

    def close(self) -> None:
        """End it; `read` gives None from then on, also one that waits in another thread."""
        self._closed.set()
        self._camera.close()

    def __enter__(self) -> FlashLitCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_ns(self, number: int) -> int:
        return self._began_ns + round(number * self._period_ns)

    def _overlap(self, flash: FlashSeen, start_ns: int) -> float:
        end_ns = flash.at_ns + flash.flash_us * 1000
        both_ns = min(end_ns, start_ns + self._exposure_ns) - max(flash.at_ns, start_ns)
        return max(0, both_ns) / (end_ns - flash.at_ns)
