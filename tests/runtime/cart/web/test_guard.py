"""What is refused before anything is done: other hosts, other origins, bodies that are too large."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from runtime.cart.web.guard import LARGEST_BODY, POLICY, RequestGuard, own_hosts

HOSTS = own_hosts("127.0.0.1", 8420)


def asked(headers: dict[str, str], *, method: str = "GET", kind: str = "http", body: bytes = b"") -> dict[str, Any]:
    """What the guard makes of a request; `reached` says whether the application saw it, `body` what it read."""
    found: dict[str, Any] = {"reached": False, "sent": [], "body": b""}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found["reached"] = True
        if kind == "http":
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    found["cut"] = True
                    return
                found["body"] += message.get("body", b"")
                if not message.get("more_body"):
                    break
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    pieces = [body[at : at + 8192] for at in range(0, len(body), 8192)] or [b""]

    async def receive() -> MutableMapping[str, Any]:
        if kind == "websocket":
            return {"type": "websocket.connect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: MutableMapping[str, Any]) -> None:
        found["sent"].append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": "/", "headers": raw}
    asyncio.run(RequestGuard(app, HOSTS, "http")(scope, receive, send))
    return found


OWN = {"host": "127.0.0.1:8420"}


@pytest.mark.parametrize("host", ["127.0.0.1:8420", "localhost:8420", "LOCALHOST:8420", "[::1]:8420"])
def test_the_carts_own_names_are_served_with_every_header(host: str) -> None:
    found = asked({"host": host})
    assert found["reached"]
    headers = dict(found["sent"][0]["headers"])
    assert headers[b"content-security-policy"] == POLICY.encode()
    assert "unsafe" not in POLICY
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    ("name", "headers", "method"),
    [
        ("DNS rebinding", {"host": "evil.example:8420"}, "GET"),
        ("another port", {"host": "127.0.0.1:80"}, "GET"),
        ("no host", {}, "GET"),
        ("a host that begins alike", {"host": "127.0.0.1:8420.evil.example"}, "GET"),
        ("another origin changes", {**OWN, "origin": "http://evil.example"}, "POST"),
        ("another origin reads", {**OWN, "origin": "http://evil.example"}, "GET"),
        ("the null origin", {**OWN, "origin": "null"}, "POST"),
        ("https is another origin", {**OWN, "origin": "https://127.0.0.1:8420"}, "POST"),
        ("a form of another site", {**OWN, "sec-fetch-site": "cross-site"}, "POST"),
        ("a form of a sister site", {**OWN, "sec-fetch-site": "same-site"}, "DELETE"),
        ("a large body", {**OWN, "content-length": str(LARGEST_BODY + 1)}, "POST"),
        ("a length that is no number", {**OWN, "content-length": "-1"}, "POST"),
        ("a length of digits of another script", {**OWN, "content-length": "\u00b2"}, "POST"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_everything_else_is_refused_before_the_application(
    name: str, headers: dict[str, str], method: str, kind: str
) -> None:
    found = asked(headers, method=method, kind=kind)
    assert not found["reached"], name
    first = found["sent"][0]
    assert first.get("status", first.get("code")) in (403, 4403)


def test_a_body_without_a_length_is_cut_off_at_the_same_limit() -> None:
    found = asked(OWN, method="POST", body=b"x" * (LARGEST_BODY + 8192))
    assert found["cut"]
    assert len(found["body"]) <= LARGEST_BODY


def test_a_program_that_names_no_origin_reaches_the_application_where_cookie_and_token_are_asked_for() -> None:
    assert asked(OWN, method="POST", body=b"{}")["reached"]


def test_a_name_from_the_configuration_is_the_carts_own() -> None:
    assert "cart-3.ward:443" in own_hosts("10.0.0.5", 443, ("cart-3.ward",))
    assert "cart-3.ward" in own_hosts("10.0.0.5", 443, ("cart-3.ward",))
    assert "localhost:443" not in own_hosts("10.0.0.5", 443)
