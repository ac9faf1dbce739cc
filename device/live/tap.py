"""`Tap`: every frame of a live camera in its order, for who must not lose one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from device.errors import FrameTimeout, FrameUnreadable
from device.frame import Frame


class Tap:
    """Frames and troubles since the tap was opened, at most `room` of them waiting; `LiveReader.tap` opens one."""

    def __init__(
        self,
        name: str,
        changed: threading.Condition,
        over: Callable[[], bool],
        raise_if_failed: Callable[[], None],
        room: int,
    ) -> None:
        self._name = name
        self._changed = changed
        self._over = over
        self._raise_if_failed = raise_if_failed
        self._waiting: deque[Frame | FrameUnreadable] = deque(maxlen=room)
        self.dropped = 0
        """How many went by because the room was full."""

    def put(self, item: Frame | FrameUnreadable) -> None:
        """One more, from the reader, which holds the lock."""
        self.dropped += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(item)

    def next(self, timeout_ms: float) -> Frame | None:
        """The oldest frame not yet taken; None once there will be no more.

        Raises `FrameTimeout`, `FrameUnreadable` in the place of a frame that could not be had, and `Disconnected` once
        the camera is lost for good.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over(), timeout_ms / 1000)
            if not self._waiting:
                self._raise_if_failed()
                if self._over():
                    return None
                raise FrameTimeout(f"{self._name}: no frame within {timeout_ms:g} ms; look at the camera")
            item = self._waiting.popleft()
        if isinstance(item, FrameUnreadable):
            raise item
        return item
