"""The board's side of ROPLINK as a pure state machine: bytes, inputs and a clock in; bytes and light out.

It mirrors `c/ropboard.c` action for action; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from device.light.framing import FrameDecoder, RawFrame
from device.light.messages import (
    REQUESTS,
    Ack,
    Arm,
    Event,
    EventCode,
    FireReply,
    Flags,
    HeartbeatReply,
    Nak,
    NakCode,
    Open,
    OpenReply,
    Request,
    SetLed,
    Status,
    Totals,
    encode_answer,
    pack,
)

WATCHDOG_MS = 500
"""The light is off no later than this after the host has sent its last heartbeat."""
TICK_MS = 20
"""`Board.tick` must be called at least this often; the watchdog trips this much early to allow for a late tick."""
LINK_MS = 50
"""So long may a heartbeat have been on its way, its host dead since; the watchdog trips this much earlier still."""
TRIP_MS = WATCHDOG_MS - TICK_MS - LINK_MS
ARM_WINDOW_MS = 2000
"""FIRE is valid for less than this after ARM."""
_CLOCK = 0xFFFFFFFF


@dataclass(frozen=True)
class Ceilings:
    """What the board never passes, whatever a host asks. They come from the light's maker; there are no defaults."""

    max_led_level: int
    """0 to 65535."""
    max_flash_us: int
    """Microseconds, 0 to 2^32 - 1."""
    max_flash_level: int
    """0 to 65535."""
    recharge_ms: int
    """Gap from the end of a flash to the next, milliseconds, 0 to 3600000."""

    def __post_init__(self) -> None:
        tops = {"max_led_level": 65535, "max_flash_us": _CLOCK, "max_flash_level": 65535, "recharge_ms": 3_600_000}
        for name, top in tops.items():
            if not 0 <= getattr(self, name) <= top:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected 0 to {top}")


@dataclass(frozen=True)
class Send:
    """Bytes for the host."""

    data: bytes


@dataclass(frozen=True)
class Light:
    """The continuous light changes to this drive level; 0 is off."""

    level: int


@dataclass(frozen=True)
class Flash:
    """One flash begins now."""

    flash_us: int
    level: int


Action: TypeAlias = Send | Light | Flash


