"""`WatchedFolder`: the pictures of a folder, and each that arrives later, until it is closed."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from device.cameras.files.folder import read_picture, scan
from device.errors import Disconnected, FrameUnreadable, SourceNotFound
from device.frame import Frame

_Version = tuple[str, int, int]
"""A file as it was seen: name, size in bytes, time of change in ns."""


@dataclass
class _Waiting:
    """A file that has not been given yet."""

    version: _Version
    since: float
    polls: int = 1
    """How often it was seen unchanged."""


class WatchedFolder:
    """A camera that gives every picture of a folder once: first those that are there, then each new one.

    A file that is still being written waits: it is given once its size and time of change stood still for two polls
    and it decodes. One that stood still for `settle_s` and does not decode is reported as `FrameUnreadable`, once.
    A picture that is written anew under the same name is given again. A file that vanishes is forgotten.

    `read` blocks; `close` may be called from another thread (or a signal handler) and ends it.

    Raises `SourceNotFound` when there is no such folder; `read` raises `Disconnected` when it goes away.
    """

    live = False
    frame_count = None

    def __init__(self, folder: Path | str, *, poll_s: float = 0.5, settle_s: float = 5.0) -> None:
        self.name = str(folder)
        self._folder = Path(folder)
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._closed = threading.Event()
        self._waiting: dict[str, _Waiting] = {}
        self._ready: deque[_Version] = deque()
        self._done: set[_Version] = set()
        self._next = 0
        self._poll()

    def read(self) -> Frame | None:
        """The next picture, waiting for it as long as it takes; None once the folder is no longer watched."""
        while not self._closed.is_set():
            while self._ready:
                frame = self._try(self._ready.popleft())
                if frame is not None:
                    return frame
            if self._closed.wait(self._poll_s):
                break
            try:
                self._poll()
            except SourceNotFound as error:
                raise Disconnected(f"watched {error}") from error
        return None

    def _poll(self) -> None:
        """Look at the folder once and queue what has stood still."""
        seen: dict[str, _Waiting] = {}
        for entry in scan(self._folder)[0]:
            version = _version(Path(entry.path))
            if version is None or version in self._done:
                continue
            before = self._waiting.get(entry.name)
            if before is not None and before.version == version:
                before.polls += 1
                seen[entry.name] = before
            else:
                seen[entry.name] = _Waiting(version, time.monotonic())
        self._waiting = seen
        self._ready = deque(w.version for w in seen.values() if w.polls > 2 or self._still_s(w) >= 2 * self._poll_s)

    def _still_s(self, waiting: _Waiting) -> float:
        """Seconds without a change; a file's own time counts too, so that old files need not wait."""
        return max(time.monotonic() - waiting.since, time.time() - waiting.version[2] / 1e9)

    def _try(self, version: _Version) -> Frame | None:
        """The picture, or None when it has to wait or is gone; raises when it has waited long enough."""
        path = self._folder / version[0]
        try:
            frame = read_picture(path, self._next)
        except FrameUnreadable:
            waiting = self._waiting.get(version[0])
            if waiting is None or not os.path.lexists(path) or self._still_s(waiting) < self._settle_s:
                return None
            self._finish(version)
            raise
        if _version(path) != version:  # it was written to while it was read: it comes again when it is still
            return None
        self._finish(version)
        return frame

    def _finish(self, version: _Version) -> None:
        self._waiting.pop(version[0], None)
        self._done.add(version)
        self._next += 1

    def close(self) -> None:
        """Stop watching; a `read` that waits in another thread returns None."""
        self._closed.set()

    def __enter__(self) -> WatchedFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _version(path: Path) -> _Version | None:
    """Name, size and time of change (of a broken link: its own); None when the file has just gone."""
    try:
        status = os.stat(path, follow_symlinks=os.path.exists(path))
    except OSError:
        return None
    return path.name, status.st_size, status.st_mtime_ns
