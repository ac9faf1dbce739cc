"""`SimulatedConfig`: what the simulated fundus camera shows, in user units, and its text form `sim:key=value,...`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from device.errors import SourceNotFound
from device.numbers import strict_float
from device.schemes import shown_source
from device.secrets import shortened

_PREFIX = "sim:"
_EXAMPLE = "sim:device=neo,seed=3,size=1280x960,fps=30,ridge=0.5,faults=0.1"


@dataclass(frozen=True)
class SimulatedConfig:
    """Settings of a `SimulatedCamera`; each can stand in a `sim:` text under its own name.

    Raises `ValueError` when a value is out of its range.
    """

    device: str = "retcam"
    """Whose colours, field shape and sharpness to imitate: `retcam` or `neo`."""
    seed: int = 0
    """Which infants are drawn, 0 or more; the same seed gives the same frames, pixel for pixel."""
    size: tuple[int, int] | None = None
    """Width and height in pixels, as text `1280x960`; None is 640x480 for retcam, 640x640 for neo."""
    fps: float = 0.0
    """Frames a second, kept by waiting and, when the reader is too slow, by dropping; 0 gives each when asked."""
    frames: int = 0
    """How many frames there are before the end; 0 never ends."""
    frames_per_eye: int = 150
    """After how many frames the next eye, another retina, is in view."""
    ridge: float = 0.5
    """Share of the eyes that have a ridge or demarcation line, 0 to 1."""
    faults: float = 0.0
    """Share of the frames that are spoilt (blink, defocus, glare, dark), 0 to 1."""
    tortuosity: float = 1.0
    """How winding the vessels are: 0 smooth, 1 usual, 4 as in severe disease."""
    vessel_width: float = 1.0
    """Width of the vessels as a multiple of the usual, 0.3 to 3."""
    motion: float = 1.0
    """How much the gaze wanders within a view, as a multiple of the usual, 0 to 3."""

    def __post_init__(self) -> None:
        _expect(self.device in ("retcam", "neo"), "device", self.device, "retcam or neo")
        _expect(0 <= self.seed < 2**63, "seed", self.seed, "a whole number from 0 up")
        if self.size is not None:
            _expect(all(32 <= side <= 4096 for side in self.size), "size", self.size, "sides of 32 to 4096 pixels")
        _expect(0 <= self.fps <= 1000, "fps", self.fps, "0 to 1000")
        _expect(self.frames >= 0, "frames", self.frames, "0 (no end) or more")
        _expect(self.frames_per_eye >= 1, "frames_per_eye", self.frames_per_eye, "1 or more")
        _expect(0 <= self.ridge <= 1, "ridge", self.ridge, "a share from 0 to 1")
        _expect(0 <= self.faults <= 1, "faults", self.faults, "a share from 0 to 1")
        _expect(0 <= self.tortuosity <= 4, "tortuosity", self.tortuosity, "0 to 4")
        _expect(0.3 <= self.vessel_width <= 3, "vessel_width", self.vessel_width, "0.3 to 3")
        _expect(0 <= self.motion <= 3, "motion", self.motion, "0 to 3")

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height in pixels, the device's own where none is set."""
        return self.size or ((640, 480) if self.device == "retcam" else (640, 640))

    @classmethod
    def parse(cls, text: str) -> SimulatedConfig:
        """The settings in a text like `sim:device=neo,seed=3`; `sim:` alone is all defaults.

        Raises `SourceNotFound` for an unknown or repeated name and for a value that cannot be.
        """
        if not text.startswith(_PREFIX):
            raise SourceNotFound(f"{text!r}: not a simulated camera; expected a text like {_EXAMPLE}")
        values: dict[str, Any] = {}
        for part in text[len(_PREFIX) :].split(",") if text != _PREFIX else []:
            key, equals, value = part.partition("=")
            if not equals or key not in _READERS:
                raise SourceNotFound(
                    f"{shown_source(text)!r}: unknown setting {shortened(part)!r}; expected {', '.join(_READERS)}"
                )
            if key in values:
                raise SourceNotFound(f"{text!r}: {key} is set twice; expected it once")
            try:
                values[key] = _READERS[key](value)
            except ValueError:
                raise SourceNotFound(
                    f"{shown_source(text)!r}: {key} got {shortened(value)!r}; expected a text like {_EXAMPLE}"
                ) from None
        try:
            return cls(**values)
        except ValueError as error:
            raise SourceNotFound(f"{shown_source(text)!r}: {error}") from None

    def __str__(self) -> str:
        """The shortest text that `parse` makes the same settings of."""
        parts = []
        for setting in fields(self):
            value = getattr(self, setting.name)
            if value != setting.default:
                parts.append(f"{setting.name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value}")
        return _PREFIX + ",".join(parts)


def _expect(holds: bool, name: str, got: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} got {shortened(str(got))}; expected {expected}")


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    return strict_float(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return _whole(width), _whole(height)


_READERS: dict[str, Callable[[str], Any]] = {
    "device": str,
    "seed": _whole,
    "size": _size,
    "fps": _number,
    "frames": _whole,
    "frames_per_eye": _whole,
    "ridge": _number,
    "faults": _number,
    "tortuosity": _number,
    "vessel_width": _number,
    "motion": _number,
}
