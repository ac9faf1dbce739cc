"""A camera's second way: one still picture on demand, bound to the press of a button.

Many cameras give a small live stream, and the picture itself over another way: by an HTTP GET that takes the picture
and answers with it seconds later, or as a file that appears in a folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

from device.cameras.files.folder import read_picture, scan
from device.errors import CameraError, Disconnected, FrameTimeout, RepeatedFrame, SourceNotFound
from device.frame import Frame

LARGEST_BYTES = 96 * 2**20
"""Of a still picture; 48 megapixels as JPEG are 10 to 30 MB."""
_POLL_S = 0.05
_STILL_POLLS = 3
"""A file counts as whole once it stood still for so many looks."""
_CLOCK_STEP_NS = 10_000_000
"""A file system's clock may lie so far behind at a change."""
FOLDER = "folder:"


class StillSource(Protocol):
    """Where a still comes from. One thread at a time may take."""

    def take(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """The picture that was made for a press at `pressed_ns` (`time.monotonic_ns()`); its capture time is the press.

        Raises `FrameTimeout` when none came in time, `RepeatedFrame` for the picture of an earlier press,
        `FrameUnreadable` for one that cannot be read, `Disconnected` when the way is gone.
        """
        ...

    def close(self) -> None:
        """Give it back. Closing twice is fine."""
        ...


def open_still(spec: str) -> StillSource:
    """`http://...` or `https://...`: a picture a GET; `folder:PATH`: the next picture that appears there."""
    if spec.startswith(FOLDER):
        return FolderStill(Path(spec.removeprefix(FOLDER)))
    if spec.lower().startswith(("http://", "https://")):
        return HttpStill(spec)
    raise SourceNotFound(f"still {spec[:60]!r}: expected http://..., https://... or folder:PATH")


@dataclass(eq=False)
class HttpStill:
    """A camera that takes a picture for each GET and answers with it."""

    url: str

    def __post_init__(self) -> None:
        self._last: bytes | None = None
        self._taken = 0
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def take(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """See `StillSource`."""
        deadline_ns = pressed_ns + round(timeout_ms * 1e6)
        data = self._get(deadline_ns)
        digest = hashlib.sha256(data).digest()
        self._taken += 1
        if digest == self._last:
            raise RepeatedFrame(
                "the camera answered with the picture of the press before; press again",
                source="still",
                sequence=self._taken,
            )
        self._last = digest
        with tempfile.TemporaryDirectory(prefix="still-") as folder:
            path = Path(folder) / "still.jpg"  # what it is, is read from its content
            path.write_bytes(data)
            return _bound(read_picture(path, self._taken), pressed_ns, "still")

    def _get(self, deadline_ns: int) -> bytes:
        left_s = max(0.1, (deadline_ns - time.monotonic_ns()) / 1e9)
        request = urllib.request.Request(self.url, headers={"Cache-Control": "no-cache"})
        read = bytearray()
        try:
            with self._opener.open(request, timeout=left_s) as answer:
                while piece := answer.read1(1 << 20):
                    read += piece
                    if len(read) > LARGEST_BYTES:
                        raise CameraError(f"still: over {LARGEST_BYTES >> 20} MiB came; expected one picture")
                    if time.monotonic_ns() > deadline_ns:
                        raise FrameTimeout("still: the picture did not come in time; press again")
                expected = answer.headers.get("Content-Length")
        except TimeoutError:
            raise FrameTimeout("still: the camera did not answer in time; look at its network") from None
        except urllib.error.HTTPError as error:
            raise CameraError(f"still: the camera answered {error.code}; look at the address of its picture") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            if isinstance(why, TimeoutError):
                raise FrameTimeout("still: the camera did not answer in time; look at its network") from None
            raise Disconnected(f"still: the camera cannot be reached ({type(why).__name__}); look at it") from None
        if expected is not None and expected.isdigit() and int(expected) != len(read):
            raise CameraError(f"still: {len(read)} of {expected} bytes came; press again")
        return bytes(read)

    def close(self) -> None:
        """Nothing is held open between pictures."""


@dataclass(eq=False)
class FolderStill:
    """A folder in which a camera's own program lays each picture."""

    folder: Path
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._known = self._names()
        self._taken = 0

    def take(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """See `StillSource`. Pictures that lay there before the press are nobody's; the first new one is taken."""
        since_press_ns = time.monotonic_ns() - pressed_ns
        pressed_at_ns = time.time_ns() - since_press_ns - _CLOCK_STEP_NS
        deadline = pressed_ns / 1e9 + timeout_ms / 1000
        still: dict[tuple[str, int], tuple[tuple[int, int, int], int]] = {}
        while self.clock() < deadline:
            for name in sorted(self._names() - self._known):
                if self._version(name[0])[2] < pressed_at_ns and name not in still:
                    self._known.add(name)  # it came between two presses
                    continue
                version = self._version(name[0])
                seen, polls = still.get(name, (None, 0))
                still[name] = (version, polls + 1 if version == seen else 1)
                if still[name][1] >= _STILL_POLLS and version[0] > 0:
                    self._known = self._names()
                    self._taken += 1
                    return _bound(read_picture(self.folder / name[0], self._taken), pressed_ns, name[0])
            time.sleep(_POLL_S)
        raise FrameTimeout(f"still: no new picture in the folder within {timeout_ms / 1000:g} s; press again")

    def _names(self) -> set[tuple[str, int]]:
        """Name and inode: a picture written anew under an old name is a new one."""
        found = set()
        for entry in scan(self.folder).pictures:
            with suppress(OSError):
                found.add((entry.name, entry.stat().st_ino))
        return found

    def _version(self, name: str) -> tuple[int, int, int]:
        try:
            found = os.stat(self.folder / name)
        except OSError:
            return (0, 0, 0)
        return (found.st_size, found.st_ino, found.st_ctime_ns)

    def close(self) -> None:
        """Nothing is held open between pictures."""


def _bound(frame: Frame, pressed_ns: int, source: str) -> Frame:
    """The frame of a press: it belongs to what was aimed at then, whenever it came."""
    since_ns = time.monotonic_ns() - pressed_ns
    pressed_at = datetime.now(timezone.utc) - timedelta(microseconds=since_ns / 1000)
    return replace(frame, captured_ns=pressed_ns, captured_at=pressed_at, capture_ms=since_ns / 1e6, source=source)
