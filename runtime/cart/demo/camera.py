"""A simulated camera that looks where the operator aims, lit by the simulated board, with a first day's mishaps."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.simulated import SimulatedConfig
from device.cameras.simulated.lit import EXPOSURE_MS, FPS, LitCamera
from device.frame import GroundTruth
from device.light.simulated import SimulatedBoard
from runtime.views import Eye, View

_FRAMES_A_VIEW = 6000
_RESTS = 0.7
"""Part of a view's frames in which the simulated gaze rests."""
_ORDER = (View.DISC, View.TEMPORAL, View.SUPERIOR, View.INFERIOR, View.NASAL)
"""In which the simulated camera shows them."""
BLURRED, DARK, ELSEWHERE = "blurred", "dark", "elsewhere"
MISHAPS: Mapping[tuple[Eye, View], str] = {
    (Eye.OD, View.TEMPORAL): BLURRED,
    (Eye.OD, View.SUPERIOR): DARK,
    (Eye.OS, View.NASAL): ELSEWHERE,
}
"""What goes wrong with the first picture of a view: out of focus, the flash too weak, the eye not turned."""


class PosedCamera(LitCamera):
    """Shows the infant's eyes where they are aimed at; the first picture of some views goes wrong."""

    def __init__(self, board: SimulatedBoard, pose: Pose, *, size: tuple[int, int] = (640, 480)) -> None:
        self._pose = pose
        frames = _FRAMES_A_VIEW * len(_ORDER)
        config = SimulatedConfig(seed=pose.seed, size=size, fps=FPS, frames_per_eye=frames, motion=0.6)
        super().__init__(lambda: board.lamp, config, exposure_ms=EXPOSURE_MS, name="simulated camera")

    def picture(self, number: int, gain: float, share_of_flash: float) -> tuple[NDArray[np.uint8], GroundTruth]:
        """What is aimed at, in that light, with the mishap of its first picture."""
        pixels, truth = self.render(self._pose.sequence(number))
        mishap = self._pose.mishap if share_of_flash > 0.5 else None
        if mishap == BLURRED:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 6.0), np.uint8)
        return np.asarray(cv2.convertScaleAbs(pixels, alpha=0.15 if mishap == DARK else gain), np.uint8), truth


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
