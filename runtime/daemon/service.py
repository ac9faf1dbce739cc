"""`Service`: the daemon's socket. Hears every client, in one of two threads, and answers all but the readings."""

from __future__ import annotations

import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from runtime.daemon.checks import check_frame, check_ring
from runtime.daemon.clock import now_ns
from runtime.daemon.connection import Connection, Job
from runtime.daemon.limits import MAX_RINGS_A_USER_BYTES, Limits, is_trusted, may_join
from runtime.daemon.messages import (
    CANCELLED,
    FROM_CLIENT,
    SUPERSEDED,
    AskBundle,
    AskHealth,
    Cancel,
    Configure,
    DaemonState,
    Error,
    Health,
    Hello,
    Obtained,
    Reason,
    Reload,
    Reloaded,
    ResultFlag,
    Submit,
    Welcome,
)
from runtime.daemon.reader import ModelThread, ReloadJob
from runtime.daemon.realtime import SoftRealTime
from runtime.daemon.reception import Reception
from runtime.daemon.results import unread
from runtime.daemon.ring import make_ring
from runtime.daemon.slots import MAX_RING_BYTES, MAX_SLOT_BYTES, MAX_SLOTS, SlotLayout
from runtime.daemon.wire import VERSION, ErrorCode, Message, ProtocolError, decode, header_tag

TICK_S = 1.0
"""How often it looks for connections that are silent."""
TOLD_AT_MOST, TOLD_IN_S = 10, 60.0
"""So many changes of its state are told in that time; the rest is told when it has passed, if it still holds."""
FAULT_EVERY_S = 60.0
"""A client that provokes a fault again and again does not fill the log."""


