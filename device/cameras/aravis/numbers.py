"""`FrameNumbers`: the numbers of frames from 0, from those that a camera gives its blocks of data."""

from __future__ import annotations

_LAST_BLOCK = 0xFFFF
"""GigE Vision counts blocks from 1 to here and begins anew."""
_MAX_GAP = 10_000


class FrameNumbers:
    """Follows a camera's own count, so that a frame that was lost on the way leaves a gap."""

    def __init__(self) -> None:
        self._number = -1
        self._block: int | None = None

    def next(self, block: int, whole: bool) -> int:
        """Number of the frame that came with this block number.

        A block's number is in its first packet. Where that one was lost, libaravis leaves in the buffer the number of
        the block that it held before, or 0. So a number of a torn frame that cannot follow is passed over, and the
        frame is counted as the next one; a whole one that cannot follow is of a camera that began to count anew.
        """
        if not whole and block == 0:
            block = -1 if self._block is None else self._block
        step = 1
        if self._block is not None:
            step = block - self._block
            if step <= 0:
                step += _LAST_BLOCK
            if not 0 < step <= _MAX_GAP:
                step = 1
                block = block if whole else self._block + 1
        self._block = block if block >= 0 else None
        self._number += step
        return self._number
