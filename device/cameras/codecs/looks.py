"""Where `seams` and `further` have their compiled part from; None where there is none, or one of other sources."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device.compiled import of_these_sources


class CompiledLooks(Protocol):
    """The compiled part, looks.c."""

    def flat(self, pixels: NDArray[np.uint8], size: tuple[int, int], /) -> tuple[int, int] | None:
        """First and last of rows that are one flat colour. size: height and width."""

    def score(self, pixels: NDArray[np.uint8], size: tuple[int, int], quantum: float, /) -> float:
        """How much the strongest seam stands out. size: height and width. quantum: as of `seam_score`."""

    def pictures(self, data: bytes, end: int, size: tuple[int, int], /) -> int:
        """How many pictures a file holds, the first of which ends before `end`. size: its width and height."""


compiled: CompiledLooks | None = None
try:
    from device.cameras.codecs import _looks
except ImportError:  # built without a compiler: the same is seen, later
    pass
else:
    if of_these_sources(_looks):
        compiled = _looks
