"""What can go wrong with hardware, and with the files and streams that stand in for it.

DeviceError
|-- CameraError
|   |-- SourceNotFound      no such file, folder, video or camera, or a name that no driver knows
|   |-- CameraBusy          another program holds the camera
|   |-- CameraNotPermitted  this user may not open the camera
|   |-- SettingRefused      a setting that no driver knows, or that this camera cannot do
|   |-- DriverMissing       a library or program that the driver needs is not installed
|   |-- FrameUnreadable     one frame cannot be had; the next one may be fine
|   |   |-- FrameMisshapen  it came with another size or pixel format than the camera was set to
|   |   |-- RepeatedFrame   the camera gave the same picture again: it is frozen
|   |   |-- PictureOfNobody a still came of which it is not sure that it is the picture of this press
|   |   `-- NoNewFrame      a live camera gives no frames any more, or is being connected anew
|   |-- FrameTimeout        no frame came in time
|   |-- PressTooSoon        nothing was taken: a still of an earlier press may yet come
|   |-- StaleFrame          the newest frame is older than was allowed
|   `-- Disconnected        the source is gone and gives no more frames
`-- LightError              the light and trigger board, its port, its calibration, or the dose of light
    |-- PortUnusable        no such port, busy, not permitted, or gone
    |-- NotABoard           what is on the port does not speak ROPLINK
    |-- BoardSilent         no reply to three tries
    |-- BoardRefused        the board said no
    |   `-- AnotherHost     the board follows another program's sequence numbers
    |-- CalibrationInvalid  altered, expired, not signed by a trusted key, or for another board
    |-- DoseExceeded        the exposure would pass a limit of the calibration
    |-- DoseUnrecorded      the account cannot be kept on disk or read from there, so no light is given
    `-- FlashNotCaught      the flash was given, but no frame is sure to hold it
"""

from __future__ import annotations


class DeviceError(Exception):
    """Base of every error of this package; its text says what, got, expected, do this."""


class CameraError(DeviceError):
    """Base of every error about a source of frames."""


class SourceNotFound(CameraError):
    """There is no such source, or nothing in it that can be read as frames."""


class CameraBusy(CameraError):
    """Another program holds the camera."""


class CameraNotPermitted(CameraError):
    """This user may not open the camera; the text names the group that may."""


class SettingRefused(CameraError):
    """A setting is unknown or out of range, or the camera gave something else than was asked of it."""


class DriverMissing(CameraError):
    """A library or program that the driver needs is not installed; the text says how to get it."""


class FrameUnreadable(CameraError):
    """One frame cannot be had; `read` may be called again for the next one."""

    def __init__(self, message: str, *, source: str, sequence: int) -> None:
        super().__init__(message)
        self.source = source
        """What the frame would have been called, as in `Frame.source`."""
        self.sequence = sequence
        """The number that the frame would have had, as in `Frame.sequence`."""


class FrameMisshapen(FrameUnreadable):
    """A frame came with another size or pixel format than the camera was set to."""


class RepeatedFrame(FrameUnreadable):
    """The camera gave the same picture again, byte for byte, under a new time: it is frozen."""


class PictureOfNobody(FrameUnreadable):
    """A still came, or more than one, and whose it is is not known: it was not read."""


class NoNewFrame(FrameUnreadable):
    """A live camera gives no frames any more or is being connected anew; reading on waits for the next one."""


class FrameTimeout(CameraError):
    """No frame came within the time allowed."""


class PressTooSoon(CameraError):
    """A still of an earlier press may yet come, and would be taken for this one's: nothing was taken."""

    def __init__(self, message: str, *, left_s: float) -> None:
        super().__init__(message)
        self.left_s = left_s
        """Seconds until a press is taken."""


class StaleFrame(CameraError):
    """The newest frame is older than was allowed."""


class Disconnected(CameraError):
    """The source is gone: unplugged, closed by the other side, or at a broken end."""


class LightError(DeviceError):
    """Base of every error about the light and trigger board and the dose of light."""


class PortUnusable(LightError):
    """The port does not exist, is busy, is not permitted, or went away."""


class NotABoard(LightError):
    """Something answers on the port, but it does not speak ROPLINK."""


class BoardSilent(LightError):
    """The board did not reply to three tries."""


class BoardRefused(LightError):
    """The board said no."""

    def __init__(self, message: str, *, code: int, detail: int) -> None:
        super().__init__(message)
        self.code = code
        """Why, as `device.light.messages.NakCode`."""
        self.detail = detail
        """What the board added, as described at the code."""


class AnotherHost(BoardRefused):
    """The board follows sequence numbers that this host did not give: another program talks to it."""


class CalibrationInvalid(LightError):
    """The calibration file is altered, expired, not signed by a trusted key, or for another board."""


class DoseExceeded(LightError):
    """The exposure was refused: it would pass a limit of the calibration."""


class DoseUnrecorded(LightError):
    """The account of an infant's dose cannot be kept on disk or read from there, so no light is given."""


class FlashNotCaught(LightError):
    """The flash was given and counts, but no frame is sure to hold the whole of it."""
