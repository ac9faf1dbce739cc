"""A simulated camera that looks where the operator aims, lit by the simulated board, with a first day's mishaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.frame import Frame
from device.light.simulated import SimulatedBoard
from runtime.views import Eye, View

FPS = 15.0
EXPOSURE_MS = 40.0
LATENCY_MS = 5.0
_FRAMES_A_VIEW = 6000
_RESTS = 0.7
"""Part of a view's frames in which the simulated gaze rests."""
_DARK = 0.06
_LED = 0.6
"""Brightness under the light for aiming, of that under the flash."""
_ORDER = (View.DISC, View.TEMPORAL, View.SUPERIOR, View.INFERIOR, View.NASAL)
"""In which the simulated camera shows them."""
BLURRED, DARK, ELSEWHERE = "blurred", "dark", "elsewhere"
MISHAPS: Mapping[tuple[Eye, View], str] = {
    (Eye.OD, View.TEMPORAL): BLURRED,
    (Eye.OD, View.SUPERIOR): DARK,
    (Eye.OS, View.NASAL): ELSEWHERE,
}
"""What goes wrong with the first picture of a view: out of focus, the flash too weak, the eye not turned."""


class PosedCamera:
    """Shows the infant's eyes where they are aimed at; the first picture of some views goes wrong."""

    live = True
    frame_count = None

    def __init__(self, board: SimulatedBoard, pose: Pose, *, size: tuple[int, int] = (640, 480)) -> None:
        self.name = "simulated camera"
        self._board, self._pose = board, pose
        config = SimulatedConfig(seed=pose.seed, size=size, frames_per_eye=_FRAMES_A_VIEW * len(_ORDER), motion=0.6)
        self._camera = SimulatedCamera(config)
        self._camera.render(0)
        self._closed = threading.Event()
        self._began_ns = time.monotonic_ns()
        self._next = 0

    def read(self) -> Frame | None:
        """The next frame, on schedule; those that nobody asked for in time are left out."""
        period_ns, exposure_ns = 1e9 / FPS, round(EXPOSURE_MS * 1e6)
        done_ns = exposure_ns + round(LATENCY_MS * 1e6)
        behind_ns = time.monotonic_ns() - self._began_ns - done_ns
        number = self._next = max(self._next, int(behind_ns / period_ns))
        start_ns = self._began_ns + round(number * period_ns)
        self._closed.wait(max(0, start_ns + done_ns - time.monotonic_ns()) / 1e9)
        if self._closed.is_set():
            return None
        self._next += 1
        pixels, truth = self._camera.render(self._pose.sequence(number))
        share = self._share_of_flash(start_ns, start_ns + exposure_ns)
        pixels = self._lit(pixels, share)
        age = timedelta(microseconds=(time.monotonic_ns() - start_ns) / 1000)
        return Frame(
            pixels=pixels,
            sequence=number,
            source=f"sim:{number}",
            captured_ns=start_ns,
            captured_at=datetime.now(timezone.utc) - age,
            capture_ms=done_ns / 1e6,
            truth=truth,
        )

    def _lit(self, pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
        mishap = self._pose.mishap if share > 0.5 else None
        gain = max(_DARK, _LED if self._board.led_level else 0.0, share * (0.15 if mishap == DARK else 1.0))
        if mishap == DARK:
            gain = 0.15
        if mishap == BLURRED:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 6.0), np.uint8)
        return np.asarray(cv2.convertScaleAbs(pixels, alpha=gain), np.uint8)

    def _share_of_flash(self, start_ns: int, end_ns: int) -> float:
        """How much of a flash the exposure held, 1 for the whole of one."""
        total = 0.0
        for flash in self._board.flashes[-4:]:
            flash_end = flash.at_ns + flash.flash_us * 1000
            both = min(flash_end, end_ns) - max(flash.at_ns, start_ns)
            total += max(0, both) / (flash_end - flash.at_ns)
        return total

    def close(self) -> None:
        """End it; `read` gives None from then on."""
        self._closed.set()
        self._camera.close()

    def __enter__(self) -> PosedCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Pose:
    """Where the infant's eye looks, as the desk aims it. Safe for use from several threads."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self._eye, self._view = Eye.OD, View.DISC
        self._taken: dict[tuple[Eye, View], int] = {}
        self._infant = 0

    def aimed(self, eye: Eye, view: View) -> None:
        """The operator aims there."""
        self._eye, self._view = eye, view

    def taken(self) -> None:
        """A picture was taken: the next one of this view goes well."""
        place = (self._eye, self._view)
        self._taken[place] = self._taken.get(place, 0) + 1

    def next_infant(self) -> None:
        """Another infant lies before the camera."""
        self._infant += 1
        self._taken.clear()

    @property
    def mishap(self) -> str | None:
        """What goes wrong with the picture that is taken now."""
        place = (self._eye, self._view)
        return None if self._taken.get(place) or self._infant > 1 else MISHAPS.get(place)

    def sequence(self, number: int) -> int:
        """The simulated camera's frame that shows this place."""
        view = View.DISC if self.mishap == ELSEWHERE else self._view
        eye = 2 * self._infant + (self._eye is Eye.OS)
        within = number % int(_FRAMES_A_VIEW * _RESTS)
        return (eye * len(_ORDER) + _ORDER.index(view)) * _FRAMES_A_VIEW + within
