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
    FROM_DAEMON_2,
    AskBundle,
    AskHealth,
    BundleInfo,
    Configure,
    Configure2,
    ConfigureFlag,
    Error,
    Expect,
    Health,
    Hello,
    Order,
    PixelFormat,
    Reload,
    Reloaded,
    Result,
    ResultFlag,
    RingLayout,
    SubmitFlag,
    Welcome,
    is_nearly,
    plain_result,
    submit_bytes,
)
from runtime.daemon.ring import Ring
from runtime.daemon.wire import HIGHEST, LARGEST, LOWEST, Envelope, ErrorCode, Message, ProtocolError, decode

ANSWER_S = 10.0
AWAKE_S = 0.002
"""Longest time that a client looks for a result without sleeping, once the daemon said that it is nearly there."""
_NO_SIGNAL, _AT_ONCE = int(socket.MSG_NOSIGNAL), int(socket.MSG_DONTWAIT)
_NO_SIGNAL_AT_ONCE = _NO_SIGNAL | _AT_ONCE
_TIMEVAL = struct.Struct("@ll")
_VESSELS = int(SubmitFlag.VESSELS)
A = TypeVar("A", bound=Message)


class Client:
    """One connection to the daemon, with its ring when slots are asked for. One thread at a time; a context manager.

    path: the daemon's socket. name: what the frames' source is to be called, of letters, digits and . _ : -.
    slots, slot_bytes: the ring; 0 slots for asking health only. announce: spend some of a core's time around each
    frame so that its result comes sooner: `begin` announces the frame, and `result` stays awake for the last moment
    before it. For real-time priority or a core to spare; elsewhere it takes time from the networks (README.md).
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
        announce: bool = False,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._answer_s = answer_s
        self._announce = announce
        self._version = LOWEST
        self._tags = itertools.count(1)
        self._results: deque[Result | DaemonRefused] = deque()  # came while something else was waited for
        self._in_flight: dict[int, int] = {}  # tag to slot
        self._last_result = b""
        self._ring: Ring | None = None
        hello = Hello(LOWEST, HIGHEST, name)
        self._socket = _connect(path)
        self._patience_s = 0.0
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(answer_s))
            self.welcome = self._ask(hello, Welcome)
            self._version = self.welcome.version
            if not LOWEST <= self._version <= HIGHEST:
                raise DaemonError(f"the daemon chose version {self._version}, this client speaks {LOWEST} to {HIGHEST}")
            if slots:
                self._configure(self._wanted(slots, slot_bytes, order, stored_pictures))
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
        """Before the first byte of a frame is written. Announces the frame if this client is to `announce`."""
        self.ring.set_generation(slot, self.ring.generation(slot) + 1 | 1)
        if self._announce:
            self.expect()

    def expect(self) -> None:
        """Announce a frame that will be submitted within 5 ms, so that the daemon is awake when it comes.

        For one that takes longer to be written: again, or later than `begin`. Nothing happens where the daemon does
        not know announcements, takes none now, or is gone, which the next call tells.
        """
        if self._version > LOWEST:
            with contextlib.suppress(OSError):
                self._socket.send(Expect().encode(0, self._version), _NO_SIGNAL_AT_ONCE)

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
        tag = next(self._tags) & 0xFFFFFFFF
        frame = submit_bytes(
            self._version,
            tag,
            self.ring.generation(slot),
            sequence,
            captured_ns,
            deadline_ns,
            slot,
            width,
            height,
            width * pixel_format.channels if stride is None else stride,
            pixel_format,
            _VESSELS if vessels else 0,
            capture_us,
        )
        self._send_bytes(frame)
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

    def _wanted(self, slots: int, slot_bytes: int, order: Order, stored_pictures: bool) -> Configure:
        flags = int(ConfigureFlag.STORED_PICTURES) if stored_pictures else 0
        if self._version == LOWEST:
            return Configure(slots, slot_bytes, order, flags)
        if self._announce and len(os.sched_getaffinity(0)) > 1:  # the daemon needs the only core itself
            flags |= int(ConfigureFlag.NEARLY)
        return Configure2(slots, slot_bytes, order, flags)

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
        self._send_bytes(message.encode(tag, self._version))
        return tag

    def _send_bytes(self, data: bytes) -> None:
        try:
            self._socket.send(data, _NO_SIGNAL)
        except BlockingIOError:
            raise DaemonSilent(f"the daemon takes no message for {self._answer_s:g} s") from None
        except OSError as error:
            with contextlib.suppress(DaemonSilent):  # it may have said why before it closed
                self._receive(time.monotonic())
            raise _gone(error) from None

    def _receive(self, deadline: float, asked: int | None = None) -> Envelope:
        """The next message; a refusal raises, one of a frame while another answer is waited for as `_FrameRefused`."""
        data = self._packet(deadline)
        while is_nearly(data, self._version):
            data = self._packet_now() or self._packet_awake() or self._packet(deadline)
        envelope = plain_result(data, self._version) or self._open(data, asked)
        if isinstance(envelope.message, Result):
            self._in_flight.pop(envelope.tag, None)
            self._last_result = data
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

    def _packet_now(self) -> bytes:
        """The next packet, b"" where there is none and at the end."""
        try:
            return self._socket.recv(LARGEST + 1, _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _gone(error) from None

    def _packet_awake(self) -> bytes:
        """As `_packet_now`, looked for without sleeping for some time; a RESULT's way lies in the caches then."""
        until = time.monotonic() + AWAKE_S
        if self._last_result:
            plain_result(self._last_result, self._version)
        while True:
            os.sched_yield()  # where cores are few, the daemon may need this one
            data = self._packet_now()
            if data or time.monotonic() >= until:
                return data

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
            kinds = FROM_DAEMON if self._version == LOWEST else FROM_DAEMON_2
            envelope = decode(data, kinds, self._version)
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
