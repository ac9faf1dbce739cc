"""The host's side of ROPLINK: requests with retries, the heartbeat, and the board's events.

Two threads serve a link: one reads the port, one keeps the heartbeat. When this process dies, both die with it, and
the board switches its light off within 500 ms.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

from device.errors import AnotherHost, BoardRefused, BoardSilent, LightError, NotABoard, PortUnusable
from device.light.framing import HEADERS, FrameDecoder
from device.light.messages import (
    Ack,
    Arm,
    Event,
    Fire,
    FireReply,
    Flags,
    GetDose,
    GetStatus,
    Heartbeat,
    HeartbeatReply,
    HostMessage,
    Nak,
    NakCode,
    Open,
    OpenReply,
    Request,
    SetLed,
    Status,
    Stop,
    Totals,
    encode_request,
    parse_answer,
    unpack,
)
from device.light.port import open_port, write_frame
from device.secrets import hide_secrets

REPLY_MS = 50
"""A board replies within this."""
TRIES = 3
"""How often a request is sent, with the same sequence number, before the board counts as silent."""
HEARTBEAT_MS = 100
"""Time between heartbeats, each of which is sent up to three times; three may fail before the board goes dark."""
EVENTS_KEPT = 256
"""Events that wait to be asked for; the oldest go first when there are more."""
_SEEN_BYTES = 16

_REFUSALS = {
    NakCode.UNKNOWN_TYPE: "the board does not know this request; update its firmware",
    NakCode.BAD_LENGTH: "payload of the wrong length, expected {detail} bytes; update host or firmware",
    NakCode.NO_HEARTBEAT: "no heartbeat reached the board for 500 ms; look at its cable, and ask again",
    NakCode.INTERLOCK_OPEN: "the interlock is open; close it",
    NakCode.OVERHEATED: "the light is too hot; let it cool",
    NakCode.LED_CEILING: "the level is over the board's ceiling of {detail}; ask for less",
    NakCode.FLASH_TIME_CEILING: "expected a flash time of 1 to {detail} us; ask for one of these",
    NakCode.FLASH_LEVEL_CEILING: "expected a flash level of 1 to {detail}; ask for one of these",
    NakCode.NOT_ARMED: "not armed, or armed more than 2 s ago; arm again",
    NakCode.RECHARGING: "recharging, {detail} ms left; wait",
    NakCode.SEQUENCE: "it is at sequence number {detail}, which this program did not give; "
    "another program talks to the board, end it and open the link anew",
    NakCode.CONNECTION: "this program's connection is no more; the board started anew, or another program opened it: "
    "end that, and open the link anew",
}
_Data = TypeVar("_Data", HeartbeatReply, FireReply, OpenReply, Status, Totals)
_RENEWS_SEQ, _LAST_SEQ = 0xFFFF, 0xFFFE
"""Of the OPEN that renews a connection, and before it; the heartbeat alone takes almost two hours to come here."""


@dataclass(frozen=True)
class FlashReceipt:
    """One flash as the host saw it: it began between the two moments, and lasted as long as it was armed for."""

    requested_ns: int
    """`time.monotonic_ns()` just before FIRE was first written."""
    acknowledged_ns: int
    """`time.monotonic_ns()` when the board's ACK had been read."""
    tries: int
    """How often FIRE was sent; the board flashes once all the same."""
    flash_number: int
    """Flashes since the board started, this one included."""
    board_ms: int
    """The board's clock at the flash, milliseconds, modulo 2^32."""


@dataclass(frozen=True)
class BoardEvent:
    """Something happened at the board."""

    code: int
    """An `EventCode`, or a number that this version does not know."""
    value: int
    board_ms: int
    """The board's clock, milliseconds, modulo 2^32."""
    received_ns: int
    """`time.monotonic_ns()` when it had been read."""
    lost: int
    """Events that were lost between the one before and this one: on the line, or because nobody took them."""


@dataclass(frozen=True)
class _Reply:
    message: Ack | Nak
    seq: int
    connection: int | None
    received_ns: int


@dataclass(frozen=True)
class _Exchange:
    ack: Ack
    requested_ns: int
    acknowledged_ns: int
    tries: int


