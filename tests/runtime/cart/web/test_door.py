"""Connections that ask for nothing, for too long or too many at once keep nobody out who sits at the cart's screen."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from websockets.sync.client import connect
from websockets.typing import Origin

from runtime.cart.web import door as door_module
from runtime.cart.web.door import Guest, is_own
from tests.runtime.cart.driving import PATIENCE_S, until
from tests.runtime.cart.quick import Quick, quick

STRANGER = "127.0.0.2"


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(door_module, "is_own", lambda peer, here: peer != STRANGER)
        patched.setattr(door_module, "MOST_OWN", 12)
        patched.setattr(door_module, "MOST_OTHERS", 8)
        patched.setattr(door_module, "MOST_OF_A_STRANGER", 6)
        with quick(tmp_path_factory.mktemp("cart")) as made:
            yield made


@pytest.fixture
def called(cart: Quick) -> Iterator[Callable[..., socket.socket]]:
    with contextlib.ExitStack() as stack:

        def call(sends: bytes = b"", source: str = "") -> socket.socket:
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", port(cart)), PATIENCE_S, (source, 0) if source else None)
            )
            with contextlib.suppress(OSError):
                connection.sendall(sends)
            return connection

        yield call


def port(cart: Quick) -> int:
    return int(cart.server.url.rsplit(":", 1)[1].strip("/"))


def test_no_answer_waits_for_an_acknowledgement(cart: Quick, called: Callable[..., socket.socket]) -> None:
    door = cart.server._socket
    mine = called(b"GET /api/1/welcome HTTP/1.1\r\nHost: x\r\n\r\n").getsockname()[1]
    until(lambda: mine in [guest.connection.getpeername()[1] for guest in door._guests if not guest.gone], "accepted")
    (theirs,) = [
        guest.connection for guest in door._guests if not guest.gone and guest.connection.getpeername()[1] == mine
    ]
    until(lambda: theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "sends at once")


def is_served(cart: Quick) -> bool:
    """As the nurse's browser asks, with a connection of its own."""
    asked = http.client.HTTPConnection("127.0.0.1", port(cart), timeout=PATIENCE_S)
    try:
        asked.request("GET", "/api/1/welcome")
        return asked.getresponse().status == 200
    finally:
        asked.close()


def ended(connection: socket.socket) -> bool:
    """Whether the cart ended it; what it had answered is passed over."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1"
BODY = b"POST /api/1/sign-in HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 900\r\n\r\n{"


@pytest.mark.parametrize("sends", [b"", HALF, BODY], ids=["nothing", "half a request", "half a body"])
def test_any_number_of_half_open_connections_of_this_machine_leave_room_for_one_that_asks(
    cart: Quick, called: Callable[..., socket.socket], sends: bytes
) -> None:
    held = [called(sends % port(cart) if b"%d" in sends else sends) for _ in range(40)]
    for _ in range(3):
        assert is_served(cart)
    assert sum(not ended(one) for one in held) <= 12


def test_a_strangers_connections_are_few_and_take_none_of_the_screens(
    cart: Quick, called: Callable[..., socket.socket]
) -> None:
    held = [called(HALF, STRANGER) for _ in range(20)]
    until(lambda: sum(not ended(one) for one in held) <= 6, "the oldest are ended")
    assert is_served(cart)


@pytest.mark.parametrize("sends", [b"", HALF, BODY], ids=["nothing", "half a request", "half a body"])
def test_a_request_that_never_becomes_whole_is_ended_however_it_trickles(
    cart: Quick, called: Callable[..., socket.socket], monkeypatch: pytest.MonkeyPatch, sends: bytes
) -> None:
    monkeypatch.setattr(door_module, "REQUEST_S", 0.3)
    one = called(sends % port(cart) if b"%d" in sends else sends)

    def trickled_away() -> bool:
        with contextlib.suppress(OSError):
            if sends:
                one.sendall(b"x")
        return ended(one)

    until(trickled_away, "it is ended")
    assert is_served(cart)


def test_who_listens_to_events_is_not_ended_as_a_request_that_never_becomes_whole(cart: Quick) -> None:
    cart.sign_in()
    address = cart.server.url.replace("http", "ws") + "api/1/events"
    (cookie,) = cart.client.cookies.jar
    headers = {"Cookie": f"{cookie.name}={cookie.value}"}
    with connect(address, additional_headers=headers, origin=Origin(cart.server.url[:-1])) as listener:
        assert json.loads(listener.recv(timeout=PATIENCE_S)) == {"kind": "alive"}
        mine = listener.socket.getsockname()[1]
        (guest,) = [
            one for one in cart.server._socket._guests if not one.gone and one.connection.getpeername()[1] == mine
        ]
        assert (guest.asked, guest.until) == (True, None)


def test_a_second_request_on_a_kept_connection_has_the_same_time_and_not_more(
    cart: Quick, called: Callable[..., socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "IDLE_S", 0.4)
    whole = b"GET /api/1/welcome HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port(cart)
    one = called(whole)
    assert one.recv(65536).startswith(b"HTTP/1.1 200")
    one.sendall(HALF)
    until(lambda: ended(one), "it is ended")


def test_an_answer_that_nobody_takes_is_not_kept(
    cart: Quick, called: Callable[..., socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "IDLE_S", 0.5)
    page = b"GET /api/1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port(cart)
    one = called(page * 400)  # some 15 MB of answers, more than all buffers on the way hold
    listening = cart.server._socket
    until(lambda: not any(guest.until is None for guest in listening._guests if not guest.gone), "it is not waited for")
    until(lambda: all(guest.gone or guest.until is not None for guest in listening._guests), "ended")
    time.sleep(1.2)
    assert is_served(cart)
    one.close()


@pytest.mark.parametrize(
    ("peer", "here", "own"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.5.5.5", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "::", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.6", "10.0.0.5", False),
        ("fe80::1%eth0", "fe80::2", False),
        ("::ffff:10.0.0.6", "10.0.0.5", False),
        ("nonsense", "10.0.0.5", False),
    ],
)
def test_who_sits_at_this_machine(peer: str, here: str, own: bool) -> None:
    assert is_own(peer, here) is own


def test_time_in_which_the_program_stood_still_is_nobodys() -> None:
    mine, other = socket.socketpair()
    with mine, other, door_module.Door(socket.AF_INET) as door:
        door._guests = [Guest(mine, "", time.monotonic() - 0.1)]
        door._swept = time.monotonic() - 60
        asyncio.run(door.sweep())
        assert not door._guests[0].ended  # its bytes may lie there
        door._guests[0].until = time.monotonic() - 0.1
        asyncio.run(door.sweep())
        assert door._guests[0].ended
