"""`Frame`: one image from a camera with everything that a record of it needs."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What a simulated camera drew, so that tests and demonstrations can hold results against it."""

    vessels: NDArray[np.uint8]
    """Vessel mask in the frame's own geometry, uint8 [H, W], 0 or 255."""
    ridge_in_view: bool
    """Whether a ridge or demarcation line can be seen in the frame."""
    fault: str | None = None
    """What is wrong with the frame on purpose (`blink`, `defocus`, `glare`, ...), None when nothing is."""


@dataclass(frozen=True)
class StatedOf:
    """What a file states of its picture's subject; empty where it states nothing. For comparing: written nowhere."""

    eye: str = ""
    """`R` or `L`, of the patient; `B` where it says both eyes, `RL` where it says one here and the other there."""
    patient_id: str = field(default="", repr=False)


NOTHING_STATED = StatedOf()


@dataclass(frozen=True, eq=False)
class Frame:
    """One image from a camera.

    The pixels belong to the frame: they are made read-only, so a frame can be handed between threads.
    """

    pixels: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3], C-contiguous."""
    sequence: int
    """Number of the frame at its source, from 0; gaps are frames that were dropped or unreadable."""
    source: str
    """File name for files, `sim:12`-like names for cameras; never a patient's name, and a path only where the folders
    in a folder were asked for (from there on)."""
    captured_ns: int = field(default_factory=time.monotonic_ns)
    """`time.monotonic_ns()` at capture (for a file: when its reading began)."""
    captured_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    """Wall-clock time of the same moment, UTC."""
    capture_ms: float = 0.0
    """Time that getting the frame took its driver: read and decode, or exposure and transfer."""
    changes: tuple[str, ...] = ()
    """What was done to the picture beyond decoding it (colours converted, turned upright), for the reading."""
    stated: StatedOf = NOTHING_STATED
    """Whose picture its file says it is; an exam holds it against the infant and the eye that are set."""
    truth: GroundTruth | None = None
    """From simulated cameras only."""

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(f"frame {self.source}: got {dtype} {list(shape)}, expected uint8 [H, W, 3] RGB, not empty")
        if not self.pixels.flags.c_contiguous:
            object.__setattr__(self, "pixels", np.ascontiguousarray(self.pixels))
        self.pixels.flags.writeable = False

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the RGB bytes in row order, as hex; computed once, when first asked for.

        It takes about 0.6 ms a megabyte, without the interpreter lock, so it can run beside other work.
        """
        return hashlib.sha256(self.pixels.data).hexdigest()
