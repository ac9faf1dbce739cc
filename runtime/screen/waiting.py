"""Waiting for the next frame without letting the engine idle: another thread waits, this one does what is due."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from device.cameras.base import Camera
from device.frame import Frame


class Waiting:
    """Reads a camera, and calls `idle` every `every_s` seconds for as long as the next frame keeps it waiting.

    The camera is read in a thread of its own, since what idles (a GPU) belongs to the thread that loaded it. A context
    manager; a read that still waits at its end is ended by closing the camera.
    """

    def __init__(self, camera: Camera, idle: Callable[[], None], every_s: float) -> None:
        self._camera = camera
        self._idle = idle
        self._every_s = every_s
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="camera-read")
        self._pending: Future[Frame | None] | None = None

    def read(self) -> Frame | None:
        """As `Camera.read`."""
        if self._pending is None:
            self._pending = self._reader.submit(self._camera.read)
        while not wait((self._pending,), self._every_s).done:
            self._idle()
        pending, self._pending = self._pending, None
        return pending.result()

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)
