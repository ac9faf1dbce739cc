"""A camera's second way: one still picture on demand, bound to the press of a button.

Many cameras give a small live stream, and the picture itself over another way: by an HTTP GET that takes the picture
and answers with it seconds later, or as a file that appears in a folder.
"""

from __future__ import annotations

import hashlib
import queue
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Protocol

from device.cameras.files.decode import shown_name
from device.cameras.files.folder import read_picture, scan
from device.cameras.still_memory import StillMemory
from device.errors import (
    CameraError,
    Disconnected,
    FrameTimeout,
    FrameUnreadable,
    PictureOfNobody,
    PressTooSoon,
    RepeatedFrame,
    SourceNotFound,
)
from device.frame import Frame

LARGEST_BYTES = 96 * 2**20
"""Of a still picture; 48 megapixels as JPEG are 10 to 30 MB."""
SETTLE_S = 20.0
"""After a press that got no picture, and after a picture that no press asked for, a folder has to be quiet so long."""
REACH_S = 5.0
"""So long a camera may take to take a connection."""
_REFUSED_S = 5.0
"""Who was told to wait may have made the camera take a picture all the same; it comes within so long."""
SECOND_S = 1.0
"""So long after the first picture of a press a second one is waited for."""
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

        Raises `PressTooSoon`, and then nothing was asked for, while a picture of an earlier press may still come;
        `FrameTimeout` when none came in time, `PictureOfNobody` where it is not sure whose one is, `RepeatedFrame` for
        the picture of an earlier press, `FrameUnreadable` for one that cannot be read, `Disconnected` when the way is
        gone.
        """
        ...

    def look(self) -> None:
        """Called between presses, by any thread: what came meanwhile belongs to no press. Raises `CameraError`."""
        ...

    def reach(self) -> str:
        """Whether the way is there, in a few words; no picture is asked for. Raises `CameraError`."""
        ...

    def not_asked_for(self, since_ns: int, given: Collection[str]) -> int:
        """How many pictures came since then (`time.time_ns()`) that no press was given, so that nobody read them.

        given: the names of frames that an earlier run of the program was given.
        """
        ...

    def close(self) -> None:
        """Give it back. Closing twice is fine."""
        ...


def open_still(spec: str, memory: Path | None = None) -> StillSource:
    """`http://...` or `https://...`: a picture a GET; `folder:PATH`: the next picture that appears there.

    memory: a file for what a GET may yet answer with, for the next start of the program.
    """
    if spec.startswith(FOLDER):
        return FolderStill(Path(spec.removeprefix(FOLDER)))
    if spec.lower().startswith(("http://", "https://")):
        return HttpStill(spec, StillMemory(memory))
    raise SourceNotFound(f"still {spec[:60]!r}: expected http://..., https://... or folder:PATH")


@dataclass(eq=False)
class HttpStill:
    """A camera that takes a picture for each GET and answers with it.

    After a GET whose answer did not come whole the camera may answer the next one with the picture of that one, however
    much later: the first picture that comes then is refused.
    """

    url: str
    memory: StillMemory = field(default_factory=StillMemory)

    def __post_init__(self) -> None:
        self._taken = 0

    def take(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """See `StillSource`."""
        owed, data = self.memory.owes, self._get(pressed_ns + round(timeout_ms * 1e6))
        repeated = self.memory.came_before(hashlib.sha256(data).hexdigest())
        self.memory.answered(owes=owed and repeated)  # it may still send the one of the press that it did not answer
        self._taken += 1
        if repeated:
            raise RepeatedFrame(
                "the camera answered with the picture of the press before, or of an earlier one; press again",
                source="still",
                sequence=self._taken,
            )
        if owed:
            raise PictureOfNobody(
                "the press before got no picture, and this may be its; whose it is is not known, it was not read; "
                "press again",
                source="still",
                sequence=self._taken,
            )
        try:
            with tempfile.TemporaryDirectory(prefix="still-") as folder:
                path = Path(folder) / "still.jpg"  # what it is, is read from its content
                path.write_bytes(data)
                return _bound(read_picture(path, self._taken), pressed_ns, "still")
        except OSError as error:
            raise CameraError(f"still: the picture cannot be looked at ({error.strerror}); look at the disk") from None

    def _get(self, deadline_ns: int) -> bytes:
        before = self.memory.owes
        self.memory.ask()
        try:
            return _answer(self.url, deadline_ns)
        except urllib.error.HTTPError as error:  # it answered, and has no picture for this one
            self.memory.answered(before)
            raise CameraError(f"still: the camera answered {error.code}; look at the address of its picture") from None
        except (OSError, ValueError, HTTPException) as error:
            why = getattr(error, "reason", error)
            if isinstance(why, ConnectionRefusedError):  # nothing was asked
                self.memory.answered(before)
            if isinstance(why, TimeoutError):
                raise FrameTimeout("still: the camera did not answer in time; look at its network") from None
            raise Disconnected(f"still: the camera cannot be reached ({type(why).__name__}); look at it") from None

    def look(self) -> None:
        """Nothing comes between presses."""

    def reach(self) -> str:
        """See `StillSource`: whether something listens there."""
        try:
            there = urllib.parse.urlsplit(self.url)
            if not there.hostname:
                raise ValueError
            port = there.port or {"http": 80, "https": 443}[there.scheme]
            socket.create_connection((there.hostname, port), timeout=REACH_S).close()
        except ValueError:
            raise SourceNotFound(f"still {self.url[:60]!r}: expected http://..., https://... or folder:PATH") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Disconnected(f"still: the camera cannot be reached ({why}); look at it") from None
        return f"{there.hostname}:{port} listens"

    def not_asked_for(self, since_ns: int, given: Collection[str]) -> int:
        """None: each picture that came was answered for to whoever pressed."""
        return 0

    def close(self) -> None:
        """Nothing is held open between pictures."""


class _Sockets:
    """Those of one question, which another thread can end."""

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []

    def opener(self) -> urllib.request.OpenerDirector:
        """What asks by them."""
        plain, tls = self._kept(HTTPConnection), self._kept(HTTPSConnection)

        class Plain(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> HTTPResponse:
                return self.do_open(plain, request)

        class Tls(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> HTTPResponse:
                return self.do_open(tls, request)

        return urllib.request.build_opener(urllib.request.ProxyHandler({}), Plain, Tls)

    def _kept(self, kind: type[HTTPConnection]) -> type[HTTPConnection]:
        opened = self._opened

        class Kept(kind):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                opened.append(self.sock)

        return Kept

    def end(self) -> None:
        """Whoever waits for something of them waits no longer."""
        for one in self._opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give them back, also those that urllib left open after an answer that was none; by the thread that asked."""
        for one in self._opened:
            if (number := one.detach()) >= 0:
                socket.close(number)


