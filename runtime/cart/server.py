"""Serving the pages: uvicorn on one socket, loopback unless TLS is configured."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn

from runtime.cart.cart import Cart
from runtime.cart.errors import CartError
from runtime.cart.texts import Texts
from runtime.cart.users import SignIn
from runtime.cart.web.app import create_app
from runtime.cart.web.door import Door, GuestProtocol
from runtime.cart.web.guard import own_hosts
from runtime.cart.web.log import keep_short
from runtime.commands.stop import Stop
from runtime.config import WebSection

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Address:
    """Where the pages are served."""

    host: str = "127.0.0.1"
    port: int = 8420
    """0: a free one."""
    names: tuple[str, ...] = ()
    """Further names by which this machine is called, for the Host header."""
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, web: WebSection) -> Address:
        """As `cart.toml` has it."""
        return cls(web.address, web.port, web.names, web.certificate, web.key)

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and (self.certificate is None or self.key is None):
            raise CartError(
                f"web.address: {self.host} is reachable from outside of this machine and needs TLS; set "
                f"web.certificate and web.key, or serve on 127.0.0.1"
            )


class Server:
    """The web server in a thread of its own; a context manager. `url` is known once it is entered."""

    def __init__(
        self, cart: Cart, sign_in: SignIn, address: Address, *, idle_s: float = 300.0, texts: Texts | None = None
    ) -> None:
        keep_short()
        self._scheme = "http" if address.certificate is None else "https"
        self._socket = _listening(address)
        port = int(self._socket.getsockname()[1])
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.url = f"{self._scheme}://{host}:{port}/"
        app = create_app(
            cart,
            sign_in,
            texts or Texts(),
            hosts=own_hosts(address.host, port, address.names),
            scheme=self._scheme,
            idle_s=idle_s,
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=15,
            http=cast(Any, partial(GuestProtocol, self._socket)),
            callback_notify=self._socket.sweep,
            timeout_notify=1,
            ws_max_size=4096,
            h11_max_incomplete_event_size=32768,
            ssl_certfile=None if address.certificate is None else str(address.certificate),
            ssl_keyfile=None if address.key is None else str(address.key),
        )
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Server:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(timeout=5)
        if self._thread.is_alive():
            return  # on a stalled machine; it ends with the process, and must not lose its socket beneath it
        with suppress(OSError):
            self._socket.close()

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def wait(self, stop: Stop) -> None:
        """Until a signal asks to stop, or the server ended by itself."""
        while self._thread.is_alive() and not stop.requested:
            time.sleep(0.25)  # a signal that breaks out of a join would mark the thread as ended, which it is not


def _listening(address: Address) -> Door:
    listening = Door(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
    except OSError as error:
        listening.close()
        raise CartError(
            f"web: {address.host}:{address.port} cannot be used ({error.strerror}); choose another port (web.port)"
        ) from None
    listening.listen(64)
    return listening
