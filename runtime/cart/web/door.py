"""Who may hold a connection to the pages, and for how long: nobody keeps out whoever sits at the cart's own screen.

Connections are counted from the moment in which they are accepted, so those too that never finish a TLS handshake or a
request. Strangers have few, and none of them waits for long; where there are too many, the one goes that has asked for
nothing for the longest time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_OWN, MOST_OTHERS, MOST_OF_A_STRANGER = 200, 96, 24
"""Connections at once: of this machine, of all others together, of one of them."""
REQUEST_S = 10.0
"""Within so long a connection's first request must be whole, and each further one from its first byte on."""
STANDS_S = 2.0
"""Between two sweeps; whatever is longer, the program stood still."""
IDLE_S = 20.0
"""Longest wait after an answer, or for an answer to be taken; an idle connection is closed at 15 s as it should be."""


def is_own(peer: str, here: str) -> bool:
    """Whether who called from the address `peer` sits at this machine, which was called by its address `here`."""
    with suppress(ValueError):
        address = ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return peer == here or (mapped or address).is_loopback
    return False


@dataclass(eq=False)
class Guest:
    """One connection."""

    connection: socket.socket
    peer: str
    """Its address; empty for this machine itself."""
    until: float | None
    """When it is ended, by `time.monotonic()`; None while it is being answered."""
    asked: bool = False
    """Whether it ever sent a whole request."""
    ended: bool = False

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self.connection.fileno() < 0

    def end(self) -> None:
        """End it from beneath: whoever reads or writes it is told by that."""
        self.ended = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def asks(self) -> None:
        """A request began, or goes on: its time does not begin anew with each byte."""
        if self.until is None:
            self.until = time.monotonic() + REQUEST_S

    def is_served(self) -> None:
        """It sent a whole request."""
        self.until, self.asked = None, True

    def waits(self) -> None:
        """It was answered, or does not take its answer."""
        self.until = time.monotonic() + IDLE_S


class Door(socket.socket):
    """The listening socket. Belongs to the thread that serves."""

    def __init__(self, family: socket.AddressFamily) -> None:
        # By the protocol asyncio knows a connection of TCP, on which it lets nothing wait (TCP_NODELAY): without, each
        # answer waited for some 40 ms between its head and its body, until the browser acknowledged the head.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._guests: list[Guest] = []
        self._swept = time.monotonic()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that may stay."""
        while True:
            connection, address = super().accept()
            if self._admit(connection, address):
                return connection, address
            connection.close()

    def guest(self, fileno: int) -> Guest:
        """Who is connected by that file."""
        return next(guest for guest in self._guests if guest.connection.fileno() == fileno)

    async def sweep(self) -> None:
        """End those whose time is over; to be called every second.

        Time in which this program itself stood still, on a machine that had none for it, is nobody's: what came
        meanwhile lies there and was not read yet.
        """
        now = time.monotonic()
        stood_s, self._swept = max(0.0, now - self._swept - STANDS_S), now
        for guest in self._guests:
            if guest.until is not None:
                guest.until += stood_s
                if guest.until < now:
                    guest.end()
        self._guests = [guest for guest in self._guests if not guest.gone]

    def _admit(self, connection: socket.socket, address: Any) -> bool:
        self._guests = [guest for guest in self._guests if not guest.gone]
        try:
            peer = "" if is_own(address[0], connection.getsockname()[0]) else str(address[0])
        except OSError:  # it is gone already
            return False
        limits: list[tuple[int, Callable[[Guest], bool]]] = [(MOST_OWN, lambda guest: not guest.peer)]
        if peer:
            limits = [
                (MOST_OF_A_STRANGER, lambda guest: guest.peer == peer),
                (MOST_OTHERS, lambda guest: bool(guest.peer)),
            ]
        for most, counts in limits:
            fellows = [guest for guest in self._guests if counts(guest) and not guest.ended]
            if len(fellows) >= most and not _make_room(fellows):
                return False
        self._guests.append(Guest(connection, peer, time.monotonic() + REQUEST_S))
        return True


def _make_room(fellows: list[Guest]) -> bool:
    """End the one that is to end first, of those that never asked for anything where there are such."""
    waiting = [guest for guest in fellows if guest.until is not None]
    if waiting:
        min(waiting, key=lambda guest: (guest.asked, guest.until)).end()
    return bool(waiting)


class GuestProtocol(H11Protocol):
    """uvicorn's own HTTP/1.1, which has no time limit for a request or an answer, under those of a door."""

    def __init__(self, door: Door, **given: Any) -> None:
        super().__init__(**given)
        self._door = door

    def connection_made(self, transport: Any) -> None:
        """It is there, TLS and all."""
        self._guest = self._door.guest(transport.get_extra_info("socket").fileno())
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a WebSocket from now on; to h11 its request has no end
            self._guest.is_served()
        elif self._half:
            self._guest.asks()
        else:
            self._guest.is_served()

    @property
    def _half(self) -> bool:
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def on_response_complete(self) -> None:
        """An answer was written; the next request may have come already."""
        super().on_response_complete()
        if self._half or self.transport.is_closing():
            self._guest.waits()

    def pause_writing(self) -> None:
        """The answer is not taken."""
        super().pause_writing()
        self._guest.waits()

    def resume_writing(self) -> None:
        """It is taken after all."""
        super().resume_writing()
        if not self._half:
            self._guest.is_served()
