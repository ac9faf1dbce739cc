"""`Client`: frames to the daemon and results back, from Python.

with Client(path, name="bench", slots=3, slot_bytes=pixels.nbytes) as client:
    result = client.read(pixels)
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import struct
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TypeVar

import numpy as np

from device.pixels import ROW_BYTES, ColourMatrix, PixelFormat, Range
from runtime.arrays import UInt8Array, require_rgb
from runtime.daemon.clock import now_ns
from runtime.daemon.errors import DaemonError, DaemonGone, DaemonRefused, DaemonSilent, Impostor
from runtime.daemon.limits import is_trusted
from runtime.daemon.messages import (
    CANCELLED,
    FROM_DAEMON,
    AskBundle,
    AskHealth,
    BundleInfo,
    Cancel,
    Configure,
    ConfigureFlag,
    Error,
    FrameOrder,
    Health,
    Hello,
    Reload,
    Reloaded,
    Result,
    ResultFlag,
    RingLayout,
    Submit,
    SubmitFlag,
    Welcome,
    WireOutcome,
)
from runtime.daemon.ring import SEALS, Ring
from runtime.daemon.wire import LARGEST, VERSION, Envelope, ErrorCode, Message, ProtocolError, decode
from runtime.outcome import Outcome as ReadingOutcome
from runtime.outcome import picture_banner

ANSWER_S = 10.0
MAX_AGE_MS = 2000.0
_NO_SIGNAL, _AT_ONCE = int(socket.MSG_NOSIGNAL), int(socket.MSG_DONTWAIT)
_TIMEVAL = struct.Struct("@ll")
_OF_THE_FRAME = ("slot", "generation", "sequence", "captured_ns")
"""What a RESULT repeats of its SUBMIT."""
A = TypeVar("A", bound=Message)


class Client:
    """One connection to the daemon, with its ring when slots are asked for. One thread at a time; a context manager.

    path: the daemon's socket. name: what the frames' source is to be called, of letters, digits and . _ : -.
    slots, slot_bytes: the ring; 0 slots for asking health only. max_age_ms: a result of a frame captured longer ago, by
    this side's clock, is NO_RESULT. daemon_uid: who must have made the socket (None: root or this user).
    bundle_sha256: what must have read the frames (None: any bundle), else NO_RESULT.
    Raises `DaemonGone`, `DaemonRefused`, `DaemonSilent`, `Impostor`.
    """

    def __init__(
        self,
        path: Path | str,
        name: str = "python",
        *,
        slots: int = 0,
        slot_bytes: int = 0,
        order: FrameOrder = FrameOrder.NEWEST,
        stored_pictures: bool = False,
        answer_s: float = ANSWER_S,
        max_age_ms: float = MAX_AGE_MS,
        daemon_uid: int | None = None,
        bundle_sha256: bytes | None = None,
    ) -> None:
        if not 0 < max_age_ms <= 60_000:
            raise ValueError(f"max_age_ms: got {max_age_ms}, expected above 0, at most 60000")
        if not 0 < answer_s <= 1e6:
            raise ValueError(f"answer_s: got {answer_s}, expected above 0, at most 1000000")
        if bundle_sha256 is not None and not (isinstance(bundle_sha256, bytes) and len(bundle_sha256) == 32):
            raise ValueError(
                f"bundle_sha256: got {bundle_sha256!r}, expected 32 bytes; bytes.fromhex makes them of digits"
            )
        self._answer_s = answer_s
        self._max_age_ns = int(max_age_ms * 1e6)
        self._bundle_sha256 = bundle_sha256
        self._tags = itertools.count(1)
        # With their tags; they came while others were waited for.
        self._results: deque[tuple[int, Result | DaemonRefused]] = deque()
        self._in_flight: dict[int, Submit] = {}  # by tag
        self._given_up: dict[int, int] = {}  # tag to slot: the caller had its result, the daemon has the slot
        self._ring: Ring | None = None
        self._over = ""
        """What the daemon said that cannot be; nothing is heard after that."""
        hello = Hello(VERSION, VERSION, name)
        self._socket = _connect(path)
        self._patience_s = 0.0
        try:
            _check_peer(self._socket, path, daemon_uid)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(answer_s))
            self.welcome = self._ask(hello, Welcome)
            if self.welcome.version != VERSION:
                raise DaemonError(f"the daemon chose version {self.welcome.version}, this client speaks {VERSION}")
            if slots:
                flags = ConfigureFlag.STORED_PICTURES if stored_pictures else 0
                self._configure(Configure(slots, slot_bytes, FrameOrder(order), int(flags)))
        except BaseException:
            self._socket.close()
            raise

    @property
    def ring(self) -> Ring:
        """The ring; a `DaemonError` where none was asked for."""
        if self._ring is None:
            raise DaemonError("this client has no ring; name slots and slot_bytes when it is made")
        return self._ring

    def free_slot(self) -> int | None:
        """A slot that is this side's, None when all are the daemon's. The longest unused: maps stay."""
        self._take_waiting()
        taken = {*(frame.slot for frame in self._in_flight.values()), *self._given_up.values()}
        free = [slot for slot in range(self.ring.layout.slots) if slot not in taken]
        return min(free, key=self.ring.generation, default=None)

    def fill(self, slot: int, pixels: UInt8Array) -> None:
        """Copy pixels, uint8 [H, W, 3] or [H, W], into a slot. A camera would write there itself, between
        `begin` and `finish`. Raises `ValueError` for other numbers than bytes, which would be cut to bytes."""
        if pixels.dtype != np.uint8:
            raise ValueError(f"got pixels of {pixels.dtype}, expected uint8; scale them to 0 to 255 first")
        room = self.ring.pixels(self._own(slot)).nbytes
        if pixels.nbytes > room:
            raise ValueError(f"got pixels of {pixels.nbytes} bytes, a slot holds {room}; name a larger slot_bytes")
        self.begin(slot)
        self.ring.pixels(slot)[: pixels.nbytes] = np.ascontiguousarray(pixels).reshape(-1)
        self.finish(slot)

    def _own(self, slot: int) -> int:
        if not 0 <= slot < self.ring.layout.slots:
            raise ValueError(f"slot: got {slot}, expected 0 to {self.ring.layout.slots - 1}")
        return slot

    def begin(self, slot: int) -> None:
        """Before the first byte of a frame is written."""
        self._own(slot)
        self.ring.set_generation(slot, self.ring.generation(slot) + 1 | 1)

    def finish(self, slot: int) -> None:
        """After the last byte of a frame is written."""
        self._own(slot)
        self.ring.set_generation(slot, self.ring.generation(slot) + 1)

    def submit(
        self,
        slot: int,
        width: int,
        height: int,
        *,
        sequence: int = 0,
        pixel_format: PixelFormat = PixelFormat.RGB8,
        stride: int | None = None,
        matrix: ColourMatrix = ColourMatrix.NONE,
        levels: Range = Range.NONE,
        chroma_offset: int = 0,
        data_bytes: int = 0,
        captured_ns: int = 0,
        deadline_ns: int = 0,
        capture_us: int = 0,
        vessels: bool = False,
    ) -> int:
        """Hand a filled slot over; gives the tag. Times are `runtime.daemon.clock.now_ns()`; 0 is none.

        captured_ns: 0 is now. stride: None: rows have no padding. matrix, levels: of YUV. data_bytes: of JPEG.
        Raises `ValueError` for what no message can say; what the daemon refuses comes by `result`.
        """
        frame = Submit(
            self.ring.generation(self._own(slot)),
            sequence,
            captured_ns or now_ns(),
            deadline_ns,
            slot,
            width,
            height,
            ROW_BYTES.get(pixel_format, 0) * width if stride is None else stride,
            PixelFormat(pixel_format),
            int(SubmitFlag.VESSELS) if vessels else 0,
            ColourMatrix(matrix),
            Range(levels),
            capture_us,
            chroma_offset,
            data_bytes,
        )
        tag = self._send(frame)
        self._in_flight[tag] = frame
        return tag

    def result(self, timeout_s: float | None = None) -> Result:
        """The next result. One older than `max_age_ms` is NO_RESULT, also while the daemon says nothing.

        Raises `DaemonRefused` for a frame that was refused, `DaemonSilent` when the time passes.
        """
        return self._next(self._answer_s if timeout_s is None else timeout_s)

    def _next(self, timeout_s: float, tag: int | None = None) -> Result:
        """The next result, or that of one frame; others' stay where they are."""
        deadline = time.monotonic() + timeout_s
        while (kept := self._taken(tag)) is None:
            self._expire()
            if (kept := self._taken(tag)) is not None:
                break
            until = min([deadline, *(self._expires(frame) for frame in self._in_flight.values())])
            try:
                self._hear(until)
            except DaemonSilent:
                if until >= deadline:
                    raise
        if isinstance(kept, DaemonRefused):
            raise kept
        return self._judged(kept)

    def _taken(self, tag: int | None) -> Result | DaemonRefused | None:
        for index, (about, kept) in enumerate(self._results):
            if tag in (None, about):
                del self._results[index]
                return kept
        return None

    def fresh_until_ns(self, result: Result) -> int:
        """Until when a result may be shown, by `clock.now_ns`. Whoever draws it must take it away by then."""
        return result.captured_ns + self._max_age_ns

    def cancel(self) -> None:
        """No frame handed over so far is to have a result: each comes as NO_RESULT, whatever the daemon says of it.

        Also where this raises `DaemonGone`: what had come before the daemon went is cancelled, too.
        """
        try:
            self._take_waiting()
            with contextlib.suppress(DaemonSilent):  # it only works on for nothing
                self._send(Cancel())
        finally:
            for index, (tag, kept) in enumerate(self._results):
                if isinstance(kept, Result):
                    self._results[index] = tag, _no_result(kept, ResultFlag.CANCELLED, CANCELLED)
            for tag in list(self._in_flight):
                self._give_up(tag, ResultFlag.CANCELLED, CANCELLED)

    def _give_up(self, tag: int, flag: ResultFlag, reason: str) -> None:
        frame = self._in_flight.pop(tag)
        self._given_up[tag] = frame.slot
        empty = Result(
            frame.sequence,
            frame.generation,
            frame.captured_ns,
            now_ns(),
            frame.slot,
            0,
            WireOutcome.NO_RESULT,
            0,
            -1.0,
            0.0,
            (-1.0,) * 7,
            (0.0,) * 8,
            bytes(32),
            bytes(32),
            "",
            "",
        )
        self._results.append((tag, _no_result(empty, flag, reason)))

    def _expire(self) -> None:
        """Frames whose results could only be too old get theirs now."""
        now = now_ns()
        for tag, frame in list(self._in_flight.items()):
            if now > frame.captured_ns + self._max_age_ns:
                self._give_up(tag, ResultFlag.LATE, self._too_old(now - frame.captured_ns))

    def _expires(self, frame: Submit) -> float:
        """When, by `time.monotonic()`."""
        return time.monotonic() + (frame.captured_ns + self._max_age_ns - now_ns()) / 1e9 + 1e-4

    def _judged(self, result: Result) -> Result:
        """The result, or none when it is too old or of another bundle than was expected."""
        age_ns = now_ns() - result.captured_ns
        if result.outcome is WireOutcome.NO_RESULT:
            return result
        if age_ns > self._max_age_ns:
            return _no_result(result, ResultFlag.LATE, self._too_old(age_ns))
        if self._bundle_sha256 not in (None, result.bundle_sha256):
            return _no_result(result, ResultFlag(0), "read by another bundle than the one that was expected")
        return result

    def _too_old(self, age_ns: int) -> str:
        return f"late: captured {age_ns / 1e6:.0f} ms ago, at most {self._max_age_ns / 1e6:g}"

    def read(self, pixels: UInt8Array, *, sequence: int = 0, vessels: bool = False, deadline_ns: int = 0) -> Result:
        """Copy a picture, uint8 [H, W, 3] RGB, into a slot and wait for its result; no other frame's is given for it.

        When this raises, nobody gets the result any more. Raises `ValueError` for another picture.
        """
        require_rgb(pixels)
        slot = self.free_slot()
        if slot is None:
            raise DaemonError("every slot is the daemon's; take a result first")
        self.fill(slot, pixels)
        height, width = pixels.shape[:2]
        tag = self.submit(slot, width, height, sequence=sequence, vessels=vessels, deadline_ns=deadline_ns)
        try:
            return self._next(self._answer_s, tag)
        finally:
            if self._in_flight.pop(tag, None) is not None:
                self._given_up[tag] = slot

    def vessels(self, result: Result) -> UInt8Array | None:
        """A copy of the result's vessel map, probability x 255, uint8 [256, 256]; None where there is none any more."""
        ring = self.ring
        if not result.flags & ResultFlag.VESSELS or ring.vessels_generation(result.slot) != result.generation:
            return None
        copied = ring.vessels(result.slot).copy()
        return copied if ring.vessels_generation(result.slot) == result.generation else None

    def health(self) -> Health:
        """How the daemon is."""
        return self._ask(AskHealth(), Health)

    def bundle(self) -> BundleInfo:
        """What reads the frames."""
        return self._ask(AskBundle(), BundleInfo)

    def reload(self, timeout_s: float = 120.0) -> Reloaded:
        """Have the bundle loaded anew; tells whether it was."""
        return self._ask(Reload(), Reloaded, timeout_s)

    def close(self) -> None:
        """End the connection. Frames under way have no result. Closing twice is fine."""
        self._socket.close()
        self._ring = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _configure(self, wanted: Configure) -> None:
        self._send(wanted)
        self._be_patient(self._answer_s)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST + 1, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            raise DaemonSilent(f"no ring within {self._answer_s:g} s") from None
        except OSError as error:
            raise _gone(error) from None
        try:
            layout = self._open(data).message
            if isinstance(layout, Error):
                raise DaemonRefused(layout.code, layout.text, layout.detail)
            if not isinstance(layout, RingLayout) or not descriptors:
                raise DaemonError(f"got {type(layout).__name__}, expected RING with its descriptor")
            _check_sealed(descriptors[0], layout.ring_bytes)
            self._ring = Ring(descriptors[0], layout)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _ask(self, question: Message, kind: type[A], timeout_s: float | None = None) -> A:
        tag = self._send(question)
        deadline = time.monotonic() + (timeout_s or self._answer_s)
        while True:
            answer = self._hear(deadline, tag)
            if isinstance(answer, kind):
                return answer

    def _send(self, message: Message) -> int:
        tag = next(self._tags) & 0xFFFFFFFF
        try:
            self._socket.send(message.encode(tag), _NO_SIGNAL)
        except BlockingIOError:
            raise DaemonSilent(f"the daemon takes no message for {self._answer_s:g} s") from None
        except OSError as error:
            with contextlib.suppress(DaemonSilent):  # it may have said why before it closed
                while True:
                    self._hear(time.monotonic())
            raise _gone(error) from None
        return tag

    def _take_waiting(self) -> None:
        """What lies in the socket already, so that slots come back."""
        with contextlib.suppress(DaemonSilent):
            while True:
                self._hear(time.monotonic())

    def _hear(self, deadline: float, tag: int | None = None) -> Message | None:
        """Take one message: what is of frames is kept, what answers `tag` is given; a refusal of it raises."""
        envelope = self._open(self._packet(deadline))
        message, about = envelope.message, envelope.tag
        if isinstance(message, Result | Error):
            self._keep(message, about)
        elif about in self._in_flight:
            self._disbelieve(f"{type(message).__name__} in the place of a frame's result")
        elif about == tag:
            return message
        return None

    def _keep(self, message: Result | Error, about: int) -> None:
        """Keep what was said of a frame, if it can be so. Raises `DaemonRefused` for the refusal of a question."""
        if self._given_up.pop(about, None) is not None:
            return
        frame = self._in_flight.pop(about, None)
        if isinstance(message, Error):
            refusal = DaemonRefused(message.code, message.text, message.detail)
            if frame is None:
                raise refusal
            self._results.append((about, refusal))
            return
        if frame is None or any(getattr(message, name) != getattr(frame, name) for name in _OF_THE_FRAME):
            self._disbelieve("a result for a frame that is not under way")
        if message.contradiction:
            self._disbelieve(f"a result that {message.contradiction}")
        self._results.append((about, message))

    def _disbelieve(self, what: str) -> NoReturn:
        """End the connection with a daemon that says what cannot be; nothing more of it counts."""
        self._over = f"the daemon sent {what}; connect again, and look at the daemon"
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        raise DaemonError(self._over)

    def _packet(self, deadline: float) -> bytes:
        """The next packet, b"" at the end."""
        if self._over:
            raise DaemonError(self._over)
        try:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return self._socket.recv(LARGEST + 1, _AT_ONCE)
            self._be_patient(left_s)
            return self._socket.recv(LARGEST + 1)
        except BlockingIOError:
            raise DaemonSilent("no answer in the time allowed") from None
        except OSError as error:
            raise _gone(error) from None

    def _be_patient(self, seconds: float) -> None:
        """Let `recv` wait about as long; a system call only where that is another time than before."""
        slack_s = 0.002 + seconds / 100
        if not seconds <= self._patience_s <= seconds + slack_s:
            self._patience_s = seconds + slack_s / 2
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self._patience_s))

    def _open(self, data: bytes) -> Envelope:
        if not data:
            raise DaemonGone("the daemon closed the connection; connect again")
        try:
            envelope = decode(data, FROM_DAEMON)
        except ProtocolError as error:
            raise DaemonError(f"the daemon's answer cannot be read ({error}); is it of another version?") from None
        message = envelope.message
        if isinstance(message, Error) and message.code is ErrorCode.STOPPING:  # its last word
            raise DaemonGone(f"the daemon went away ({message.text}); connect again")
        return envelope


