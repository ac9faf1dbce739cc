"""Whoever waits for the cart's answer, for a live picture or the worklist, keeps nobody else waiting."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import PIN, TECHNICIAN, USER
from runtime.cart.desk import LONGEST_QUEUE
from runtime.cart.web import app
from tests.runtime.cart.driving import until
from tests.runtime.cart.quick import INFANT_FIELDS, Quick, quick

MANY = 40
"""More than any pool of threads that asyncio makes by itself."""
ANSWERED_S = 100.0
"""For what must not wait, on the busiest machine; what it would wait for takes longer."""


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        yield made


def send(cart: Quick, request: str, opened: ExitStack) -> socket.socket:
    """A request as the one who is signed in; nobody reads the answer yet."""
    address = cart.client.base_url
    connection = opened.enter_context(socket.create_connection((address.host, address.port or 80)))
    cookie = "; ".join(f"{one.name}={one.value}" for one in cart.client.cookies.jar)
    lines = (
        f"{request} HTTP/1.1",
        f"Host: {address.netloc.decode()}",
        f"Cookie: {cookie}",
        f"X-CSRF-Token: {cart.token}",
    )
    connection.sendall("\r\n".join((*lines, "Content-Length: 0", "", "")).encode())
    return connection


def signs_in(cart: Quick, name: str) -> dict[str, Any]:
    answer = cart.client.post("/api/1/sign-in", json={"name": name, "pin": PIN}, timeout=ANSWERED_S)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_who_waits_for_live_pictures_delays_no_sign_in(cart: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PREVIEW_WAIT_S", 3600.0)
    waiting = cart.cart.preview._waiting
    with ExitStack() as opened:
        polls = [send(cart, "GET /api/1/preview?after=99999999999999", opened) for _ in range(MANY)]
        until(lambda: len(waiting) == MANY, "every poll waits")
        signs_in(cart, USER)
        assert cart.client.get("/api/1/preview?after=0", timeout=ANSWERED_S).status_code == 200
        assert len(waiting) == MANY
        cart.cart.preview.close()  # and then nobody waits for what never comes
        assert all(poll.recv(12) == b"HTTP/1.1 204" for poll in polls)
    assert not waiting


def test_a_live_picture_that_did_not_come_in_time_is_waited_for_no_longer(cart: Quick) -> None:
    answer = cart.client.get("/api/1/preview?after=99999999999999")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not cart.cart.preview._waiting


def test_who_asks_for_reports_without_end_fills_no_queue(cart: Quick) -> None:
    """As many at once as the desk takes commands: the next picture was refused, the cart being busy."""
    cart.open_exam()
    exam, cart_desk, held = cart.exam()["exam"], cart.cart._desk, threading.Event()
    with ExitStack() as opened:
        opened.callback(held.set)
        cart_desk.do(lambda _: held.wait())
        asked = [send(cart, f"GET /api/1/exams/{exam}/report.html", opened) for _ in range(LONGEST_QUEUE + 8)]
        for _ in range(3):  # whoever asks after them is answered when they were taken
            assert cart.client.get("/api/1/health", timeout=ANSWERED_S).status_code < 500
        taken = cart_desk.do(lambda _: "taken")
        held.set()
        assert taken.result(ANSWERED_S) == "taken"
        assert {one.recv(15) for one in asked} == {b"HTTP/1.1 200 OK"}


def test_who_waits_for_the_worklist_delays_nobody_else(tmp_path: Path) -> None:
    slow, asked = threading.Event(), threading.Event()

    def ordering() -> list[Any]:
        asked.set()
        slow.wait()
        return []

    with quick(tmp_path, ordering=ordering) as cart, ExitStack() as opened:
        opened.callback(slow.set)
        for _ in range(MANY):
            send(cart, "POST /api/1/worklist/refresh", opened)
        until(asked.is_set, "the worklist is asked")
        signs_in(cart, TECHNICIAN)
        assert cart.client.get("/api/1/service/bundles", timeout=ANSWERED_S).status_code == 200
        slow.set()


@pytest.mark.parametrize("said", [1, 1.0, "true", "yes", False, None, [True]])
def test_only_true_says_that_the_wrist_band_was_compared(cart: Quick, said: object) -> None:
    answer = cart.post("exams", {"infant": INFANT_FIELDS, "wrist_band_checked": said})
    assert answer.status_code == 422
    assert answer.json()["fields"] == ["wrist_band_checked"]
    assert not cart.exam()
