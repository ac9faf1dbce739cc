"""A video or stream has one size: a picture of another is not scaled in silence, it is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.errors import FrameMisshapen


class OneSize:
    """Holds each picture against the size of the first."""

    def __init__(self, do_this: str) -> None:
        """do_this: the last words of the error."""
        self._do_this = do_this
        self.size: tuple[int, int] | None = None
        """Width and height, None before the first."""

    def check(self, pixels: NDArray[np.uint8], source: str, sequence: int) -> NDArray[np.uint8]:
        """The pixels, uint8 [H, W, 3], themselves; raises `FrameMisshapen` when they are of another size."""
        height, width = pixels.shape[:2]
        self.size = self.size or (width, height)
        if (width, height) != self.size:
            raise FrameMisshapen(
                f"{source}: got {width} x {height}, expected {self.size[0]} x {self.size[1]} as before; "
                f"{self._do_this}",
                source=source,
                sequence=sequence,
            )
        return pixels
