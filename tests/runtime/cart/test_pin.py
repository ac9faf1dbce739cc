"""A user's own PIN, changed at the screen: by the one of now, whatever the role, and every session of theirs ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN, PIN, TECHNICIAN, USER
from runtime.exam.journal import Journal
from tests.runtime.cart.quick import KEY, Quick, quick


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        yield made


def told(cart: Quick) -> list[tuple[str, str]]:
    with Journal.open(cart.folder / "journal", KEY, read_only=True) as journal:
        return [(row.kind, row.who) for row in journal.events_after(0, 100)[0] if row.exam is None]


@pytest.mark.parametrize("user", [USER, CLINICIAN, TECHNICIAN])
def test_whoever_is_signed_in_changes_their_own_pin_and_signs_in_anew(cart: Quick, user: str) -> None:
    exam = cart.open_exam()
    cart.sign_in(user)
    assert cart.post("pin", {"pin": PIN, "new_pin": "13579"}).status_code == 200
    assert (cart.get("state").status_code, cart.get("worklist").status_code) == (401, 401)
    for pin, status in ((PIN, 401), ("13579", 200)):
        assert cart.client.post("/api/1/sign-in", json={"name": user, "pin": pin}).status_code == status
    cart.token = cart.get("state").json()["csrf"]
    others = {USER, CLINICIAN, TECHNICIAN} - {user}
    assert ("PIN changed", user) in told(cart)
    assert not {who for kind, who in told(cart) if kind == "PIN changed"} & others
    cart.sign_in(min(others - {TECHNICIAN}))
    assert cart.exam()["exam"] == exam


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"pin": "0000", "new_pin": "13579"}, 401, "PIN is wrong"),
        ({"pin": PIN, "new_pin": "1"}, 409, "shorter than 4"),
        ({"pin": PIN, "new_pin": PIN}, 409, "choose another"),
        ({"pin": PIN}, 422, "new_pin"),
        ({"pin": PIN, "new_pin": 13579}, 422, "expected text"),
        ({"pin": PIN, "new_pin": "9" * 65}, 422, "shorten"),
        ({"pin": PIN, "new_pin": "13579", "name": CLINICIAN}, 422, "leave it out"),
    ],
)
def test_what_cannot_be_changes_nothing_and_keeps_the_session(
    cart: Quick, body: dict[str, object], status: int, said: str
) -> None:
    answer = cart.post("pin", body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert cart.get("state").status_code == 200
    cart.sign_in(USER)
    assert ("PIN changed", USER) not in told(cart)
    assert (("sign-in refused", USER) in told(cart)) == (status == 401)


def test_nobody_else_can(cart: Quick) -> None:
    body = {"pin": PIN, "new_pin": "13579"}
    assert httpx.post(f"{cart.server.url}api/1/pin", json=body, timeout=60).status_code == 401
    assert cart.client.post("/api/1/pin", json=body).status_code == 401  # without the session's token
    assert cart.client.post("/api/1/sign-in", json={"name": USER, "pin": PIN}).status_code == 200
