"""What can go wrong with hardware, and with the files and streams that stand in for it.

DeviceError
`-- CameraError
    |-- SourceNotFound      no such file, folder, video or camera, or a name that no driver knows
    |-- FrameUnreadable     one frame cannot be had; the next one may be fine
    |-- FrameTimeout        no frame came in time
    `-- Disconnected        the source is gone and gives no more frames
"""

from __future__ import annotations


class DeviceError(Exception):
    """Base of every error of this package; its text says what, got, expected, do this."""


class CameraError(DeviceError):
    """Base of every error about a source of frames."""


class SourceNotFound(CameraError):
    """There is no such source, or nothing in it that can be read as frames."""


class FrameUnreadable(CameraError):
    """One frame cannot be had; `read` may be called again for the next one."""

    def __init__(self, message: str, *, source: str, sequence: int) -> None:
        super().__init__(message)
        self.source = source
        """What the frame would have been called, as in `Frame.source`."""
        self.sequence = sequence
        """The number that the frame would have had, as in `Frame.sequence`."""


class FrameTimeout(CameraError):
    """No frame came within the time allowed."""


class Disconnected(CameraError):
    """The source is gone: unplugged, closed by the other side, or at a broken end."""
