"""`Connection`: one client as the daemon sees it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from dataclasses import dataclass

from runtime.daemon.clock import MOST_AGO_NS, now_ns
from runtime.daemon.messages import Configure, ConfigureFlag, FrameOrder, Submit
from runtime.daemon.ring import Ring, SealedRing
from runtime.daemon.wire import LARGEST, ErrorCode, Message, ProtocolError
from runtime.repeats import LastPictures

MESSAGES_A_SECOND = 4096
_CREDENTIALS = struct.Struct("iII")
_STAMPED = 35
"""SO_TIMESTAMPNS, which Python does not name: when a packet was sent, by CLOCK_REALTIME."""
_STAMP = struct.Struct("@qq")
_STAMP_ROOM = socket.CMSG_SPACE(_STAMP.size)
_AT_ONCE, _CUT = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL), int(socket.MSG_CTRUNC)
"""Plain numbers: `&` of an enumeration runs Python code, which takes longer than the system call beside it."""


@dataclass(frozen=True)
class PeerCredentials:
    """Who is at the other end, as the kernel says."""

    pid: int
    uid: int
    gid: int


class Connection:
    """A client's socket and what is known of it. Used by one thread at a time, which `Reception.lock` sees to."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        with contextlib.suppress(OSError):  # a kernel without: packets count from when they are received
            connected.setsockopt(socket.SOL_SOCKET, _STAMPED, 1)
        self.peer = PeerCredentials(
            *_CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        )
        self.name = ""
        """From HELLO; "" before it."""
        self.configured = False
        """Whether its ring is there or being made."""
        self.ring_bytes = 0
        """Of that ring."""
        self.ring: Ring | None = None
        self.newest = False
        self.busy: set[int] = set()
        """Slots that are the daemon's."""
        self.last_pictures: LastPictures | None = LastPictures()
        """Those it sent; for whoever reads the frames. None where they are stored ones."""
        self.epoch = 0
        """Goes up with each CANCEL; a frame of an earlier one is to have no result."""
        self.heard_s = time.monotonic()
        """When something came last."""
        self.sent_ns = 0
        """When the last packet was sent, by `clock.now_ns`: it may have waited while this process was stopped."""
        self.closed = False
        self._second, self._in_second = 0, 0

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next packet, b"" at the end, None when there is none now. Raises `ProtocolError`."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(LARGEST + 1, _STAMP_ROOM)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""
        self.sent_ns = now_ns() - _waited_ns(ancillary)
        if flags & _CUT or _closed(ancillary):  # the stamp leaves no room for descriptors: the kernel throws them away
            raise ProtocolError(ErrorCode.FOREIGN_DESCRIPTOR, "a descriptor came with a message; the daemon takes none")
        self.heard_s = time.monotonic()
        second = int(self.heard_s)
        self._in_second = self._in_second + 1 if second == self._second else 1
        self._second = second
        if self._in_second > MESSAGES_A_SECOND:
            most = f"at most {MESSAGES_A_SECOND}"
            raise ProtocolError(ErrorCode.TOO_FAST, f"more messages in a second than {most}", MESSAGES_A_SECOND)
        return data

    def send(self, message: Message, tag: int, descriptor: int | None = None) -> None:
        """Send without waiting. A client that does not read, or is gone, is closed by whoever receives from it."""
        if self.closed:
            return
        data = message.encode(tag)
        try:
            if descriptor is None:
                self._socket.send(data, _AT_ONCE)
            else:
                socket.send_fds(self._socket, [data], [descriptor], _AT_ONCE)
        except OSError:
            self.hang_up()

    def hang_up(self) -> None:
        """End it for the client; whoever receives from it closes it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def configure(self, wanted: Configure, sealed: SealedRing, tag: int) -> None:
        """Give the client its ring and pass the descriptor on."""
        self.ring, self.newest = sealed.ring, wanted.order is FrameOrder.NEWEST
        self.ring_bytes = sealed.ring.layout.ring_bytes
        self.last_pictures = None if wanted.flags & ConfigureFlag.STORED_PICTURES else LastPictures()
        try:
            self.send(sealed.ring.layout, tag, sealed.descriptor)
        finally:
            os.close(sealed.descriptor)

    def close(self) -> None:
        """Close the socket and let go of the ring; a frame that is being read keeps it until then."""
        self.closed = True
        self._socket.close()
        self.ring = None


def _waited_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """How long a packet lay in the socket; no longer than any frame may be old, whatever CLOCK_REALTIME did since."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _STAMPED and len(data) == _STAMP.size:
            seconds, rest = map(int, _STAMP.unpack(data))
            return min(max(0, time.time_ns() - (seconds * 10**9 + rest)), MOST_AGO_NS)
    return 0


def _closed(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Whether descriptors came all the same, where a kernel gives no stamp; they are closed."""
    came = False
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            came = True
            for (descriptor,) in struct.iter_unpack("@i", data[: len(data) // 4 * 4]):
                os.close(descriptor)
    return came


@dataclass(frozen=True, eq=False)
class Job:
    """A submitted frame."""

    connection: Connection
    ring: Ring
    submit: Submit
    tag: int
    arrived_ns: int
    """When its SUBMIT was sent, by `clock.now_ns`."""
    epoch: int = 0
    """Of the connection, when it was submitted."""
