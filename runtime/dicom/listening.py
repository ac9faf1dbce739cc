"""A port of the cart on which DICOM peers may call: no caller can hold up another, or the end."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from typing import Any

from pynetdicom import AE
from pynetdicom.transport import ThreadedAssociationServer

from runtime.dicom.connection import PREPARED

ENDING_S = 1.0
"""How long associations may take to end by themselves when the port is closed."""


class Listening:
    """A server of pynetdicom, from its making to `close`."""

    def __init__(
        self, entity: AE, port: int, handlers: Sequence[Any] = (), context: ssl.SSLContext | None = None
    ) -> None:
        """Listen on every address; raises `OSError`. context: for TLS, None for none."""
        later = None if context is None else _HandshakeLater(context)
        started = entity.start_server(
            ("", port),
            block=False,
            evt_handlers=[*handlers, PREPARED],
            ssl_context=later,  # type: ignore[arg-type]  # of which pynetdicom calls `wrap_socket` only
        )
        assert started is not None  # which it is only where the call blocks
        self.server: ThreadedAssociationServer = started

    def close(self) -> None:
        """Take no more calls, and end those that do not end by themselves."""
        self.server.shutdown()
        deadline = time.monotonic() + ENDING_S
        while (left := self.server.active_associations) and time.monotonic() < deadline:
            time.sleep(0.005)
        for association in left:
            # Only a connection that has gone lets pynetdicom's threads go, and they would outlive the program.
            if association.dul.socket is not None:
                association.dul.socket._shutdown_socket()
            association.kill()


class _HandshakeLater:
    """TLS that is negotiated when the caller's thread first reads, and not by the one thread that takes all calls.

    There a caller that says nothing would keep every other one waiting, for ever.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, connection: Any, *, server_side: bool) -> ssl.SSLSocket:
        return self._context.wrap_socket(connection, server_side=server_side, do_handshake_on_connect=False)
