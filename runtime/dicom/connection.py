"""What pynetdicom's connections lack (3.0.4): they end whole, wait for nobody for ever, and not for acknowledgements.

Importing this mends the class of every connection, asked for or accepted.
"""

from __future__ import annotations

import socket
from contextlib import suppress

from pynetdicom import evt
from pynetdicom.transport import AssociationSocket

MOST_AT_ONCE = 1 << 20
_ACKNOWLEDGE = getattr(socket, "TCP_QUICKACK", None)
"""Linux only; elsewhere it is as fast as it is."""


def _prepare(event: evt.Event) -> None:
    """A message is a small packet, then its data: without `TCP_NODELAY` the data waits until the first is acknowledged.

    pynetdicom reads and writes without a limit. A peer that falls silent within a message, as when a cable is pulled,
    would keep that thread, and with it the program, for ever.
    """
    opened = event.assoc.dul.socket
    if opened is not None and opened.socket is not None:
        _option(opened.socket, socket.TCP_NODELAY)
        opened.socket.settimeout(event.assoc.network_timeout)


PREPARED = (evt.EVT_CONN_OPEN, _prepare)
"""The handler that every association and server gets."""


def _receive(self: AssociationSocket, nr_bytes: int) -> bytearray:
    """As many bytes as asked, fewer only when the connection ended.

    Servers built on dcmtk (Orthanc) write an answer's first 12 bytes alone and hold the rest back until these are
    acknowledged, which the kernel puts off for 40 ms: half a second for an exam. So what came is acknowledged before
    the rest is waited for.
    """
    received = bytearray()
    while self.socket is not None and len(received) < nr_bytes:
        if received and _ACKNOWLEDGE is not None:
            _option(self.socket, _ACKNOWLEDGE)
        part = self.socket.recv(min(nr_bytes - len(received), MOST_AT_ONCE))
        if not part:
            break
        received += part
    return received


def _shut(self: AssociationSocket) -> None:
    """Shut the connection down and close its socket, also when the peer was faster.

    pynetdicom leaves the socket open when shutting down fails, as it does once a peer has gone (`ENOTCONN`).
    """
    ended = self.socket
    if ended is not None:
        with suppress(OSError):
            ended.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            ended.close()


def _option(connection: socket.socket, option: int) -> None:
    with suppress(OSError):  # the peer has gone, which reading and writing will tell
        connection.setsockopt(socket.IPPROTO_TCP, option, 1)


AssociationSocket.recv = _receive  # type: ignore[method-assign]
AssociationSocket._shutdown_socket = _shut  # type: ignore[method-assign]
