"""Who signs in, or tries to, is in the journal's trail."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import HINT, PIN, SHOWN, USER
from runtime.exam.journal import Journal
from tests.runtime.cart.quick import KEY, quick


def test_sign_ins_are_in_the_trail_and_no_pin_is(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        for name, pin in ((USER, "1111"), (PIN, USER), (USER, PIN)):
            cart.client.post("/api/1/sign-in", json={"name": name, "pin": pin})
        for _ in range(9):  # from the fifth on they have to wait, and fill nothing
            cart.client.post("/api/1/sign-in", json={"name": USER, "pin": "2222"})
        told = cart.client.get("/api/1/welcome").json()["users"]
        assert {"name": USER, "shown": SHOWN} in told
        assert f"user {USER} (shown as {SHOWN}), PIN {PIN}" in HINT  # by the name that the API takes
    with Journal.open(tmp_path / "journal", KEY, read_only=True) as journal:
        events, _ = journal.events_after(0, 100)
    told = [(row.kind, row.who) for row in events if row.kind.startswith("sign")]
    assert told[:3] == [("signed in", USER), ("sign-in refused", USER), ("signed in", USER)]
    assert told[3:] == [("sign-in refused", USER)] * 5
    assert all(PIN not in row.who for row in events)