def _no_result(result: Result, flag: ResultFlag, reason: str) -> Result:
    """The same frame's result with nothing but why there is none."""
    return replace(
        result,
        flags=int(flag),
        outcome=WireOutcome.NO_RESULT,
        class_count=0,
        vessel_fraction=-1.0,
        probabilities=(0.0,) * len(result.probabilities),
        reason=reason,
        text=picture_banner(ReadingOutcome.NO_RESULT, reason),
    )


def _check_peer(connected: socket.socket, path: Path | str, daemon_uid: int | None) -> None:
    """Raises `Impostor` when another user than the daemon's made the socket. None: root and this user may have."""
    _, uid, _ = struct.unpack("iII", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != daemon_uid and not (daemon_uid is None and is_trusted(uid)):
        expected = "root or this user" if daemon_uid is None else f"user {daemon_uid}"
        raise Impostor(f"socket {path} is user {uid}'s, expected {expected}; if that is right, name daemon_uid={uid}")


def _check_sealed(descriptor: int, size: int) -> None:
    """Raises `DaemonError` for a ring that could be cut, which would end this process."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & SEALS != SEALS or os.fstat(descriptor).st_size < size:
        raise DaemonError("the daemon's ring is not sealed, or smaller than it says; it is not mapped")


def _timeval(seconds: float) -> bytes:
    """For SO_RCVTIMEO and SO_SNDTIMEO, which a zero would make endless."""
    whole, part = divmod(max(1, int(min(seconds, 1e6) * 1e6)), 10**6)
    return _TIMEVAL.pack(whole, part)


def _connect(path: Path | str) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connected.connect(str(path))
    except (OSError, ValueError) as error:
        connected.close()
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise DaemonGone(
            f"no daemon at {path} ({why}); start it: python -m runtime.daemon --socket {path} --bundle DIR"
        ) from None
    return connected


def _gone(error: OSError) -> DaemonGone:
    return DaemonGone(f"the daemon went away ({error.strerror or error}); connect again")
