"""What pynetdicom's connections lack (3.0.4): they lose no answer, end whole, and wait for nobody for ever, nor for
acknowledgements.

Importing this mends the class of every connection, asked for or accepted.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from io import BytesIO

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from runtime.dicom.checkpoint import Checkpoint

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

_HEADER_BYTES = 6
_PDU_LIMITS = {1: 1 << 18, 2: 1 << 18, 4: (1 << 20) + 64}
"""Bytes of one message by its type (PS3.8 9.3): a request for an association with every context that there can be, its
acceptance, data as large as anything that the cart announces; any other has four."""
_SHORT_PDU = 64
MOST_BYTES = 16 << 20
"""In all that an association may bring the cart: a report of thousands of instances, a worklist of `MOST_ANSWERS`."""
MOST_ITEMS = 100_000
"""Of sequences, in all that an association may bring: pydicom takes 40 us for each, whatever is in it."""
_ITEM = b"\xfe\xff\x00\xe0"
"""How one begins."""
MESSAGES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
"""The transfer syntaxes of all that is no picture. Every peer has the first of them; a message that came deflated would
be unpacked whole, sixteen gigabytes out of as many megabytes."""


class TooMuch(OSError):
    """A peer announced a message that is larger than any of its kind, or has said too much."""


class Bound:
    """How much one side of an association may still say, and whether it has said more: then the connection ends."""

    def __init__(self) -> None:
        self.bytes_left, self.items_left = MOST_BYTES, MOST_ITEMS

    @property
    def passed(self) -> bool:
        """Whether it said too much."""
        return self.bytes_left < 0 or self.items_left < 0

    def read(self, count: int) -> None:
        """So many bytes are read next. Raises `TooMuch`."""
        self.bytes_left -= count
        if self.passed:
            raise TooMuch(f"more than {MOST_BYTES} bytes or {MOST_ITEMS} items")

    def heard(self, event: evt.Event) -> None:
        """Handler of `EVT_DIMSE_RECV`, before anything of the message is taken apart."""
        held = event.message.data_set
        self.items_left -= 0 if held is None else held.getvalue().count(_ITEM)
        if self.passed:
            event.message.data_set = BytesIO(bytes(4))  # which no reader makes anything of


def _guard(event: evt.Event) -> None:
    opened = event.assoc.dul.socket
    if opened is not None:
        opened._bound = event.assoc.bound = bound = Bound()  # type: ignore[attr-defined]
        event.assoc.bind(evt.EVT_DIMSE_RECV, bound.heard)


GUARDED = (evt.EVT_CONN_OPEN, _guard)
"""The handler of all but those that are sent pictures: the other side may say so much and no more."""


def _check_size(header: bytearray) -> None:
    """Raise `TooMuch` for a message that its header announces too large; before anything of it is read."""
    kind, size = header[0], int.from_bytes(header[2:6], "big")
    if 1 <= kind <= 7 and size > _PDU_LIMITS.get(kind, _SHORT_PDU):  # of another kind pynetdicom reads no more
        raise TooMuch(f"a message of type {kind} with {size} bytes")


def _receive(self: AssociationSocket, nr_bytes: int) -> bytearray:
    """As many bytes as asked, fewer only when the connection ended.

    Servers built on dcmtk (Orthanc) write an answer's first 12 bytes alone and hold the rest back until these are
    acknowledged, which the kernel puts off for 40 ms: half a second for an exam. So what came is acknowledged before
    the rest is waited for.
    """
    bound: Bound | None = getattr(self, "_bound", None)
    if bound is not None:
        bound.read(nr_bytes)
    received = bytearray()
    while self.socket is not None and len(received) < nr_bytes:
        if received and _ACKNOWLEDGE is not None:
            _option(self.socket, _ACKNOWLEDGE)
        try:
            part = self.socket.recv(min(nr_bytes - len(received), MOST_AT_ONCE))
        except ssl.SSLError as error:
            getattr(self, "_note_refusal", lambda _: None)(error)
            raise
        if not part:
            break
        received += part
    # pynetdicom reads a header, then what it announces; a message of as many bytes would be read as one.
    is_header = not getattr(self, "_in_message", False)
    if is_header and len(received) == nr_bytes == _HEADER_BYTES:
        _check_size(received)
    self._in_message = is_header  # type: ignore[attr-defined]
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


_connection_runs, _association_runs = DULServiceProvider.run_reactor, Association.run_reactor
_association_begins = Association.__init__


def _begin_association(self: Association, ae: AE, mode: str) -> None:
    _association_begins(self, ae, mode)
    self._reactor_checkpoint = Checkpoint(self)  # type: ignore[assignment]


def _run_connection(self: DULServiceProvider) -> None:
    """A peer that hangs up between two steps brings about what pynetdicom's states do not foresee: it raises then, in a
    thread of its own, and the connection would be nobody's. That ends the association, as a lost line does; none waits
    for what a caller that has gone will never say.
    """
    try:
        _connection_runs(self)
    except Exception:
        _end(self.assoc)
    finally:
        self.to_user_queue.put(None)  # type: ignore[arg-type]


def _run_association(self: Association) -> None:
    """A request that no program of a hospital makes raises as well, in the association's thread."""
    try:
        _association_runs(self)
    except Exception:
        _end(self)


def _end(association: Association) -> None:
    association.is_aborted, association.is_established = True, False
    association._kill = association.dul._kill_thread = True
    if association.dul.socket is not None:
        _shut(association.dul.socket)


Association.__init__ = _begin_association  # type: ignore[method-assign]
DULServiceProvider.run_reactor = _run_connection  # type: ignore[method-assign]
Association.run_reactor = _run_association  # type: ignore[method-assign]
AssociationSocket.recv = _receive  # type: ignore[method-assign]
AssociationSocket._shutdown_socket = _shut  # type: ignore[method-assign]