class Board:
    """The state machine. Every call takes `now_ms` (any start, wraps at 2^32) and returns what to do, in order.

    draw: gives the numbers of connections, 32 bits, which nobody can foretell and which do not come again, also after a
    start; with it the board speaks ROPLINK/2 and nothing else, without it ROPLINK/1. The interlock counts as open until
    `set_interlock` says otherwise. Not safe for use from several threads.
    """

    def __init__(
        self, board_id: int, ceilings: Ceilings, now_ms: int = 0, draw: Callable[[], int] | None = None
    ) -> None:
        self.board_id = board_id
        self.ceilings = ceilings
        self.led_level = 0
        self.armed: Arm | None = None
        self.flashes = 0
        self.heartbeats = 0
        """Those that counted, modulo 2^32; a repeated one does not."""
        self._draw = draw
        self._connection = 0
        self._last_seq = 0  # in the connection; 0 before its first request
        self._decoder = FrameDecoder(1 if draw is None else 2)
        self._now = self._started = now_ms & _CLOCK
        self._interlock_closed = self._overheated = self._foot_switch = False
        self._alive = False
        self._heartbeat_ms = self._armed_ms = self._flash_ms = 0
        self._gap_ms = 0  # 0 when no recharge is going on
        self._last: RawFrame | None = None
        self._last_reply = b""
        self._events = 0
        self._flash_sum = self._led_sum = 0
        self._actions: list[Action] = []

    @property
    def rejected(self) -> int:
        """Damaged frames dropped, at most 65535."""
        return min(self._decoder.rejected, 0xFFFF)

    def tick(self, now_ms: int) -> list[Action]:
        """Let time pass: watchdog, end of the armed time, end of the recharge gap."""
        self._pass_time(now_ms)
        return self._done()

    def receive(self, data: bytes, now_ms: int) -> list[Action]:
        """Take bytes from the host."""
        self._pass_time(now_ms)
        *whole, rest = data.split(b"\0")
        for piece in (*(part + b"\0" for part in whole), rest):  # each is counted or acted on before the next is seen
            for frame in self._decoder.feed(piece):
                self._handle(frame)
        return self._done()

    def set_interlock(self, closed: bool, now_ms: int) -> list[Action]:
        """The interlock switch reads closed or open."""
        self._pass_time(now_ms)
        if closed != self._interlock_closed:
            self._interlock_closed = closed
            if not closed:
                self._go_dark()
            self._tell(EventCode.INTERLOCK, closed)
        return self._done()

    def set_overheated(self, overheated: bool, now_ms: int) -> list[Action]:
        """The light's temperature is over its limit, or no longer."""
        self._pass_time(now_ms)
        if overheated != self._overheated:
            self._overheated = overheated
            if overheated:
                self._go_dark()
            self._tell(EventCode.THERMAL, overheated)
        return self._done()

    def set_foot_switch(self, pressed: bool, now_ms: int) -> list[Action]:
        """The foot switch, debounced, is pressed or released."""
        self._pass_time(now_ms)
        if pressed != self._foot_switch:
            self._foot_switch = pressed
            self._tell(EventCode.FOOT_SWITCH, pressed)
        return self._done()

    def _since(self, moment_ms: int) -> int:
        return (self._now - moment_ms) & _CLOCK

    def _pass_time(self, now_ms: int) -> None:
        before, self._now = self._now, now_ms & _CLOCK
        self._led_sum += self.led_level * self._since(before)
        if self._alive and self._since(self._heartbeat_ms) >= TRIP_MS:
            self._alive = False
            was_on = self.led_level > 0
            self._go_dark()
            self._tell(EventCode.WATCHDOG, was_on)
        if self.armed and self._since(self._armed_ms) >= ARM_WINDOW_MS:
            self.armed = None
        if self._gap_ms and self._since(self._flash_ms) >= self._gap_ms:
            self._gap_ms = 0

    def _done(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _go_dark(self) -> None:
        self.armed = None
        self._set_led(0)

    def _set_led(self, level: int) -> None:
        if level != self.led_level:
            self.led_level = level
            self._actions.append(Light(level))

    def _tell(self, code: EventCode, value: bool) -> None:
        event = Event(code, int(value), self._since(self._started))
        connection = None if self._draw is None else self._connection
        self._actions.append(Send(encode_answer(event, self._events, connection)))
        self._events = (self._events + 1) & (0xFF if connection is None else 0xFFFF)

    def _handle(self, frame: RawFrame) -> None:
        """Answer one frame; frames that boards send are passed over, so that an echoing line is harmless."""
        if frame.type >= 0x80:
            return
        request = REQUESTS.get(frame.type)
        if request is None or (request is Open and self._draw is None):
            self._reply(frame, Nak(frame.type, NakCode.UNKNOWN_TYPE, 0))
        elif len(frame.payload) != request.LAYOUT.size:
            self._reply(frame, Nak(frame.type, NakCode.BAD_LENGTH, request.LAYOUT.size))
        elif frame.type in (Request.STATUS, Request.DOSE):
            self._reply(
                frame, Ack(frame.type, pack(self._status() if frame.type == Request.STATUS else self._totals()))
            )
        elif frame == self._last and frame.type != Request.STOP:
            self._actions.append(Send(self._last_reply))
        elif self._draw is None:
            self._handle_in_order(frame)
        elif frame.type == Request.OPEN and frame.connection == 0:
            self._go_dark()
            self._accept(frame, self._open(frame))
        else:
            self._handle_connected(frame)

    def _handle_in_order(self, frame: RawFrame) -> None:
        """Requests that act: each sequence number once, none that is older than the last. STOP acts always."""
        ahead = 1 if self._last is None else (frame.seq - self._last.seq) & 0xFF
        if 1 <= ahead < 128:
            self._accept(frame, self._act(frame))
        elif frame.type == Request.STOP:
            self._reply(frame, self._act(frame))
        else:
            last_seq = self._last.seq if self._last else 0
            self._reply(frame, Nak(frame.type, NakCode.SEQUENCE, last_seq))

    def _handle_connected(self, frame: RawFrame) -> None:
        """ROPLINK/2: requests of this connection alone, each with a higher number than the last. STOP acts always."""
        ours = self._connection != 0 and frame.connection == self._connection
        if ours and frame.seq > self._last_seq:
            self._last_seq = frame.seq
            self._accept(frame, self._open(frame) if frame.type == Request.OPEN else self._act(frame))
        elif frame.type == Request.STOP:
            self._reply(frame, self._act(frame))
        elif ours:
            self._reply(frame, Nak(frame.type, NakCode.SEQUENCE, self._last_seq))
        else:
            self._reply(frame, Nak(frame.type, NakCode.CONNECTION, 0))

    def _open(self, frame: RawFrame) -> Ack:
        """A new connection; what came before belongs to none any more."""
        assert self._draw is not None
        number = self._draw() & _CLOCK
        if number in (0, self._connection):
            number = (self._connection + 1) & _CLOCK or 1
        self._connection, self._last_seq = number, 0
        return Ack(frame.type, pack(OpenReply(Open.LAYOUT.unpack(frame.payload)[0], number)))

    def _accept(self, frame: RawFrame, answer: Ack | Nak) -> None:
        """Answer, and keep the answer for the case that the same frame comes again."""
        self._last, self._last_reply = frame, self._reply(frame, answer)

    def _reply(self, frame: RawFrame, answer: Ack | Nak) -> bytes:
        data = encode_answer(answer, frame.seq, frame.connection)
        self._actions.append(Send(data))
        return data

    def _act(self, frame: RawFrame) -> Ack | Nak:
        if frame.type == Request.HEARTBEAT:
            self._alive = True
            self._heartbeat_ms = self._now
            self.heartbeats = (self.heartbeats + 1) & _CLOCK
            return Ack(frame.type, pack(HeartbeatReply(self._flags())))
        if frame.type == Request.STOP:
            self._go_dark()
            return Ack(frame.type)
        if frame.type == Request.SET_LED:
            return self._act_set_led(SetLed(*SetLed.LAYOUT.unpack(frame.payload)))
        if frame.type == Request.ARM:
            return self._act_arm(Arm(*Arm.LAYOUT.unpack(frame.payload)))
        return self._act_fire()

    def _unsafe(self) -> NakCode | None:
        """Why there may be no light now, if so."""
        if not self._alive:
            return NakCode.NO_HEARTBEAT
        if not self._interlock_closed:
            return NakCode.INTERLOCK_OPEN
        return NakCode.OVERHEATED if self._overheated else None

    def _act_set_led(self, wanted: SetLed) -> Ack | Nak:
        unsafe = self._unsafe() if wanted.level else None
        if unsafe:
            return Nak(Request.SET_LED, unsafe, 0)
        if wanted.level > self.ceilings.max_led_level:
            return Nak(Request.SET_LED, NakCode.LED_CEILING, self.ceilings.max_led_level)
        self._set_led(wanted.level)
        return Ack(Request.SET_LED)

    def _act_arm(self, wanted: Arm) -> Ack | Nak:
        unsafe = self._unsafe()
        if unsafe:
            return Nak(Request.ARM, unsafe, 0)
        if not 0 < wanted.flash_us <= self.ceilings.max_flash_us:
            return Nak(Request.ARM, NakCode.FLASH_TIME_CEILING, self.ceilings.max_flash_us)
        if not 0 < wanted.level <= self.ceilings.max_flash_level:
            return Nak(Request.ARM, NakCode.FLASH_LEVEL_CEILING, self.ceilings.max_flash_level)
        self.armed = wanted
        self._armed_ms = self._now
        return Ack(Request.ARM)

    def _act_fire(self) -> Ack | Nak:
        unsafe = self._unsafe()
        if unsafe:
            return Nak(Request.FIRE, unsafe, 0)
        if self.armed is None:
            return Nak(Request.FIRE, NakCode.NOT_ARMED, 0)
        if self._gap_ms:
            return Nak(Request.FIRE, NakCode.RECHARGING, self._gap_ms - self._since(self._flash_ms))
        flash, self.armed = self.armed, None
        self._flash_ms = self._now
        self._gap_ms = self.ceilings.recharge_ms + -(-flash.flash_us // 1000)
        self.flashes = (self.flashes + 1) & _CLOCK
        self._flash_sum += flash.flash_us * flash.level
        self._actions.append(Flash(flash.flash_us, flash.level))
        return Ack(Request.FIRE, pack(FireReply(self.flashes, self._since(self._started))))

    def _flags(self) -> Flags:
        bits = {
            Flags.LIGHT_ON: self.led_level > 0,
            Flags.ARMED: self.armed is not None,
            Flags.INTERLOCK_CLOSED: self._interlock_closed,
            Flags.OVERHEATED: self._overheated,
            Flags.HEARTBEAT_ALIVE: self._alive,
            Flags.RECHARGING: self._gap_ms > 0,
            Flags.SEQUENCE_KNOWN: self._last is not None,
            Flags.FOOT_SWITCH: self._foot_switch,
        }
        return Flags(sum(bit for bit, on in bits.items() if on))

    def _status(self) -> Status:
        return Status(
            flags=self._flags(),
            led_level=self.led_level,
            last_seq=(self._last.seq if self._last else 0) & 0xFF,
            rejected=self.rejected,
            board_ms=self._since(self._started),
            board_id=self.board_id,
            max_led_level=self.ceilings.max_led_level,
            max_flash_us=self.ceilings.max_flash_us,
            max_flash_level=self.ceilings.max_flash_level,
            recharge_ms=self.ceilings.recharge_ms,
        )

    def _totals(self) -> Totals:
        return Totals(self.flashes, self._flash_sum & (2**64 - 1), self._led_sum & (2**64 - 1))
