"""`Service`: the daemon's socket. One thread receives from every client and answers all but the readings."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

from runtime.daemon.checks import check_frame, check_ring
from runtime.daemon.connection import Connection, Job
from runtime.daemon.messages import (
    FROM_CLIENT,
    AskBundle,
    AskHealth,
    Configure,
    ConfigureFlag,
    Error,
    Health,
    Hello,
    Obtained,
    Reason,
    Reload,
    Reloaded,
    State,
    Submit,
    Welcome,
)
from runtime.daemon.reader import Reader, ReloadJob
from runtime.daemon.realtime import SoftRealTime
from runtime.daemon.results import superseded
from runtime.daemon.ring import make_ring
from runtime.daemon.slots import MAX_RING_BYTES, MAX_SLOT_BYTES, MAX_SLOTS
from runtime.daemon.wire import VERSION, ErrorCode, Message, ProtocolError, decode, header_tag

MAX_CLIENTS = 32


class Service:
    """Serves clients on a listening `SOCK_SEQPACKET` socket until `stop`.

    allowed_uids: users that may connect. make: gives the Reader; gets what it is to call when something changed.
    on_state: called in `run`'s thread with the health when the state or its words change, first when LIVE.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[Callable[[], None]], Reader],
        allowed_uids: frozenset[int],
        real_time: SoftRealTime | None = None,
        on_state: Callable[[Health], None] = lambda health: None,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._allowed = allowed_uids
        self._real_time = real_time or SoftRealTime()
        self._on_state = on_state
        self._told: tuple[State, str] | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._wake_lock = threading.RLock()  # re-entrant: a signal's handler may nudge in the middle of a nudge
        self._stopping = self._reload_wanted = False
        self._started_ns = time.monotonic_ns()
        self._connections: set[Connection] = set()
        self._refused = self._superseded = 0
        self._reader = make(self._nudge)

    def stop(self) -> None:
        """End `run`. From any thread or a signal's handler."""
        self._stopping = True
        self._nudge()

    def reload(self) -> None:
        """Have the bundle loaded anew, as RELOAD does. From any thread or a signal's handler."""
        self._reload_wanted = True
        self._nudge()

    def run(self) -> None:
        """Serve until `stop`. Raises `ScreeningError` when the model cannot be loaded at the start."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            self._reader.start()
            self._real_time.for_thread()
            try:
                self._tell()
                while not self._stopping and self._reader.failure is None:
                    for key, _ in selector.select():
                        self._serve(selector, key.fileobj)
            finally:
                for connection in list(self._connections):
                    connection.send(Error(ErrorCode.STOPPING, VERSION, VERSION, 0, "the daemon ends"), 0)
                    self._drop(selector, connection)
                self._reader.stop()
                self._listener.close()
                with self._wake_lock:  # whoever nudges from now on finds it gone, never another file of that number
                    wake, self._wake = self._wake, -1
                    os.close(wake)
        if self._reader.failure is not None:
            raise self._reader.failure

    def health(self) -> Health:
        """How it is now."""
        reader, model = self._reader, self._reader.model
        bits, words = reader.reasons()
        if self._real_time.refusals:
            bits |= Reason.REFUSED
            words += self._real_time.refusals
        state = State.LIVE if model is None else State.DEGRADED if bits else State.READY
        counts, asked = reader.counts, self._real_time
        return Health(
            (time.monotonic_ns() - self._started_ns) // 10**6,
            counts.last_inference_ns,
            counts.frames,
            counts.late,
            counts.torn,
            self._superseded,
            self._refused,
            counts.reloads,
            os.getpid(),
            len(self._connections),
            len(reader.turns),
            bits,
            state,
            asked.got_fifo,
            asked.got_cpus,
            asked.got_locked,
            asked.got_huge_pages,
            model.sha256 if model else bytes(32),
            "; ".join(words),
        )

    def _nudge(self) -> None:
        with self._wake_lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def _tell(self) -> None:
        health = self.health()
        if self._told != (health.state, health.text):
            self._told = health.state, health.text
            self._on_state(health)

    def _serve(self, selector: selectors.BaseSelector, ready: object) -> None:
        if ready is self._listener:
            self._accept(selector)
        elif isinstance(ready, Connection):
            self._receive(selector, ready)
        else:
            os.eventfd_read(self._wake)
            if self._reload_wanted:  # put here: a signal's handler may have come in while the turns were locked
                self._reload_wanted = False
                job = ReloadJob(lambda answer: None)
                self._reader.turns.put(job, job)
            self._tell()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:  # it went away again, or there are no descriptors left
            return
        connection = Connection(connected)
        refusal = None
        if connection.peer.uid not in self._allowed:
            uid = connection.peer.uid
            refusal = ProtocolError(
                ErrorCode.NOT_ALLOWED, f"user {uid} may not use it; allow it: --allow-uid {uid}", uid
            )
        elif len(self._connections) >= MAX_CLIENTS:
            most = f"{MAX_CLIENTS} clients are connected, which is the most"
            refusal = ProtocolError(ErrorCode.TOO_MANY_CLIENTS, most, MAX_CLIENTS)
        if refusal is not None:
            self._refuse(connection, 0, refusal)
            connection.close()
            return
        self._connections.add(connection)
        selector.register(connection, selectors.EVENT_READ)

    def _receive(self, selector: selectors.BaseSelector, connection: Connection) -> None:
        """One message of a client: the others have their turn before its next."""
        data = b""
        try:
            received = connection.receive()
            if received is None:
                return
            data = received
            if not data:
                self._drop(selector, connection)
                return
            envelope = decode(data, FROM_CLIENT)
            self._handle(connection, envelope.message, envelope.tag)
        except ProtocolError as error:
            self._refuse(connection, header_tag(data), error)
            if error.code.fatal:
                self._drop(selector, connection)

    def _refuse(self, connection: Connection, tag: int, error: ProtocolError) -> None:
        self._refused += 1
        connection.send(Error(error.code, VERSION, VERSION, error.detail, str(error)), tag)

    def _drop(self, selector: selectors.BaseSelector, connection: Connection) -> None:
        selector.unregister(connection)
        self._connections.discard(connection)
        self._reader.turns.drop(connection)
        connection.close()

    def _handle(self, connection: Connection, message: Message, tag: int) -> None:
        if isinstance(message, Hello) is bool(connection.name):
            raise ProtocolError(ErrorCode.OUT_OF_ORDER, "HELLO comes first, and once")
        if isinstance(message, Submit):
            self._submit(connection, message, tag)
        elif isinstance(message, Hello):
            self._hello(connection, message, tag)
        elif isinstance(message, Configure):
            self._configure(connection, message, tag)
        elif isinstance(message, AskHealth):
            connection.send(self.health(), tag)
        elif isinstance(message, AskBundle):
            if self._reader.model is None:
                raise ProtocolError(ErrorCode.NOT_READY, "the engine is not loaded yet; ask again")
            connection.send(self._reader.model.info, tag)
        elif isinstance(message, Reload):
            self._reload(connection, tag)

    def _hello(self, connection: Connection, hello: Hello, tag: int) -> None:
        if not hello.lowest <= VERSION <= hello.highest:
            spoken = f"client speaks versions {hello.lowest} to {hello.highest}, this daemon {VERSION}"
            raise ProtocolError(ErrorCode.BAD_VERSION, spoken, hello.highest)
        connection.name = hello.name
        connection.send(Welcome(VERSION, os.getpid(), MAX_SLOTS, MAX_SLOT_BYTES, MAX_RING_BYTES), tag)

    def _configure(self, connection: Connection, wanted: Configure, tag: int) -> None:
        if connection.ring is not None:
            raise ProtocolError(ErrorCode.ALREADY_CONFIGURED, "this connection has its ring; open another connection")
        check_ring(wanted, sum(c.ring.layout.ring_bytes for c in self._connections if c.ring is not None))
        try:
            sealed = make_ring(wanted.slots, wanted.slot_bytes, self._real_time.huge_pages)
        except OSError as error:
            raise ProtocolError(ErrorCode.RING_REFUSED, f"no memory for the ring: {error.strerror}") from None
        if sealed.ring.layout.huge_pages is Obtained.REFUSED:
            self._real_time.no_huge_pages()
        connection.configure(wanted, sealed, bool(wanted.flags & ConfigureFlag.STORED_PICTURES), tag)

    def _reload(self, connection: Connection, tag: int) -> None:
        if connection.peer.uid not in (0, os.geteuid()):
            uid = connection.peer.uid
            raise ProtocolError(ErrorCode.RELOAD_REFUSED, "only root and the daemon's own user may reload", uid)

        def done(answer: Reloaded) -> None:
            connection.send(answer, tag)

        job = ReloadJob(done)
        self._reader.turns.put(job, job)

    def _submit(self, connection: Connection, frame: Submit, tag: int) -> None:
        ring = check_frame(connection, frame, self._reader.model is not None)
        connection.busy.add(frame.slot)
        job = Job(connection, ring, frame, tag, time.monotonic_ns())
        for old in self._reader.turns.put(connection, job, newest=connection.newest):
            assert isinstance(old, Job)
            self._superseded += 1
            connection.busy.discard(old.submit.slot)
            connection.send(superseded(old), old.tag)
