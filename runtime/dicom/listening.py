"""A port of the cart on which DICOM peers may call: no caller can hold up another, or the end, or fill the memory."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import ThreadedAssociationServer

from runtime.dicom.configuration import DicomConfig
from runtime.dicom.connection import GUARDED, PREPARED
from runtime.tls import why_refused

ENDING_S = 1.0
"""How long associations may take to end by themselves when the port is closed."""
HANDSHAKE_S = 10.0
"""How long a caller may take from its call to its first whole message."""
IDLE_S = 30.0
"""How long an association may say nothing."""
MOST_CALLERS = 16
"""At once. When another one calls, the one that has said nothing for longest goes: a place is always free."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Callers:
    """Who may call: addresses. None for everybody, where the archive's address cannot be found out."""

    networks: tuple[Network, ...] | None = None

    @classmethod
    def of(cls, site: DicomConfig) -> Callers:
        """The archive's addresses and those that the site names; loopback always."""
        named = [ipaddress.ip_network(text, strict=False) for text in site.cart.listen_to]
        if site.archive is None:
            return cls(tuple(named) or None)
        try:
            found = socket.getaddrinfo(site.archive.host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        own = [ipaddress.ip_network(str(entry[4][0]).split("%")[0]) for entry in found]
        loopback = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")]
        return cls((*own, *named, *loopback)) if own or named else cls(None)

    def may(self, address: str) -> bool:
        """Whether one at that address may call."""
        if self.networks is None:
            return True
        caller = ipaddress.ip_address(address.split("%")[0])
        if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped is not None:
            caller = caller.ipv4_mapped
        return any(caller in network for network in self.networks)


class Listening:
    """A server of pynetdicom, from its making to `close`."""

    def __init__(
        self,
        entity: AE,
        address: str,
        port: int,
        handlers: Sequence[Any] = (),
        context: ssl.SSLContext | None = None,
        callers: Callers | None = None,
    ) -> None:
        """Listen on an address of the cart, every one where it is empty; raises `OSError`.

        context: for TLS, None for none. callers: who may call, None for everybody.
        """
        later = None if context is None else _HandshakeLater(context)
        entity.acse_timeout = HANDSHAKE_S
        entity.network_timeout = entity.dimse_timeout = IDLE_S
        entity.maximum_associations = 100 * MOST_CALLERS  # `_Server` keeps it far lower, and refuses nobody
        made = entity.make_server(
            (address, port),
            evt_handlers=[*handlers, PREPARED, GUARDED],
            ssl_context=later,  # type: ignore[arg-type]  # of which pynetdicom calls `wrap_socket` only
            server_class=_Server,
        )
        assert isinstance(made, _Server)
        made.callers, made.context = callers or Callers(), context
        entity._servers.append(made)  # as `start_server` does, whose server class cannot be chosen
        self.server = made
        threading.Thread(target=made.serve_forever, name=f"Listening@{port}", daemon=True).start()

    @property
    def refused(self) -> str:
        """The last caller that was not let in, and why; empty when there was none."""
        return self.server.refused

    def close(self) -> None:
        """Take no more calls, and end those that do not end by themselves."""
        self.server.shutdown()
        deadline = time.monotonic() + ENDING_S
        while (left := self.server.active_associations) and time.monotonic() < deadline:
            time.sleep(0.005)
        for association in left:
            _end(association)


def _end(association: Association) -> None:
    """Only a connection that has gone lets pynetdicom's threads go, and they would outlive the program."""
    if association.dul.socket is not None:
        association.dul.socket._shutdown_socket()
    association.kill()


class _Server(ThreadedAssociationServer):
    """Hangs up on those who may not call, and on the one that is silent for longest when there are too many."""

    callers = Callers()
    context: ssl.SSLContext | None = None
    refused = ""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._last_word: dict[Association, float] = {}
        self._sent_away: set[Association] = set()
        super().__init__(*arguments, **named)
        self.bind(evt.EVT_CONN_OPEN, self._came)
        self.bind(evt.EVT_PDU_RECV, self._heard)
        self.bind(evt.EVT_REJECTED, self._rejected)

    def _came(self, event: evt.Event) -> None:
        self._heard(event)
        opened = event.assoc.dul.socket
        if opened is not None:
            opened._note_refusal = partial(self._refused_by_tls, event.assoc)  # type: ignore[attr-defined]

    def _heard(self, event: evt.Event) -> None:
        self._last_word[event.assoc] = time.monotonic()

    def _refused_by_tls(self, caller: Association, error: ssl.SSLError) -> None:
        why = why_refused(error, "this cart", self.context, settings="cart.tls.")
        self.refused = f"a caller at {caller.requestor.address} was refused by TLS: {why}"

    def _rejected(self, event: evt.Event) -> None:
        caller = event.assoc.requestor
        said = caller.primitive
        titles = (
            ""
            if said is None
            else f" that calls itself {said.calling_ae_title!a}, and the cart {said.called_ae_title!a},"
        )
        self.refused = (
            f"a caller at {caller.address}{titles} was rejected; compare the AE titles, see cart.listen_titles"
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Called for each connection before anything is read from it."""
        if not self.callers.may(str(client_address[0])):
            self.refused = f"a caller at {client_address[0]} was sent away; see cart.listen_to"
            return False
        there = set(self.active_associations)
        self._sent_away &= there
        for gone in set(self._last_word) - there:
            self._last_word.pop(gone, None)
        staying = there - self._sent_away
        if len(staying) >= MOST_CALLERS:
            # Whoever has no association yet goes first: an archive that reports has one.
            one = min(staying, key=lambda one: (one.is_established, self._last_word.get(one, 0.0)))
            self._sent_away.add(one)
            _end(one)
        return True


class _HandshakeLater:
    """TLS that is negotiated when the caller's thread first reads, and not by the one thread that takes all calls.

    There a caller that says nothing would keep every other one waiting, for ever.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, connection: Any, *, server_side: bool) -> ssl.SSLSocket:
        return self._context.wrap_socket(connection, server_side=server_side, do_handshake_on_connect=False)
