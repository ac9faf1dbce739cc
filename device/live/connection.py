"""One connection to a camera: a thread that opens it, reads it until it ends or is told to stop, and closes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from device.cameras.base import Camera
from device.errors import CameraError, Disconnected, FrameTimeout, FrameUnreadable
from device.frame import Frame
from device.secrets import hide_secrets

_BREATH_S = 0.005
"""Pause after a frame that could not be had, so that a driver that fails at once does not take a core."""


class Owner(Protocol):
    """Who is told. Every call names the connection, since an abandoned one may still speak."""

    def opened(self, connection: CameraConnection, camera: Camera) -> None:
        """The camera is open."""
        ...

    def refused(self, connection: CameraConnection, error: CameraError) -> None:
        """The camera cannot be opened."""
        ...

    def took(self, connection: CameraConnection, frame: Frame) -> None:
        """A frame came."""
        ...

    def missed(self, connection: CameraConnection, error: FrameUnreadable) -> None:
        """One frame could not be had."""
        ...

    def ended(self, connection: CameraConnection) -> None:
        """The source has no more frames."""
        ...

    def lost(self, connection: CameraConnection, error: CameraError) -> None:
        """The camera is lost."""
        ...

    def finished(self, connection: CameraConnection) -> None:
        """Its driver has been left; the thread does nothing more."""
        ...


class CameraConnection:
    """Opens and reads one camera in a daemon thread, in which alone the driver is used, from opening to closing."""

    def __init__(self, owner: Owner, open_it: Callable[[], Camera], name: str, first_sequence: int) -> None:
        self._owner = owner
        self._open = open_it
        self._name = name
        self._stop = threading.Event()
        self.first_sequence = first_sequence
        """What the owner adds to the numbers of this connection's frames."""
        self.finished = False
        """Whether the driver has been left, closed and all."""
        self.thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def stop(self) -> None:
        """End after the `read` under way, however long that takes."""
        self._stop.set()

    def _run(self) -> None:
        try:
            self._use()
        finally:
            self.finished = True
            self._owner.finished(self)
            del self._owner  # owner and connection know each other: without this they would wait for the collector

    def _use(self) -> None:
        try:
            camera = self._open()
        except Exception as error:
            self._owner.refused(self, self._as_camera_error(error))
            return
        try:
            self._owner.opened(self, camera)
            self._read_on(camera)
        except Exception as error:
            self._owner.lost(self, self._as_camera_error(error))
        finally:
            with suppress(Exception):  # the camera is being left anyway, often because it is gone
                camera.close()

    def _read_on(self, camera: Camera) -> None:
        while not self._stop.is_set():
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                self._owner.missed(self, error)
                self._stop.wait(_BREATH_S)
            except FrameTimeout:  # silence, which the owner's own timer judges
                self._stop.wait(_BREATH_S)
            else:
                if frame is None:
                    self._owner.ended(self)
                    return
                self._owner.took(self, frame)
                del frame  # else this thread would hold a frame's memory while it waits for the next

    def _as_camera_error(self, error: Exception) -> CameraError:
        """A driver may raise what it likes; the consumer gets our errors only, with the cause behind them."""
        if isinstance(error, CameraError):
            return error
        wrapped = Disconnected(f"{self._name}: its driver failed: {type(error).__name__}: {hide_secrets(str(error))}")
        wrapped.__cause__ = error
        return wrapped
