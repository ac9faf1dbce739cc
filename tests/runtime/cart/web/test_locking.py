"""An idle session ends whatever its page asks by itself: only what a person does keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN, USER
from runtime.cart.web.sessions import Sessions
from tests.runtime.cart.quick import Quick, quick


def sessions_of(cart: Quick) -> Sessions:
    """Those of the server, whose newest user the foot switch acts for."""
    found = getattr(cart.cart.operator, "__self__", None)
    assert isinstance(found, Sessions)
    return found


def asked(cart: Quick, exam: str) -> list[str]:
    """Every address that a page only asks, filled in."""
    described: dict[str, Any] = cart.get("openapi.json").json()["paths"]
    places = {"{exam}": exam, "{number}": "1", "{kind}": "html", "{language}": "es"}
    found = []
    for path, methods in described.items():
        if "get" not in methods or path.endswith("preview.mjpg"):  # which has no end; it is as `preview` is
            continue
        for place, value in places.items():
            path = path.replace(place, value)
        found.append(path.removeprefix("/api/1/"))
    return found


def test_nothing_that_a_page_asks_keeps_anybody_signed_in(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        sessions, exam = sessions_of(cart), cart.open_exam()
        cart.capture("OD", "nasal")
        now = sessions.clock()
        sessions.clock = lambda: now
        cart.done("here")
        addresses = asked(cart, exam)
        assert {"state", "worklist", "exams", f"exams/{exam}", "preview", "service"} <= set(addresses)
        used = {id(one): one.used_at for one in sessions._by_digest.values()}
        now += sessions.idle_s - 1
        for address in addresses:
            cart.get(address)
            assert {id(one): one.used_at for one in sessions._by_digest.values()} == used, address
        now += 2
        assert cart.get("exams").status_code == cart.get("state").status_code == 401


def test_whoever_only_looks_is_kept_by_saying_so_and_with_the_token(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        sessions, now = sessions_of(cart), 0.0
        sessions.clock = lambda: now
        for _ in range(4):
            now += sessions.idle_s - 1
            cart.done("here")
        assert cart.client.post("/api/1/here", json={}).status_code == 401  # another program has no token
        now += sessions.idle_s + 1
        assert cart.post("here").status_code == 401


def test_the_foot_switch_is_not_of_whose_page_asked_last(tmp_path: Path) -> None:
    with quick(tmp_path) as nurse:
        elsewhere = dict(nurse.client.cookies)
        sessions = sessions_of(nurse)
        nurse.client.cookies.clear()
        nurse.sign_in(CLINICIAN)
        nurse.open_exam()  # the ophthalmologist works; the nurse's page stands open elsewhere, and asks
        nurse.client.cookies.update(elsewhere)
        assert nurse.get("exams").status_code == 200
        assert sessions.current() == CLINICIAN != USER