class BoardLink:
    """A connection to one board. Use it as a context manager; safe for use from several threads.

    `guard` is asked before every heartbeat, in the heartbeat's thread; while it says False or raises, STOP is sent in
    the heartbeat's place, so that whatever watches the light (the dose, the program's own health) can put it out.

    protocol: 2; 1 for a board of the older kind, on which frames recorded from the line can be played back.

    Raises `PortUnusable`, `BoardSilent` or `NotABoard` when there is no board to talk to.
    """

    def __init__(
        self, url: str, *, connect_timeout_s: float = 2.0, guard: Callable[[], bool] | None = None, protocol: int = 2
    ) -> None:
        given, self.url = url, hide_secrets(url)
        """As messages and threads have it."""
        if protocol not in HEADERS:
            raise PortUnusable(f"{self.url}: got protocol {protocol}, expected 1 or 2, as the board's firmware speaks")
        self.guard = guard
        self._turn = threading.Lock()
        self._closing = threading.Lock()
        self._no_beat_waits = threading.Event()
        self._no_beat_waits.set()
        self._end_of_beating = threading.Event()
        self._end_of_reading = threading.Event()
        self._closed = False
        self._replies: queue.SimpleQueue[_Reply | None] = queue.SimpleQueue()
        self._events: deque[BoardEvent] = deque()
        self._event_came = threading.Condition()
        self._protocol = protocol
        self._connection = 0 if protocol == 2 else None
        self._nonce: int | None = None  # of the OPEN under way
        self._number_mask = 0xFFFF if protocol == 2 else 0xFF
        self._decoder = FrameDecoder(protocol)
        self._next_event: int | None = None
        self._seen = b""  # the first bytes that came, to say what is on the port when it is no board
        self._seq = 0
        self._read_seq = 0  # requests that change nothing have numbers of their own: the board does not order them
        self._gone: PortUnusable | None = None
        self._failure: LightError | None = None
        self._flags = Flags(0)
        self._was_silent = False
        self._port = open_port(given)
        self._reader = threading.Thread(target=self._read, name=f"light reader {self.url}", daemon=True)
        self._heart = threading.Thread(target=self._beat, name=f"light heartbeat {self.url}", daemon=True)
        self._reader.start()
        try:
            status = self._greet(connect_timeout_s)
            self.board_id = status.board_id
            """The board's own number."""
            self._seq, self._was_silent = (status.last_seq + 1) & 0xFF, False
            if protocol == 2:
                with self._turn:
                    self._open()
            self._heartbeat()
        except BaseException:
            self._closed = True
            self._shut()
            raise
        self._heart.start()

    @property
    def failure(self) -> LightError | None:
        """Why the last heartbeat failed; None when it did not. Once the port is gone, it stays gone."""
        return self._gone or self._failure

    @property
    def flags(self) -> Flags:
        """The board's state as of the last heartbeat."""
        return self._flags

    @property
    def rejected(self) -> int:
        """Damaged frames from the board that were dropped so far."""
        return self._decoder.rejected

    def set_led(self, level: int) -> None:
        """Hold the continuous light at `level`, 0 to 65535; 0 is off."""
        self._request(SetLed(level))

    def arm(self, flash_us: int, level: int) -> None:
        """Make ready for one flash of `flash_us` microseconds within the next 2 s."""
        self._request(Arm(flash_us, level))

    def fire(self) -> FlashReceipt:
        """Flash once, as armed. After `BoardSilent` the flash may have been given: count it as given."""
        done = self._request(Fire())
        data = self._data(FireReply, done.ack)
        return FlashReceipt(done.requested_ns, done.acknowledged_ns, done.tries, data.flash_number, data.board_ms)

    def stop(self) -> None:
        """Light off and disarmed."""
        self._request(Stop())

    def status(self) -> Status:
        """The board's state, ceilings and identity."""
        return self._data(Status, self._request(GetStatus()).ack)

    def totals(self) -> Totals:
        """What the board has given since it started, in drive units."""
        return self._data(Totals, self._request(GetDose()).ack)

    def next_event(self, timeout_s: float) -> BoardEvent | None:
        """The oldest event not yet taken; None when none came in time. Raises `PortUnusable` once the port is gone."""
        with self._event_came:
            self._event_came.wait_for(lambda: self._events or self._gone, timeout_s)
            if self._events:
                return self._events.popleft()
        if self._gone:
            raise self._gone_error()
        return None

    def close(self) -> None:
        """Light off, heartbeat ended, port given back. Closing twice is fine."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._end_of_beating.set()
            self._heart.join()
            with suppress(LightError):  # the board's watchdog puts the light out all the same
                self._exchange(Stop())
            self._shut()

    def __enter__(self) -> BoardLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _shut(self) -> None:
        self._end_of_reading.set()
        cancel = getattr(self._port, "cancel_read", None)
        if cancel is not None:
            cancel()
        self._reader.join()
        self._port.close()

    def _greet(self, timeout_s: float) -> Status:
        """Ask until the board answers: one that restarts when its port is opened needs a moment."""
        deadline = time.monotonic() + timeout_s
        self._write(b"\0")  # ends whatever piece a host before us left in the board's decoder
        while True:
            try:
                return self.status()
            except BoardSilent:
                if time.monotonic() < deadline:
                    continue
                if not self._seen:
                    raise
            echo = self._seen.lstrip(b"\0").startswith(encode_request(GetStatus(), 1, self._connection)[:3])
            raise NotABoard(
                f"{self.url}: {'the port echoes what is sent' if echo else 'got bytes that are no frames'} "
                f"({self._seen.hex(' ')}), expected a ROPLINK/{self._protocol} board at 115200 baud; "
                "name the board's port, and its protocol where it is another"
            )

    def _request(self, message: HostMessage) -> _Exchange:
        if self._closed:
            raise PortUnusable(f"{self.url}: this link is closed; open a new one")
        # A lock is not given in the order of asking: without this a busy caller would starve the heartbeat.
        self._no_beat_waits.wait(REPLY_MS * TRIES * 2 / 1000)
        return self._exchange(message)

    def _exchange(self, message: HostMessage) -> _Exchange:
        """Send a request up to three times until its reply is there."""
        with self._turn:
            if self._gone:
                raise self._gone_error()
            if self._was_silent and not isinstance(message, (GetStatus, GetDose, Stop)):
                self._see_who_answers()
            if self._protocol == 2 and self._seq >= _LAST_SEQ and not isinstance(message, (GetStatus, GetDose, Stop)):
                self._open()
            return self._send(message)

    def _open(self) -> None:
        """Let the board draw a number for the connection; within one, light and arming stay as they are."""
        if self._nonce is None:  # of one that was not answered the same is asked again: it may have been heard
            self._nonce = secrets.randbits(32)
        self._send(Open(self._nonce))
        self._seq = 1

    def _send(self, message: HostMessage) -> _Exchange:
        seq, connection = self._take_number(message), self._connection
        wire = encode_request(message, seq, connection)
        requested_ns = time.monotonic_ns()
        tries, reply = 0, None
        while reply is None and tries < TRIES:
            tries += 1
            self._write(wire)
            reply = self._reply_to(message, seq, connection)
        if reply is None:
            self._was_silent = True
            name = message.TYPE.name
            doubt = "; the flash may have been given, count it" if message.TYPE is Request.FIRE else ""
            raise BoardSilent(
                f"{self.url}: no reply to {name} after {TRIES} tries, expected one within {REPLY_MS} ms{doubt}; "
                f"look at the board's power and cable, and whether it speaks ROPLINK/{self._protocol}"
            )
        if isinstance(reply.message, Nak):
            raise self._refusal(message, reply.message)
        return _Exchange(reply.message, requested_ns, reply.received_ns, tries)

    def _see_who_answers(self) -> None:
        """After a silence: the same board, or nothing may be asked of it. Only then numbers are used up again.

        Heartbeats into a long silence would otherwise run out of the 127 numbers that the board takes for new ones.
        """
        board_id = self._data(Status, self._send(GetStatus()).ack).board_id
        if board_id != self.board_id:
            self._gone = PortUnusable(
                f"{self.url}: board {board_id:016x} answers now, expected {self.board_id:016x}; open a new link for it"
            )
            raise self._gone_error()
        self._was_silent = False

    def _take_number(self, message: HostMessage) -> int:
        if isinstance(message, (GetStatus, GetDose)):
            self._read_seq = (self._read_seq + 1) & self._number_mask
            return self._read_seq
        if isinstance(message, Open):
            return _RENEWS_SEQ if self._connection else 0
        seq = self._seq
        self._seq = (seq + 1) & 0xFF if self._protocol == 1 else min(seq + 1, _LAST_SEQ)
        return seq

    def _reply_to(self, message: HostMessage, seq: int, connection: int | None) -> _Reply | None:
        """The reply to this very request; late replies to others are passed over."""
        deadline = time.monotonic() + REPLY_MS / 1000
        while True:
            try:
                reply = self._replies.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if reply is None:
                raise self._gone_error()
            if (reply.seq, reply.connection, reply.message.request) == (seq, connection, message.TYPE):
                return reply

    def _refusal(self, message: HostMessage, nak: Nak) -> BoardRefused:
        asked = f"{self.url}: the board refused {message}"
        reason = f"reason {nak.code}, which this version does not know; update the host"
        if nak.code in _REFUSALS:
            reason = _REFUSALS[NakCode(nak.code)].format(detail=nak.detail)
        kind = AnotherHost if nak.code in (NakCode.SEQUENCE, NakCode.CONNECTION) else BoardRefused
        return kind(f"{asked}: {reason}", code=nak.code, detail=nak.detail)

    def _data(self, kind: type[_Data], ack: Ack) -> _Data:
        data = unpack(kind, ack.data)
        assert data is not None, "parse_answer has checked the length"
        return data

    def _write(self, data: bytes) -> None:
        try:
            write_frame(self._port, data)  # bytes not taken in time are a try without a reply
        except OSError as error:
            raise PortUnusable(f"{self.url}: cannot write ({error}); plug the board in and open a new link") from error

    def _gone_error(self) -> PortUnusable:
        return PortUnusable(str(self._gone))

    def _read(self) -> None:
        """The reader's thread."""
        try:
            while not self._end_of_reading.is_set():
                self._take(self._port.read(self._port.in_waiting or 1))
        except (OSError, TypeError, AttributeError) as error:  # pyserial raises the last two when a port is torn away
            self._lose(f"{self.url}: the port is gone ({error}); plug the board in and open a new link")
        except Exception as error:  # without a reader every request would seem to go unanswered
            self._lose(f"{self.url}: reading it failed ({type(error).__name__}: {error}); open a new link")

    def _lose(self, why: str) -> None:
        self._gone = PortUnusable(why)
        self._replies.put(None)
        with self._event_came:
            self._event_came.notify_all()

    def _take(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if len(self._seen) < _SEEN_BYTES:
            self._seen = (self._seen + data)[:_SEEN_BYTES]
        for frame in self._decoder.feed(data):
            message = parse_answer(frame)
            if isinstance(message, Event):
                if frame.connection == self._connection:
                    self._keep(message, frame.seq, now_ns)
            elif message is not None:
                self._see_connection(message)
                self._replies.put(_Reply(message, frame.seq, frame.connection, now_ns))

    def _see_connection(self, message: Ack | Nak) -> None:
        """The number that the board drew, here and not where it was asked for: events of it may come right behind."""
        if self._nonce is None or not isinstance(message, Ack) or message.request != Request.OPEN:
            return
        opened = self._data(OpenReply, message)
        if opened.nonce == self._nonce:
            self._nonce, self._connection = None, opened.connection

    def _keep(self, event: Event, seq: int, now_ns: int) -> None:
        lost = 0 if self._next_event is None else (seq - self._next_event) & self._number_mask
        self._next_event = (seq + 1) & self._number_mask
        with self._event_came:
            self._events.append(BoardEvent(event.code, event.value, event.board_ms, now_ns, lost))
            if len(self._events) > EVENTS_KEPT:
                dropped, oldest = self._events.popleft(), self._events[0]
                self._events[0] = replace(oldest, lost=oldest.lost + dropped.lost + 1)
            self._event_came.notify()

    def _beat(self) -> None:
        """The heartbeat's thread."""
        while not self._end_of_beating.wait(HEARTBEAT_MS / 1000):
            self._failure = self._beat_once()

    def _beat_once(self) -> LightError | None:
        try:
            refusal = self._ask_guard()
            self._no_beat_waits.clear()
            if refusal is None:
                self._heartbeat()
            else:
                self._exchange(Stop())
        except LightError as error:
            return error
        except Exception as error:  # a heart that stopped without a word would leave the light's going out unexplained
            return LightError(f"{self.url}: heartbeat failed: {type(error).__name__}: {error}; open a new link")
        finally:
            self._no_beat_waits.set()
        return refusal

    def _heartbeat(self) -> None:
        self._flags = self._data(HeartbeatReply, self._exchange(Heartbeat()).ack).flags

    def _ask_guard(self) -> LightError | None:
        """Why there must be no light, if so. A guard that breaks counts as one that says no."""
        try:
            allowed = self.guard is None or self.guard()
        except LightError as error:  # it says itself why there is no light, and what to do
            return error
        except Exception as error:
            return LightError(f"{self.url}: light stopped, its guard failed: {type(error).__name__}: {error}")
        return None if allowed else LightError(f"{self.url}: light stopped, its guard said no")
