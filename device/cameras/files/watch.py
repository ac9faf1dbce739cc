"""`WatchedFolder`: the pictures of a folder, and each that arrives later, until it is closed."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from device.cameras.files.folder import read_picture, scan
from device.cameras.files.passed import counted
from device.cameras.files.seen import SeenFiles, Version, sha256_of
from device.cameras.handle import Handle
from device.errors import Disconnected, FrameUnreadable, SourceNotFound
from device.frame import Frame


@dataclass
class _Waiting:
    """A file that has not been given yet."""

    version: Version
    since: float
    from_beginning: bool = False
    """Whether it was there, as it is now, when watching began."""
    polls: int = 1
    """How often it was seen unchanged."""


class WatchedFolder:
    """A camera that gives every picture of a folder once: first those that are there, then each new one.

    A file that is still being written waits: it is given once its size and time of change stood still for two polls
    and it decodes. One that stood still for `settle_s` and does not decode is reported as `FrameUnreadable`, once.
    Another picture that is written under the same name is given; the same bytes, touched or copied anew, are not.

    With a folder `state`, what was given is remembered there and not given again after a restart. A picture counts as
    dealt with once the next one is asked for, or the camera is closed in order: one that a crash interrupted is given
    again rather than lost.

    `read` blocks; `close` may be called from another thread (or a signal handler) and ends it.

    Raises `SourceNotFound` when there is no such folder, `SettingRefused` when `state` cannot be used; `read` raises
    `Disconnected` when the folder goes away or what was given cannot be remembered any more.
    """

    live = False
    frame_count = None

    def __init__(
        self, folder: Path | str, *, poll_s: float = 0.5, settle_s: float = 5.0, state: Path | None = None
    ) -> None:
        self.name = str(folder)
        self._folder = Path(folder)
        self._poll_s = poll_s
        self._settle_s = settle_s
        self._closed = threading.Event()
        self._waiting: dict[str, _Waiting] = {}
        self._began = False
        self._ready: deque[Version] = deque()
        self._given: tuple[Version, str] | None = None
        self._next = 0
        self._passed_over = scan(self._folder).passed_over  # that it is there is the first thing to know
        self._done = SeenFiles(self._folder, state)
        self._handle = Handle(self._done.close)
        try:
            self._poll()
        except BaseException:
            self.close()
            raise

    @property
    def passed_over(self) -> str:
        """How many entries of the folder are not read, by kind; empty for none. As they were when it goes away."""
        with suppress(SourceNotFound):
            self._passed_over = scan(self._folder).passed_over
        return counted(self._passed_over)

    def read(self) -> Frame | None:
        """The next picture, waiting for it as long as it takes; None once the folder is no longer watched."""
        with self._handle.use() as usable:
            if not usable:
                return None
            self._remember()
            return self._wait()

    def _wait(self) -> Frame | None:
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
        for entry in scan(self._folder).pictures:
            version = _version(Path(entry.path))
            if version is None or version in self._done or (self._given and self._given[0] == version):
                continue
            before = self._waiting.get(entry.name)
            if before is not None and before.version == version:
                before.polls += 1
                seen[entry.name] = before
            else:
                seen[entry.name] = _Waiting(version, time.monotonic(), from_beginning=not self._began)
        self._waiting = seen
        self._began = True
        self._ready = deque(w.version for w in seen.values() if w.polls > 2 or self._still_s(w) >= 2 * self._poll_s)

    def _still_s(self, waiting: _Waiting) -> float:
        """Seconds without a change; of a file that was there at the beginning its own time counts too, so that it need
        not wait. The clock of a server may be another, so one that appeared since has to be seen standing still."""
        if not waiting.from_beginning:
            return time.monotonic() - waiting.since
        return max(time.monotonic() - waiting.since, time.time() - waiting.version[2] / 1e9)

    def _try(self, version: Version) -> Frame | None:
        """The picture, or None when it has to wait or is gone; raises when it has waited long enough."""
        path = self._folder / version[0]
        digest = sha256_of(path)
        if digest and self._done.has_bytes(version[0], digest):  # bytes that could not be read are nobody's
            self._done.add(version, digest)
            return None
        try:
            frame = read_picture(path, self._next)
        except FrameUnreadable:
            waiting = self._waiting.get(version[0])
            if waiting is None or not os.path.lexists(path) or self._still_s(waiting) < self._settle_s:
                return None
            self._finish(version, digest)
            raise
        if _version(path) != version:  # it was written to while it was read: it comes again when it is still
            return None
        self._finish(version, digest)
        return frame

    def _finish(self, version: Version, digest: str) -> None:
        self._waiting.pop(version[0], None)
        self._given = (version, digest)
        self._next += 1

    def _remember(self) -> None:
        """What was given last has been dealt with."""
        given, self._given = self._given, None
        if given is not None:
            self._done.add(*given)

    def close(self) -> None:
        """Stop watching; a `read` that waits in another thread returns None."""
        self._closed.set()
        self._handle.close()

    def __enter__(self) -> WatchedFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._closed.is_set():
            self._remember()
        self.close()


def _version(path: Path) -> Version | None:
    """Name, size and time of the last change of anything about the file; None when it has just gone.

    The file's own time is no guide: a copy may set it to long ago before it is whole, and another picture may have it.
    """
    try:
        status = os.stat(path, follow_symlinks=os.path.exists(path))
    except OSError:
        return None
    return path.name, status.st_size, max(status.st_ctime_ns, 0)
