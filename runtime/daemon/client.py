"""`Client`: frames to the daemon and results back, from Python.

with Client(path, name="bench", slots=3, slot_bytes=pixels.nbytes) as client:
    result = client.read(pixels)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from runtime.arrays import UInt8Array
from runtime.daemon.errors import DaemonError, DaemonGone, DaemonRefused, DaemonSilent
from runtime.daemon.messages import (
    FROM_DAEMON,
    AskBundle,
    AskHealth,
    BundleInfo,
    Configure,
    ConfigureFlag,
    Error,
    Health,
    Hello,
    Order,
    PixelFormat,
    Reload,
    Reloaded,
    Result,
    ResultFlag,
    RingLayout,
    Submit,
    SubmitFlag,
    Welcome,
)
from runtime.daemon.ring import Ring
from runtime.daemon.wire import LARGEST, VERSION, Envelope, ErrorCode, Message, ProtocolError, decode

ANSWER_S = 10.0
_NO_SIGNAL, _AT_ONCE = int(socket.MSG_NOSIGNAL), int(socket.MSG_DONTWAIT)
_TIMEVAL = struct.Struct("@ll")
A = TypeVar("A", bound=Message)


class Client:
    """One connection to the daemon, with its ring when slots are asked for. One thread at a time; a context manager.

    path: the daemon's socket. name: what the frames' source is to be called, of letters, digits and . _ : -.
    slots, slot_bytes: the ring; 0 slots for asking health only.
    Raises `DaemonGone`, `DaemonRefused`, `DaemonSilent`.
    """

    def __init__(
        self,
        path: Path | str,
        name: str = "python",
        *,
        slots: int = 0,
        slot_bytes: int = 0,
        order: Order = Order.NEWEST,
        stored_pictures: bool = False,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._answer_s = answer_s
        self._tags = itertools.count(1)
        self._results: deque[Result | DaemonRefused] = deque()  # came while something else was waited for
        self._in_flight: dict[int, int] = {}  # tag to slot
        self._ring: Ring | None = None
        hello = Hello(VERSION, VERSION, name)
        self._socket = _connect(path)
        self._patience_s = 0.0
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(answer_s))
            self.welcome = self._ask(hello, Welcome)
            if self.welcome.version != VERSION:
                raise DaemonError(f"the daemon chose version {self.welcome.version}, this client speaks {VERSION}")
            if slots:
                flags = ConfigureFlag.STORED_PICTURES if stored_pictures else 0
                self._configure(Configure(slots, slot_bytes, order, int(flags)))
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
        taken = set(self._in_flight.values())
        free = [slot for slot in range(self.ring.layout.slots) if slot not in taken]
        return min(free, key=self.ring.generation, default=None)

    def fill(self, slot: int, pixels: UInt8Array) -> None:
        """Copy pixels, uint8 [H, W, 3] or [H, W], into a slot. A camera would write there itself, between
        `begin` and `finish`."""
        self.begin(slot)
        self.ring.pixels(slot)[: pixels.nbytes] = np.ascontiguousarray(pixels).reshape(-1)
        self.finish(slot)

    def begin(self, slot: int) -> None:
        """Before the first byte of a frame is written."""
        self.ring.set_generation(slot, self.ring.generation(slot) + 1 | 1)

    def finish(self, slot: int) -> None:
        """After the last byte of a frame is written."""
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
        captured_ns: int = 0,
        deadline_ns: int = 0,
        capture_us: int = 0,
        vessels: bool = False,
    ) -> int:
        """Hand a filled slot over; gives the tag. Times are `time.monotonic_ns()`; 0 is none."""
        frame = Submit(
            self.ring.generation(slot),
            sequence,
            captured_ns,
            deadline_ns,
            slot,
            width,
            height,
            width * pixel_format.channels if stride is None else stride,
            pixel_format,
            int(SubmitFlag.VESSELS) if vessels else 0,
            capture_us,
        )
        tag = self._send(frame)
        self._in_flight[tag] = slot
        return tag

    def result(self, timeout_s: float | None = None) -> Result:
        """The next result. Raises `DaemonRefused` for a frame that was refused, `DaemonSilent` when the time passes."""
        if self._results:
            kept = self._results.popleft()
            if isinstance(kept, DaemonRefused):
                raise kept
            return kept
        deadline = time.monotonic() + (self._answer_s if timeout_s is None else timeout_s)
        while True:
            envelope = self._receive(deadline)
            if isinstance(envelope.message, Result):
                return envelope.message

    def read(self, pixels: UInt8Array, *, sequence: int = 0, vessels: bool = False, deadline_ns: int = 0) -> Result:
        """Copy a picture, uint8 [H, W, 3] RGB, into a slot and wait for its result."""
        slot = self.free_slot()
        if slot is None:
            raise DaemonError("every slot is the daemon's; take a result first")
        self.fill(slot, pixels)
        height, width = pixels.shape[:2]
        self.submit(slot, width, height, sequence=sequence, vessels=vessels, deadline_ns=deadline_ns)
        return self.result()

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
        tag = self._send(wanted)
        self._be_patient(self._answer_s)
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST + 1, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            raise DaemonSilent(f"no ring within {self._answer_s:g} s") from None
        except OSError as error:
            raise _gone(error) from None
        try:
            layout = self._open(data, tag).message
            if not isinstance(layout, RingLayout) or not descriptors:
                raise DaemonError(f"got {type(layout).__name__}, expected RING with its descriptor")
            self._ring = Ring(descriptors[0], layout)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _ask(self, question: Message, kind: type[A], timeout_s: float | None = None) -> A:
        tag = self._send(question)
        deadline = time.monotonic() + (timeout_s or self._answer_s)
        while True:
            try:
                envelope = self._receive(deadline, tag)
            except _FrameRefused as other:
                self._results.append(other.refusal)
                continue
            if isinstance(envelope.message, kind) and envelope.tag == tag:
                return envelope.message
            if isinstance(envelope.message, Result):
                self._results.append(envelope.message)

    def _send(self, message: Message) -> int:
        tag = next(self._tags) & 0xFFFFFFFF
        try:
            self._socket.send(message.encode(tag), _NO_SIGNAL)
        except BlockingIOError:
            raise DaemonSilent(f"the daemon takes no message for {self._answer_s:g} s") from None
        except OSError as error:
            with contextlib.suppress(DaemonSilent):  # it may have said why before it closed
                self._receive(time.monotonic())
            raise _gone(error) from None
        return tag

    def _receive(self, deadline: float, asked: int | None = None) -> Envelope:
        """The next message; a refusal raises, one of a frame while another answer is waited for as `_FrameRefused`."""
        envelope = self._open(self._packet(deadline), asked)
        if isinstance(envelope.message, Result):
            self._in_flight.pop(envelope.tag, None)
        return envelope

    def _packet(self, deadline: float) -> bytes:
        """The next packet, b"" at the end."""
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

    def _open(self, data: bytes, asked: int | None) -> Envelope:
        if not data:
            raise DaemonGone("the daemon closed the connection; connect again")
        try:
            envelope = decode(data, FROM_DAEMON)
        except ProtocolError as error:
            raise DaemonError(f"the daemon's answer cannot be read ({error}); is it of another version?") from None
        if isinstance(envelope.message, Error):
            if envelope.message.code is ErrorCode.STOPPING:  # its last word, heard before or after its end
                raise DaemonGone(f"the daemon went away ({envelope.message.text}); connect again")
            refusal = DaemonRefused(envelope.message.code, envelope.message.text, envelope.message.detail)
            frame = self._in_flight.pop(envelope.tag, None)
            if frame is not None and asked is not None:
                raise _FrameRefused(refusal)
            raise refusal
        return envelope


class _FrameRefused(Exception):
    """A frame was refused while the answer to something else was waited for."""

    def __init__(self, refusal: DaemonRefused) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


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
