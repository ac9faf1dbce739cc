"""`LitCamera`: a simulated camera in a dark room, whose frames show the light and the flashes of a simulated board."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.controls import Control
from device.cameras.simulated.camera import SimulatedCamera
from device.cameras.simulated.config import SimulatedConfig
from device.cameras.simulated.controls import SimulatedControls
from device.errors import SourceNotFound
from device.frame import Frame, GroundTruth
from device.lamp import Lamp, read_lamp, usual_lamp

DARK = 0.06
"""Brightness of a frame without light, of that under the flash."""
LED = 0.6
"""The same under the light for aiming."""
FPS = 15.0
EXPOSURE_MS = 40.0
_OPENS = "sim:lit"


class LitCamera:
    """Exposes frame k at `k / fps` for `exposure_ms`, all rows at once, and gives it `latency_ms` after that.

    A frame is as bright as the light was: dark, under the light for aiming, or by the share of a flash that its
    exposure held. `stamped_after_ms` is what its driver's time stamp is late by: 0 for one that stamps the start of the
    exposure, exposure and latency for one that stamps arrival. lamp: what the light is.
    """

    live = True
    frame_count = None

    def __init__(
        self,
        lamp: Callable[[], Lamp],
        config: SimulatedConfig,
        *,
        exposure_ms: float = EXPOSURE_MS,
        latency_ms: float = 5.0,
        stamped_after_ms: float = 0.0,
        name: str = "",
    ) -> None:
        if not (config.fps > 0 and 0 < exposure_ms <= 1000 / config.fps):
            raise ValueError(f"exposure_ms: got {exposure_ms} at {config.fps:g} fps, expected above 0, within a period")
        self.name = name or f"{config} in the light of a board"
        self._lamp = lamp
        self._camera = SimulatedCamera(config)
        self._period_ns = 1e9 / config.fps
        self._controls = SimulatedControls(self.name, exposure_ms, 1000 / config.fps)
        self._latency_ns = round(latency_ms * 1e6)
        self._stamp_ns = round(stamped_after_ms * 1e6)
        self._closed = threading.Event()
        self._next = 0
        self._camera.render(0)  # the first eye is drawn before the schedule begins
        self._began_ns = time.monotonic_ns()

    def read(self) -> Frame | None:
        """The next frame, when its transfer is done; those that nobody asked for in time are left out."""
        exposure_ns = self._exposure_ns
        done_ns = exposure_ns + self._latency_ns
        behind_ns = time.monotonic_ns() - self._began_ns - done_ns
        number = self._next = max(self._next, int(behind_ns / self._period_ns))
        start_ns = self._start_ns(number)
        self._closed.wait(max(0, start_ns + done_ns - time.monotonic_ns()) / 1e9)
        if self._closed.is_set():
            return None
        self._next += 1
        lamp = self._lamp()
        share = min(1.0, lamp.share_of_flash(start_ns, start_ns + exposure_ns))
        pixels, truth = self.picture(number, max(DARK, LED if lamp.led_level else 0.0, share), share)
        captured_ns = start_ns + self._stamp_ns
        age = timedelta(microseconds=(time.monotonic_ns() - captured_ns) / 1000)
        return Frame(
            pixels=self._controls.applied(pixels),
            sequence=number,
            source=f"sim:{number}",
            captured_ns=captured_ns,
            captured_at=datetime.now(timezone.utc) - age,
            capture_ms=done_ns / 1e6,
            truth=truth,
        )

    @property
    def _exposure_ns(self) -> int:
        return round(self._controls.exposure_ms * 1e6)

    def controls(self) -> tuple[Control, ...]:
        """Exposure, focus and gain; see `Adjustable`. A longer exposure holds more of a flash, too."""
        return self._controls.controls()

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one of `controls`; see `Adjustable`."""
        return self._controls.adjust(name, value)

    def picture(self, number: int, gain: float, share_of_flash: float) -> tuple[NDArray[np.uint8], GroundTruth]:
        """Pixels (uint8 [H, W, 3]) and truth of frame `number` under a light of that brightness, 0 to 1."""
        pixels, truth = self.render(number)
        return np.asarray(cv2.convertScaleAbs(pixels, alpha=gain), np.uint8), truth

    def render(self, sequence: int) -> tuple[NDArray[np.uint8], GroundTruth]:
        """Frame `sequence` of the simulated camera as it would be in full light."""
        return self._camera.render(sequence)

    def share_of_flash(self, number: int) -> float:
        """How much of a flash the exposure of frame `number` held, 1 for the whole of one."""
        start_ns = self._start_ns(number)
        return self._lamp().share_of_flash(start_ns, start_ns + self._exposure_ns)

    def close(self) -> None:
        """End it; `read` gives None from then on, also one that waits in another thread."""
        self._closed.set()
        self._camera.close()

    def __enter__(self) -> LitCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_ns(self, number: int) -> int:
        return self._began_ns + round(number * self._period_ns)


def is_lit(spec: str) -> bool:
    """Whether a source's text is that of a lit camera."""
    return spec == _OPENS or spec.startswith(f"{_OPENS},")


def open_lit(spec: str) -> LitCamera:
    """The camera of a text like `sim:lit,lamp=FILE,seed=3,fps=15`: in the light that a board's FILE tells.

    `python -m device light --simulate --lamp FILE` is such a board; without a file both use the user's own. Raises
    `SourceNotFound` for what `SimulatedConfig.parse` refuses.
    """
    parts = spec[len(_OPENS) :].strip(",").split(",")
    named = [part.partition("=")[2] for part in parts if part.startswith("lamp=")]
    if len(named) > 1 or "" in named:
        raise SourceNotFound(f"{spec[:80]!r}: lamp: expected one file, as in {_OPENS},lamp=/tmp/lamp")
    others = ",".join(part for part in parts if part and not part.startswith("lamp="))
    config = SimulatedConfig.parse(f"sim:{others}")
    config = config if config.fps else replace(config, fps=FPS)
    path = Path(named[0]) if named else usual_lamp()
    return LitCamera(partial(read_lamp, path), config, exposure_ms=min(EXPOSURE_MS, 0.6 * 1000 / config.fps), name=spec)
