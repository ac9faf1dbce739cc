"""The camera contract: what every source of frames does, be it hardware, a file or a simulation."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from device.frame import Frame


class Camera(Protocol):
    """A source of frames. Use it as a context manager; it is opened by its constructor.

    Drivers are used from one thread at a time; `close` alone may come from another, also while a live camera waits in
    `read`, which then ends soon and gives None. A lost camera is opened anew by making another.
    """

    @property
    def name(self) -> str:
        """What the user called it, for messages."""
        ...

    @property
    def live(self) -> bool:
        """True when frames come as time passes (a repeated frame is then a fault), False for stored pictures."""
        ...

    @property
    def frame_count(self) -> int | None:
        """How many frames there will be, None when that is not known beforehand."""
        ...

    def read(self) -> Frame | None:
        """The next frame; None when there are no more.

        Raises `FrameUnreadable` for one bad frame (reading can go on), `FrameTimeout` when a live camera gave none
        within its driver's time, other `CameraError` when the source is lost.
        """
        ...

    def close(self) -> None:
        """Give everything back. Closing twice is fine."""
        ...

    def __enter__(self) -> Camera: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
