"""`FrameSlot`: where the newest frame waits for its consumer, and the account of those that were displaced."""

from __future__ import annotations

from dataclasses import dataclass, fields

from device.errors import FrameUnreadable
from device.frame import Frame


@dataclass(frozen=True)
class CameraCounts:
    """What became of a live camera's frames so far."""

    captured: int = 0
    """New pictures that the camera gave."""
    delivered: int = 0
    """Those that a consumer took."""
    dropped: int = 0
    """Those that a newer one displaced before anyone took them."""
    missed: int = 0
    """Numbers that the camera itself left out."""
    unreadable: int = 0
    """Frames that came torn or could not be decoded."""
    repeated: int = 0
    """Frames that showed the picture before once more."""
    stalls: int = 0
    """How often the camera stalled."""
    reconnects: int = 0
    """How often it was had back after it was lost."""
    abandoned: int = 0
    """Threads that hung in its driver and were given up, ended meanwhile or not."""


class FrameSlot:
    """Room for one frame that nobody has taken, and for one trouble after it. Its owner holds a lock around it."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys((count.name for count in fields(CameraCounts)), 0)
        self.newest: Frame | None = None
        """The newest frame, taken or not."""
        self._frame: Frame | None = None
        self._trouble: FrameUnreadable | None = None

    def count(self, **more: int) -> None:
        """Add to `counts`."""
        for name, n in more.items():
            self._counts[name] += n

    @property
    def counts(self) -> CameraCounts:
        """What became of the frames so far."""
        return CameraCounts(**self._counts)

    def put(self, frame: Frame) -> None:
        """A new frame: it displaces what was there."""
        self.count(captured=1, dropped=int(self._frame is not None))
        self._frame = self.newest = frame
        self._trouble = None

    def put_trouble(self, error: FrameUnreadable) -> None:
        """A frame that could not be had: it displaces no good frame, and waits behind it."""
        self._trouble = error

    def skip(self) -> None:
        """Pass over what waits."""
        self.count(dropped=int(self._frame is not None))
        self._frame = self._trouble = None

    def drop_older(self, than_ns: int) -> Frame | None:
        """Drop the frame that waits when it was captured before `than_ns`; give it then, to be told of."""
        frame = self._frame
        if frame is None or frame.captured_ns >= than_ns:
            return None
        self.count(dropped=1)
        self._frame = None
        return frame

    def clear(self) -> None:
        """Give every frame up, for a camera that is closed."""
        self.skip()
        self.newest = None

    @property
    def waiting(self) -> bool:
        """Whether there is anything to take."""
        return self._frame is not None or self._trouble is not None

    def take(self) -> Frame | None:
        """The frame that waits; raises the trouble when that is all there is; None when there is nothing."""
        if self._frame is not None:
            frame, self._frame = self._frame, None
            self.count(delivered=1)
            return frame
        if self._trouble is not None:
            error, self._trouble = self._trouble, None
            raise error
        return None

    def see_newest(self) -> None:
        """Note that the newest frame is given beside `take`; whether it was given before does not matter."""
        if self._frame is not None:
            self.take()
