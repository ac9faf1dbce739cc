"""A Python board with a hand on its clock, and streams of bytes and inputs to try boards with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from device.light.board import Action, Board, Ceilings, Flash, Light, Send
from device.light.framing import FrameDecoder, RawFrame, encode_frame
from device.light.messages import Ack, BoardMessage, HostMessage, Nak, encode_request, parse_answer

SETTERS = {"interlock": "set_interlock", "overheated": "set_overheated", "foot": "set_foot_switch"}
CEILINGS = Ceilings(max_led_level=1000, max_flash_us=5000, max_flash_level=2000, recharge_ms=100)


@dataclass
class Bench:
    """One board on a bench: what it said and did."""

    now_ms: int = 0
    board: Board = field(default_factory=lambda: Board(7, CEILINGS))
    said: list[BoardMessage] = field(default_factory=list)
    flashes: list[Flash] = field(default_factory=list)
    led: int = 0

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                for frame in FrameDecoder().feed(action.data):
                    message = parse_answer(frame)
                    assert message is not None, f"the board said what no host understands: {frame}"
                    self.said.append(message)
            elif isinstance(action, Light):
                self.led = action.level
            else:
                self.flashes.append(action)

    def ask(self, message: HostMessage, seq: int) -> Ack | Nak:
        """Send a request; what the board answers."""
        return self.raw(encode_request(message, seq))

    def raw(self, wire: bytes) -> Ack | Nak:
        before = len(self.said)
        self.do(self.board.receive(wire, self.now_ms))
        replies = [m for m in self.said[before:] if isinstance(m, (Ack, Nak))]
        assert len(replies) == 1
        return replies[0]

    def wait(self, ms: int) -> None:
        """Let time pass in ticks."""
        for _ in range(ms):
            self.now_ms = (self.now_ms + 1) & 0xFFFFFFFF
            self.do(self.board.tick(self.now_ms))


PAYLOADS: dict[int, tuple[bytes, ...]] = {
    0x01: (b"\x64\0", b"\0\0", b"\xe8\x03", b"\xe9\x03", b"\xff\xff"),
    0x02: (b"",),
    0x03: (
        b"\xd0\x07\0\0\x64\0",
        b"\x88\x13\0\0\xd0\x07",
        b"\1\0\0\0\1\0",
        b"\x89\x13\0\0\1\0",
        b"\1\0\0\0\xd1\x07",
        bytes(6),
    ),
    0x04: (b"",),
    0x05: (b"",),
    0x06: (b"",),
    0x07: (b"",),
}
_KINDS = (0x01, 0x02, 0x02, 0x03, 0x03, 0x04, 0x04, 0x04, 0x05, 0x06, 0x07)
_WAITS_MS = (0, 1, 5, 10, 20, 50, 99, 100, 102, 250, 400, 429, 430, 500, 1000, 2000)


class _Teller:
    """Reads a story out of bytes, so that a stream costs Hypothesis one draw; when they run out it reads zeros."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)
        self.left = len(data)
        self.armed = False
        self.seq = self.next()

    def next(self) -> int:
        self.left -= 1
        return next(self._bytes, 0)

    def frame(self) -> RawFrame:
        """What a host that counts as it should sends next."""
        fires = self.armed and self.next() % 2  # or hardly a story would hold a flash
        kind = 0x04 if fires else _KINDS[self.next() % len(_KINDS)]
        self.armed = kind == 0x03
        self.seq = (self.seq + 1) & 0xFF
        return RawFrame(kind, self.seq, PAYLOADS[kind][self.next() % len(PAYLOADS[kind])])

    def odd_frame(self) -> RawFrame:
        """Any type, any number, any length."""
        return RawFrame(self.next(), self.next(), bytes(self.next() for _ in range(self.next() % 65)))

    def damaged(self) -> tuple[RawFrame, bytes]:
        """A frame, and what the line made of it: bits turned, bytes lost, doubled, put in, or its end cut off."""
        frame = self.frame()
        wire = bytearray(encode_frame(frame))
        for _ in range(1 + self.next() % 4):
            at, how, value = self.next() % (len(wire) or 1), self.next() % 5, self.next()
            if how == 0 or not wire:
                wire.insert(at, value)
            elif how == 1:
                wire[at] ^= value
            elif how == 2:
                del wire[at]
            elif how == 3:
                wire.insert(at, wire[at])
            else:
                del wire[at:]
        return frame, bytes(wire)

    def step(self) -> tuple[str, Any]:
        op = self.next() % 20
        if op < 8:
            return "frame", self.frame()
        if op < 10:
            return "again", 1 + self.next() % 3
        if op == 10:
            return "frame", RawFrame(_KINDS[self.next() % len(_KINDS)], self.next())
        if op == 11:
            return "frame", self.odd_frame()
        if op < 15:
            return "damaged", self.damaged()
        if op == 15:
            return "bytes", bytes(self.next() for _ in range(self.next() % 90))
        if op < 19:
            return "wait", _WAITS_MS[self.next() % len(_WAITS_MS)]
        value = self.next()
        return ("interlock", "overheated", "foot")[value % 3], value % 12 < 6


def tell(data: bytes) -> list[tuple[str, Any]]:
    """A stretch of a board's life: mostly one host that counts as it should, with everything else in between."""
    teller = _Teller(data)
    story: list[tuple[str, Any]] = [("interlock", teller.next() % 8 != 1), ("frame", RawFrame(0x02, teller.seq))]
    while teller.left > 0:
        story.append(teller.step())
    return story


stories: st.SearchStrategy[list[tuple[str, Any]]] = st.binary(min_size=2, max_size=160).map(tell)
"""Steps of (what, value); `again` sends the nth last whole frame once more."""