class Service:
    """Serves clients on a listening `SOCK_SEQPACKET` socket until `stop`.

    limits: who may connect, and what they may. make: gives the Reader; gets what it is to call when something changed.
    on_state: called in `run`'s thread with the health when state or reasons change, first when LIVE.
    on_fault: called there with a fault of ours that cost a client its connection, at most once in `FAULT_EVERY_S`.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[Callable[[], None]], ModelThread],
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        real_time: SoftRealTime | None = None,
        on_state: Callable[[Health], None] = lambda health: None,
        on_fault: Callable[[str], None] = lambda text: None,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._limits = limits
        self._real_time = real_time or SoftRealTime()
        self._on_state, self._on_fault = on_state, on_fault
        self._fault, self._fault_told_s = "", -FAULT_EVERY_S
        self._told: tuple[DaemonState, str] | None = None
        self._told_s: deque[float] = deque(maxlen=TOLD_AT_MOST)
        self._postponed = False
        self._reception = Reception()
        self._stopping = self._reload_wanted = False
        self._started_ns = now_ns()
        self._connections: dict[int, Connection] = {}
        self._wanted_rings: deque[tuple[Connection, Configure, int]] = deque()
        self._refused = self._superseded = 0
        self._reader = make(self._reception.call_attendant)

    def stop(self) -> None:
        """End `run`. From any thread or a signal's handler."""
        self._stopping = True
        self._reception.call_attendant()

    def reload(self) -> None:
        """Have the bundle loaded anew, as RELOAD does. From any thread or a signal's handler."""
        self._reload_wanted = True
        self._reception.call_attendant()

    def run(self) -> None:
        """Serve until `stop`, as the attendant. Raises `ScreeningError` when the model cannot be loaded or used."""
        reception, reader = self._reception, self._reader
        reception.add(self._listener.fileno())
        reader.start(reception, self._receive, self._note_fault)
        self._real_time.for_thread()
        try:
            self._tell()
            while not self._stopping and reader.failure is None:
                called, descriptors = reception.attends(TICK_S)
                self._receive(descriptors)
                self._close_silent()
                if called:
                    self._do_errands()
                elif self._postponed:
                    self._tell()
        finally:
            with reception.lock:
                for connection in list(self._connections.values()):
                    connection.send(Error(ErrorCode.STOPPING, VERSION, VERSION, 0, "the daemon ends"), 0)
                    self._drop(connection)
                reception.remove(self._listener.fileno())
                self._listener.close()
            reader.stop(reception)
            reception.close()
        if reader.failure is not None:
            raise reader.failure

    def health(self) -> Health:
        """How it is now. From any thread."""
        with self._reception.lock:
            return self._health()

    def _health(self) -> Health:
        reader, model = self._reader, self._reader.model
        bits, words = reader.reasons()
        if self._real_time.refusals:
            bits |= Reason.REFUSED
            words += self._real_time.refusals
        state = DaemonState.LIVE if model is None else DaemonState.DEGRADED if bits else DaemonState.READY
        counts, asked = reader.counts, self._real_time
        return Health(
            (now_ns() - self._started_ns) // 10**6,
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

    def _tell(self) -> None:
        health = self.health()
        told = health.state, re.sub(r"\d+", "#", health.text)  # a number that changes is no news
        now = time.monotonic()
        if self._told == told:
            self._postponed = False
        elif len(self._told_s) == TOLD_AT_MOST and now - self._told_s[0] < TOLD_IN_S:
            self._postponed = True
        else:
            self._told, self._postponed = told, False
            self._told_s.append(now)
            self._on_state(health)

    def _do_errands(self) -> None:
        """What takes long or comes from outside, in the attendant's thread."""
        if self._reload_wanted:
            self._reload_wanted = False
            with self._reception.lock:
                self._put_reload(lambda answer: None)
        while self._wanted_rings:
            connection, wanted, tag = self._wanted_rings.popleft()
            try:
                self._make_ring(connection, wanted, tag)
            except Exception as error:
                with self._reception.lock:
                    self._note_fault(connection, error)
        with self._reception.lock:
            fault, self._fault = self._fault, ""
        if fault and time.monotonic() - self._fault_told_s >= FAULT_EVERY_S:
            self._fault_told_s = time.monotonic()
            self._on_fault(fault)
        self._tell()

    def _note_fault(self, connection: Connection, error: Exception) -> None:
        """A fault of ours as one client was answered ends that connection and nothing else. With the lock held."""
        self._refused += 1
        self._fault = f"software fault, its client's connection is closed: {type(error).__name__}: {error}"
        connection.hang_up()
        self._reception.call_attendant()

    def _receive(self, descriptors: list[int]) -> None:
        """One message of each client, so that the others have their turn before its next. In either thread."""
        for descriptor in descriptors:
            with self._reception.lock:
                connection = self._connections.get(descriptor)
                if connection is not None:
                    try:
                        self._take(connection)
                    except Exception as error:  # whatever a message brought about, the other clients are read
                        self._note_fault(connection, error)
                elif descriptor == self._listener.fileno():
                    self._accept()

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:  # it went away again, or there are no descriptors left
            return
        connection: Connection | None = None
        try:
            connection = Connection(connected)
            self._admit(connection, connected)
        except Exception as error:
            connected.close()
            if connection is not None:
                self._note_fault(connection, error)

    def _admit(self, connection: Connection, connected: socket.socket) -> None:
        refusal = None
        uid, others = connection.peer.uid, [other.peer.uid for other in self._connections.values()]
        if not self._limits.admits(uid, connected):
            why = f"user {uid} may not use it; allow it: --socket-group or --allow-uid {uid}"
            refusal = ProtocolError(ErrorCode.NOT_ALLOWED, why, uid)
        elif most := may_join(uid, others):
            why = f"no place is left for user {uid}, who may have {most} at most"
            refusal = ProtocolError(ErrorCode.TOO_MANY_CLIENTS, why, most)
        if refusal is not None:
            self._refuse(connection, 0, refusal)
            connection.close()
            return
        self._reception.add(connection.fileno())
        self._connections[connection.fileno()] = connection

    def _take(self, connection: Connection) -> None:
        data = b""
        try:
            received = connection.receive()
            if received is None:
                return
            data = received
            if not data:
                self._drop(connection)
                return
            envelope = decode(data, FROM_CLIENT)
            self._handle(connection, envelope.message, envelope.tag)
        except ProtocolError as error:
            self._refuse(connection, header_tag(data), error)
            if error.code.fatal:
                self._drop(connection)

    def _refuse(self, connection: Connection, tag: int, error: ProtocolError) -> None:
        self._refused += 1
        connection.send(Error(error.code, VERSION, VERSION, error.detail, str(error)), tag)

    def _drop(self, connection: Connection) -> None:
        self._reception.remove(connection.fileno())
        del self._connections[connection.fileno()]
        self._reader.turns.drop(connection, connection.peer.uid)
        connection.close()

    def _close_silent(self) -> None:
        """Close who did not say HELLO, or nothing for long."""
        now = time.monotonic()
        with self._reception.lock:
            for connection in list(self._connections.values()):
                allowed = self._limits.idle_s if connection.name else self._limits.hello_s
                if now - connection.heard_s <= allowed or connection.busy:
                    continue
                what = "no message" if connection.name else "no HELLO"
                error = ProtocolError(ErrorCode.IDLE, f"{what} for {allowed:g} s; connect again", int(allowed))
                self._refuse(connection, 0, error)
                self._drop(connection)

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
            connection.send(self._health(), tag)
        elif isinstance(message, AskBundle):
            if self._reader.model is None:
                raise ProtocolError(ErrorCode.NOT_READY, "the engine is not loaded yet; ask again")
            connection.send(self._reader.model.info, tag)
        elif isinstance(message, Reload):
            self._reload(connection, tag)
        elif isinstance(message, Cancel):
            self._cancel(connection)

    def _hello(self, connection: Connection, hello: Hello, tag: int) -> None:
        if not hello.lowest <= VERSION <= hello.highest:
            spoken = f"client speaks versions {hello.lowest} to {hello.highest}, this daemon {VERSION}"
            raise ProtocolError(ErrorCode.BAD_VERSION, spoken, hello.highest)
        connection.name = hello.name
        connection.send(Welcome(VERSION, os.getpid(), MAX_SLOTS, MAX_SLOT_BYTES, MAX_RING_BYTES), tag)

    def _configure(self, connection: Connection, wanted: Configure, tag: int) -> None:
        """A large ring takes as long as a reading: the attendant makes it, and no frame of others waits for it."""
        if connection.configured:
            raise ProtocolError(ErrorCode.ALREADY_CONFIGURED, "this connection has its ring; open another connection")
        uid, rings = connection.peer.uid, [(c.peer.uid, c.ring_bytes) for c in self._connections.values()]
        check_ring(wanted, sum(size for _, size in rings), self._limits.rings_bytes)
        if not is_trusted(uid):
            check_ring(wanted, sum(size for other, size in rings if other == uid), MAX_RINGS_A_USER_BYTES)
        connection.configured, connection.ring_bytes = True, SlotLayout(wanted.slots, wanted.slot_bytes).ring_bytes
        self._wanted_rings.append((connection, wanted, tag))
        self._reception.call_attendant()

    def _make_ring(self, connection: Connection, wanted: Configure, tag: int) -> None:
        """Without the lock, but where the client hears of it."""
        if connection.closed:
            return
        try:
            sealed = make_ring(wanted.slots, wanted.slot_bytes, self._real_time.huge_pages)
        except OSError as error:
            with self._reception.lock:
                connection.configured, connection.ring_bytes = False, 0
                why = f"no memory for the ring: {error.strerror}"
                self._refuse(connection, tag, ProtocolError(ErrorCode.RING_REFUSED, why))
            return
        with self._reception.lock:
            if sealed.ring.layout.huge_pages is Obtained.REFUSED:
                self._real_time.no_huge_pages()
            connection.configure(wanted, sealed, tag)

    def _reload(self, connection: Connection, tag: int) -> None:
        if not is_trusted(connection.peer.uid):
            uid = connection.peer.uid
            raise ProtocolError(ErrorCode.RELOAD_REFUSED, "only root and the daemon's own user may reload", uid)
        self._put_reload(lambda answer: connection.send(answer, tag))

    def _put_reload(self, done: Callable[[Reloaded], None]) -> None:
        job = ReloadJob(done)
        self._reader.turns.put(job, job)
        self._reception.call_engine()

    def _submit(self, connection: Connection, frame: Submit, tag: int) -> None:
        ring = check_frame(connection, frame, self._reader.model is not None)
        connection.busy.add(frame.slot)
        job = Job(connection, ring, frame, tag, connection.sent_ns, connection.epoch)
        olds = self._reader.turns.put(connection, job, connection.newest, connection.peer.uid)
        self._superseded += len(olds)
        self._give_back(olds, ResultFlag.SUPERSEDED, SUPERSEDED)
        self._reception.call_engine()

    def _cancel(self, connection: Connection) -> None:
        """What waits comes back at once; the frame that is being read when it is done."""
        connection.epoch += 1
        waiting = self._reader.turns.drop(connection, connection.peer.uid)
        self._give_back(waiting, ResultFlag.CANCELLED, CANCELLED)

    def _give_back(self, jobs: Sequence[Job | ReloadJob], flag: ResultFlag, reason: str) -> None:
        """Frames that are not to be read, to the client that they came from."""
        for job in jobs:
            assert isinstance(job, Job)
            job.connection.busy.discard(job.submit.slot)
            job.connection.send(unread(job, flag, reason), job.tag)
