"""What every request must pass before anything is done: the host it asks for, where it comes from, its size."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body: everything that a page sends is a small JSON object."""
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestGuard:
    """ASGI middleware. hosts: values of the Host header that are this cart's own, in lower case.

    A name that an attacker points at 127.0.0.1 (DNS rebinding) is none of them; a page of another origin is refused
    whatever it asks; a body that is too large is not read.
    """

    def __init__(self, app: App, hosts: Collection[str], scheme: str) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)
        self._origins = frozenset(f"{scheme}://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        problem = self._problem(scope, headers)
        if problem is None:
            await self._app(scope, _limited(receive), _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": problem})
        else:
            await _refuse(send, problem)

    def _problem(self, scope: Scope, headers: dict[str, list[str]]) -> str | None:
        host = headers.get("host", [])
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return "this address is not the cart's own; open the address that the cart printed"
        origin = headers.get("origin", [])
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        # A browser names the origin with every change; a program that names none still needs cookie and token.
        if len(origin) > 1 or (origin and origin[0].lower() not in self._origins):
            return "the request comes from another page; use the cart's own"
        site = headers.get("sec-fetch-site", ["same-origin"])[0]
        if changes and site not in ("same-origin", "none"):
            return "the request comes from another page; use the cart's own"
        length = headers.get("content-length", ["0"])[0]
        if not length.isascii() or not length.isdigit() or int(length[:12]) > LARGEST_BODY:
            return f"the request is larger than {LARGEST_BODY} bytes"
        return None


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _limited(receive: Receive) -> Receive:
    """A body without a length, or with an untrue one, is cut off at the same limit."""
    read = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                return {"type": "http.disconnect"}
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message.get("headers", [])}
            message["headers"] = [
                *message.get("headers", []),
                *((name, value) for name, value in HEADERS if name not in own),
            ]
            if b"cache-control" not in own:
                message["headers"].append((b"cache-control", b"no-store"))
        await send(message)

    return sending


async def _refuse(send: Send, problem: str) -> None:
    body = json.dumps({"type": "about:blank", "title": "refused", "status": 403, "detail": problem}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": [*headers, *HEADERS]})
    await send({"type": "http.response.body", "body": body})


def own_hosts(address: str, port: int, names: Collection[str] = ()) -> tuple[str, ...]:
    """Values of the Host header that mean this server: its address and the names that the configuration gives."""
    bare = {address, *names}
    if address in ("127.0.0.1", "::1", "localhost"):
        bare |= {"127.0.0.1", "localhost", "::1"}
    shown = {f"[{name}]" if ":" in name else name for name in bare}
    default = {80, 443}
    return tuple(sorted({f"{name}:{port}" for name in shown} | (shown if port in default else set())))
