"""`SimulatedControls`: exposure, focus and gain of a simulated camera, seen in its pictures as in a real one's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.controls import Control, ControlName, named

SHARP = 50.0
"""Focus at which the simulated eye is sharp, of 0 to 100."""
_BLUR = 0.002
"""Blur for each step of focus, as a share of the picture's longer side."""


class SimulatedControls:
    """A camera that is as it was made, until somebody turns something. Any thread may use it.

    exposure_ms: as it was made; most_ms: the longest that there is room for.
    """

    def __init__(self, called: str, exposure_ms: float, most_ms: float) -> None:
        self._called = called
        self._usual_ms = exposure_ms
        self._by_name: dict[ControlName, Control] = {
            "exposure": Control("exposure", "ms", min(0.1, exposure_ms), most_ms, 0.1, exposure_ms, automatic=False),
            "focus": Control("focus", "", 0.0, 100.0, 1.0, SHARP),
            "gain": Control("gain", "dB", 0.0, 24.0, 0.1, 0.0),
        }

    def controls(self) -> tuple[Control, ...]:
        """All three."""
        return tuple(self._by_name.values())

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one; see `Adjustable.adjust`. An automatic exposure is the usual one."""
        control = named(self.controls(), self._called, name)
        control.check(self._called, value)
        automatic = value is None if control.automatic is not None else None
        new = replace(control, value=self._usual_ms if value is None else value, automatic=automatic)
        self._by_name[new.name] = new
        return new

    @property
    def exposure_ms(self) -> float:
        """How long it exposes."""
        return self._by_name["exposure"].value

    @property
    def brightness(self) -> float:
        """By which exposure and gain multiply a picture; 1 as it was made."""
        return self.exposure_ms / self._usual_ms * 10 ** (self._by_name["gain"].value / 20)

    def applied(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (uint8 [H, W, 3]) as it comes at these values; the same where nothing was turned."""
        off = abs(self._by_name["focus"].value - SHARP)
        if off:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), _BLUR * off * max(pixels.shape[:2])), np.uint8)
        if self.brightness != 1:
            pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=self.brightness), np.uint8)
        return pixels