def _answer(url: str, deadline_ns: int) -> bytes:
    """What a GET is answered with, whole; `TimeoutError` at the deadline, however slowly something still comes.

    It is asked in a thread of its own: names that do not resolve and answers that trickle hold up no one else.
    """
    sockets, told = _Sockets(), queue.SimpleQueue[bytes | Exception]()
    left_s = max(0.1, (deadline_ns - time.monotonic_ns()) / 1e9)

    def ask() -> None:
        try:
            told.put(_read_answer(sockets, url, left_s))
        except Exception as error:
            told.put(error)
        finally:
            sockets.close()

    threading.Thread(target=ask, name="still", daemon=True).start()
    try:
        answer = told.get(timeout=left_s)
    except queue.Empty:
        sockets.end()
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _read_answer(sockets: _Sockets, url: str, timeout_s: float) -> bytes:
    request = urllib.request.Request(url, headers={"Cache-Control": "no-cache"})
    read = bytearray()
    with sockets.opener().open(request, timeout=timeout_s) as answer:
        while piece := answer.read1(1 << 20):
            read += piece
            if len(read) > LARGEST_BYTES:
                raise CameraError(f"still: over {LARGEST_BYTES >> 20} MiB came; expected one picture")
        expected = answer.headers.get("Content-Length")
    if expected is not None and expected.isdigit() and int(expected) != len(read):
        raise CameraError(f"still: {len(read)} of {expected} bytes came; press again")
    return bytes(read)


