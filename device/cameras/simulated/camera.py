"""`SimulatedCamera`: a neonatal fundus camera that draws its own retinas and knows the truth about them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.controls import Control
from device.cameras.simulated import faults
from device.cameras.simulated.config import SimulatedConfig
from device.cameras.simulated.controls import SimulatedControls
from device.cameras.simulated.look import LOOKS, Field, Look
from device.cameras.simulated.motion import Gaze, Motion
from device.cameras.simulated.retina import CENTRE, EXTENT, Retina, draw_retina
from device.frame import Frame, GroundTruth

_EXPOSURE_MS, _LONGEST_MS = 20.0, 100.0
"""As it is made, and the longest without `fps`."""
_NOISE_SIDE = 512
_SHADING_UNIT = 170
"""Grey level of the shading picture that leaves a pixel as it is."""
_LARGEST_SCALE = 512.0
"""Canvas pixels a field radius; a larger frame is drawn softer, as its lens would show it."""


@dataclass(frozen=True)
class _Eye:
    """One eye in front of the camera."""

    retina: Retina
    motion: Motion
    mirror: float
    """1 or -1: whether the temple is to the right or to the left."""
    shading: NDArray[np.uint8]
    """Light over the field, uint8 [H, W, 3], 0 outside of it."""


class SimulatedCamera:
    """A camera whose frames, and the `GroundTruth` with them, follow from its configuration alone.

    Frame `k` of one configuration is always the same, its time stamps aside, and no two frames are equal. Without
    `fps` a frame is made when it is asked for; with it, frames come on schedule, and those that the reader is too slow
    for are dropped (their numbers are left out), as a real camera would.
    """

    live = True

    def __init__(self, config: SimulatedConfig | None = None) -> None:
        self.config = config or SimulatedConfig()
        self.name = str(self.config)
        self._look: Look = LOOKS[self.config.device]
        self._width, self._height = self.config.frame_size
        self._field = Field.of(self.config.device, self._width, self._height)
        lit = self._field.polar(self._width, self._height)[2]
        self._lit = np.where(lit, np.uint8(255), np.uint8(0))
        self._noise = self._noise_bank()
        self._painter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retina")
        self._eyes: dict[int, Future[_Eye]] = {}
        self._closed = threading.Event()
        self._next = 0
        self._started_ns: int | None = None
        period_ms = 1000 / self.config.fps if self.config.fps else _LONGEST_MS
        self._controls = SimulatedControls(self.name, min(_EXPOSURE_MS, period_ms), period_ms)
        self._eye(0, ahead=False)

    @property
    def frame_count(self) -> int | None:
        """The number of frames that was asked for, None when there is no end."""
        return self.config.frames or None

    def controls(self) -> tuple[Control, ...]:
        """Exposure, focus and gain; see `Adjustable`. What is turned is seen in what `read` gives, not in `render`."""
        return self._controls.controls()

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one of `controls`; see `Adjustable`."""
        return self._controls.adjust(name, value)

    def read(self) -> Frame | None:
        """The next frame, on schedule when `fps` is set; None after the last and once closed."""
        captured_ns, late_ns = self._wait()
        sequence = self._next
        if self._closed.is_set() or (self.config.frames and sequence >= self.config.frames):
            return None
        self._next += 1
        began = time.monotonic_ns()
        pixels, truth = self.render(sequence)
        return Frame(
            pixels=self._controls.applied(pixels),
            sequence=sequence,
            source=f"sim:{sequence}",
            captured_ns=captured_ns,
            captured_at=datetime.now(timezone.utc) - timedelta(microseconds=late_ns / 1000),
            capture_ms=(time.monotonic_ns() - began) / 1e6,
            truth=truth,
        )

    def _wait(self) -> tuple[int, int]:
        """Wait until the next frame is due and pass over missed ones; its time of capture, and its age, in ns."""
        now = time.monotonic_ns()
        if not self.config.fps:
            return now, 0
        if self._started_ns is None:
            self._started_ns = now
        period_ns = 1e9 / self.config.fps
        self._next = max(self._next, int((now - self._started_ns) / period_ns))
        due = self._started_ns + int(self._next * period_ns)
        if due > now:
            self._closed.wait((due - now) / 1e9)
        return due, max(0, time.monotonic_ns() - due)

    def render(self, sequence: int) -> tuple[NDArray[np.uint8], GroundTruth]:
        """Pixels (uint8 [H, W, 3]) and truth of any frame, whatever was read before."""
        number, frame = divmod(sequence, self.config.frames_per_eye)
        eye = self._eye(number, ahead=sequence > 0 and 2 * frame + 1 >= self.config.frames_per_eye)
        rng = np.random.default_rng((self.config.seed, sequence, 1))
        fault = str(rng.choice(faults.FAULTS)) if rng.random() < self.config.faults else None
        gaze = eye.motion.at(frame)
        matrix = self._matrix(eye, gaze)
        pixels = self._warp(eye.retina.pixels, matrix)
        covered = cv2.threshold(self._warp(eye.retina.vessels, matrix), 127, 255, cv2.THRESH_BINARY)[1]
        vessels = np.asarray(cv2.bitwise_and(covered, self._lit), np.uint8)
        ridge = self._ridge_in_view(eye, gaze)
        gain = 1 + 0.03 * np.sin(sequence / 13.7) + rng.normal(0, 0.01)
        if fault == "dark":
            gain *= rng.uniform(0.06, 0.15)
        elif fault == "defocus":
            pixels = faults.defocus(rng, pixels)
        pixels = np.asarray(cv2.multiply(pixels, eye.shading, scale=gain / _SHADING_UNIT), np.uint8)
        if fault == "glare":
            pixels = faults.glare(rng, pixels, self._field)
        elif fault == "blink":
            passing = faults.lid(rng, self._field, self._width, self._height)
            pixels = (pixels * (0.04 + 0.96 * passing)[:, :, None]).astype(np.uint8)
            vessels = np.where(passing > 0.5, vessels, np.uint8(0))
            ridge &= self._share_open(passing) > 0.5
        pixels = self._with_noise(pixels, sequence)
        return pixels, GroundTruth(vessels=vessels, ridge_in_view=ridge, fault=fault)

    def _share_open(self, passing: NDArray[np.float32]) -> float:
        return float(passing[self._lit > 0].mean())

    def _warp(self, canvas: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self._width, self._height)
        return np.asarray(cv2.warpAffine(canvas, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8)

    def _matrix(self, eye: _Eye, gaze: Gaze) -> NDArray[np.float64]:
        """From pixels of the frame to pixels of the canvas, [2, 3]."""
        (cx, cy), (rx, ry) = self._field.centre, self._field.radii
        cos, sin = np.cos(gaze.turn) / gaze.zoom, np.sin(gaze.turn) / gaze.zoom
        turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([eye.mirror / rx, 1 / ry])
        origin = np.array([gaze.x, gaze.y]) - np.array(CENTRE) + EXTENT
        shift = origin - turn @ np.array([cx, cy])
        return np.asarray(eye.retina.scale * np.column_stack([turn, shift]) - [[0, 0, 0.5], [0, 0, 0.5]])

    def _ridge_in_view(self, eye: _Eye, gaze: Gaze) -> bool:
        """Whether a fair piece of the ridge, an eighth of its length, is well inside the field."""
        if not len(eye.retina.ridge):
            return False
        offset = (eye.retina.ridge - (gaze.x, gaze.y)) * gaze.zoom
        radii = np.array(self._field.radii)
        x, y = (offset * radii + self._field.centre).T
        within = (np.hypot(*offset.T) < 0.93) & (y > 0) & (y < self._height)
        if eye.mirror > 0:
            within &= x < self._field.right_edge
        return bool(within.mean() > 0.125)

    def _with_noise(self, pixels: NDArray[np.uint8], sequence: int) -> NDArray[np.uint8]:
        """Sensor noise; its place in the bank repeats only after 512 x 512 frames, so that no two frames are equal."""
        place = (sequence * 91_813 + self.config.seed) % (_NOISE_SIDE * _NOISE_SIDE)
        top, left = divmod(place, _NOISE_SIDE)
        noise = self._noise[top : top + self._height, left : left + self._width]
        return np.asarray(cv2.addWeighted(pixels, 1.0, noise, 1.0, -128.0), np.uint8)

    def _noise_bank(self) -> NDArray[np.uint8]:
        rng = np.random.default_rng((self.config.seed, 2))
        white = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3))
        wrapped = np.pad(white, ((3, 3), (3, 3), (0, 0)), mode="wrap")
        soft = cv2.GaussianBlur(wrapped, (7, 7), 0.6)[3:-3, 3:-3]  # colour interpolation joins neighbours
        tile = np.round(128 + self._look.noise * soft / soft.std()).astype(np.uint8)
        across, down = (-(-side // _NOISE_SIDE) + 1 for side in (self._width, self._height))
        return np.tile(tile, (down, across, 1))

    def _eye(self, number: int, *, ahead: bool) -> _Eye:
        """The eye of this number; the next is drawn from its middle on, so that a change of eyes delays no frame.

        Not before: most cameras are closed before their second eye, and the first frame is waited for.
        """
        last = (self.config.frames - 1) // self.config.frames_per_eye if self.config.frames else number + 1
        wanted = {number, min(number + 1, max(last, number))} if ahead else {number}
        for gone in set(self._eyes) - {number, number + 1}:
            self._eyes.pop(gone).cancel()
        for one in sorted(wanted - set(self._eyes)):
            self._eyes[one] = self._painter.submit(self._draw_eye, one)
        return self._eyes[number].result()

    def _draw_eye(self, number: int) -> _Eye:
        rng = np.random.default_rng((self.config.seed, number, 0))
        retina = draw_retina(
            rng,
            self._look,
            scale=float(np.clip(self._field.radii[0], 48.0, _LARGEST_SCALE)),
            ridge=bool(rng.random() < self.config.ridge),
            tortuosity=self.config.tortuosity,
            vessel_width=self.config.vessel_width,
        )
        motion = Motion.of(rng, self.config.motion, self.config.frames_per_eye)
        mirror = float(rng.choice((-1.0, 1.0)))
        return _Eye(retina, motion, mirror, self._draw_shading(rng))

    def _draw_shading(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Vignette, light from one side, and now and then an amber rim, as the lamp of such cameras gives."""
        across, down, lit = self._field.polar(self._width, self._height)
        rho2 = across**2 + down**2
        angle = rng.uniform(0, 2 * np.pi)
        side = across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))
        light = rng.uniform(0.95, 1.1) * (1 - rng.uniform(0.1, 0.28) * rho2**1.5 + rng.uniform(0.03, 0.16) * side)
        rim = np.clip((rho2 - 0.82) / 0.18, 0, 1) * np.clip(-side, 0, 1) * rng.uniform(0, 0.5)
        colour = light[:, :, None] * (1 + rim[:, :, None] * np.array((1.0, 0.5, 0.1), np.float32))
        return np.where(lit[:, :, None], np.clip(colour * _SHADING_UNIT, 0, 255), 0).astype(np.uint8)

    def close(self) -> None:
        """End the drawing thread; `read` gives None from then on, also one that waits in another thread."""
        self._closed.set()
        self._painter.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> SimulatedCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