@dataclass(frozen=True)
class _File:
    """A picture's file as one look saw it."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int = field(compare=False)
    """Changes with its name too."""


@dataclass(eq=False)
class FolderStill:
    """A folder in which a camera's own program lays each picture, under a new name or over the one before.

    Nothing but the moment tells whose a picture is. So it is the press's only where the folder was quiet before the
    press, and where it is the only one that came: see `SETTLE_S` and `SECOND_S`. What came otherwise is nobody's and is
    never given to a later press. A start counts as a press without its picture, as there may have been one before it.
    """

    folder: Path
    settle_s: float = SETTLE_S
    second_s: float = SECOND_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        found = self._list()
        self._known = set(found.values())
        self._before = {name: file.changed_ns for name, file in found.items()}
        self._nobodys: dict[str, int] = {}
        self._given: set[str] = set()
        self._taken = 0
        self._ready_at = self.clock() + self.settle_s

    def take(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """See `StillSource`."""
        with self._lock:
            self._look()
            left_s = self._ready_at - self.clock()
            if left_s > 0:
                left_s = max(left_s, min(_REFUSED_S, self.settle_s))
                self._ready_at = self.clock() + left_s
                raise PressTooSoon(
                    f"a picture that no press asked for may still come; nothing was taken, wait {left_s:.0f} s, "
                    "then press again",
                    left_s=left_s,
                )
            try:
                frame = self._wait(pressed_ns, timeout_ms)
                if frame.sha256 in self._given:
                    raise RepeatedFrame(
                        "the picture of an earlier press came again; press again", source="still", sequence=self._taken
                    )
            except BaseException:
                self._ready_at = self.clock() + self.settle_s
                with suppress(CameraError):
                    self._look()
                raise
            self._given.add(frame.sha256)
            return _bound(frame, pressed_ns, frame.source)

    def _wait(self, pressed_ns: int, timeout_ms: float) -> Frame:
        """The one picture that came for the press, once it is whole and no second one came."""
        pressed_at_ns = time.time_ns() - round(self.clock() * 1e9 - pressed_ns) - _CLOCK_STEP_NS
        deadline = pressed_ns / 1e9 + timeout_ms / 1000
        self._taken += 1
        inodes: set[int] = set()
        file, polls, first = _File(0, 0, 0, 0), 0, deadline
        frame: Frame | None = None
        unreadable: FrameUnreadable | None = None
        while self.clock() < (deadline + self.second_s if inodes else deadline):
            new = self._new(self._list())
            if new and not inodes:
                first = self.clock()
            inodes |= {one.inode for one in new.values()}
            for name, found in [*new.items()][:1]:  # further names are of the same file
                if len(inodes) > 1 or found.size < file.size or (frame is not None and found != file):
                    raise self._of_nobody("more than one picture came for one press")
                if found.changed_ns < pressed_at_ns:
                    raise self._of_nobody(
                        "a picture came that by its file's time was there before the press (compare the clocks)"
                    )
                file, polls = found, polls + 1 if found == file else 1
                if polls == _STILL_POLLS:
                    frame, unreadable = self._read(name)
            if frame is not None and polls > _STILL_POLLS and self.clock() - first >= self.second_s:
                self._known.add(file)
                return frame
            self.sleep(_POLL_S)
        if unreadable is not None:
            self._known.add(file)
            raise unreadable
        came = "a picture came, but not whole," if inodes else "no new or changed picture in the folder"
        raise FrameTimeout(
            f"still: {came} within {timeout_ms / 1000:g} s; wait {self.settle_s:.0f} s in case it comes late, "
            "then press again"
        )

    def _read(self, name: str) -> tuple[Frame | None, FrameUnreadable | None]:
        """The picture, or why a file that stands still is none; more of it may yet come."""
        try:
            return read_picture(self.folder / name, self._taken), None
        except FrameUnreadable as error:
            return None, error

    def _of_nobody(self, what: str) -> PictureOfNobody:
        return PictureOfNobody(
            f"{what}; whose it is is not known, none was read; wait {self.settle_s:.0f} s, then press again",
            source="still",
            sequence=self._taken,
        )

    def reach(self) -> str:
        """See `StillSource`."""
        return f"{len(self._list())} pictures lie there"

    def look(self) -> None:
        """See `StillSource`; while a press waits, what comes is that one's to look at."""
        if self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        found = self._list()
        if changed := self._changed(found):
            self._known |= set(changed.values())
            self._ready_at = self.clock() + self.settle_s
        self._nobodys |= dict.fromkeys(changed, time.time_ns())

    def not_asked_for(self, since_ns: int, given: Collection[str]) -> int:
        """See `StillSource`."""
        nobodys = self._nobodys.copy()
        earlier = {
            name
            for name, at_ns in self._before.items()
            if at_ns >= since_ns and name not in nobodys and shown_name(self.folder / name, None) not in given
        }
        return len(earlier) + sum(at_ns >= since_ns for at_ns in nobodys.values())

    def _changed(self, found: Mapping[str, _File]) -> dict[str, _File]:
        """What was not there at any look before; one that has but another name now was."""
        return {name: file for name, file in found.items() if file not in self._known}

    def _new(self, found: Mapping[str, _File]) -> dict[str, _File]:
        """`_changed`, but for files that are only begun."""
        return {name: file for name, file in self._changed(found).items() if file.size > 0}

    def _list(self) -> dict[str, _File]:
        found = {}
        for entry in scan(self.folder).pictures:
            with suppress(OSError):
                seen = entry.stat()
                found[entry.name] = _File(seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        return found

    def close(self) -> None:
        """Nothing is held open between pictures."""


def _bound(frame: Frame, pressed_ns: int, source: str) -> Frame:
    """The frame of a press: it belongs to what was aimed at then, whenever it came."""
    since_ns = time.monotonic_ns() - pressed_ns
    pressed_at = datetime.now(timezone.utc) - timedelta(microseconds=since_ns / 1000)
    return replace(frame, captured_ns=pressed_ns, captured_at=pressed_at, capture_ms=since_ns / 1e6, source=source)
