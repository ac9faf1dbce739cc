"""ROPLINK/1 framing: COBS, CRC-16/CCITT-FALSE and a stream decoder that finds its way back on the next zero byte."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

VERSION = 1
"""First byte of every frame."""
MAX_PAYLOAD = 64
"""Bytes of payload that a frame can carry."""
HEADER_BYTES = 4
CRC_BYTES = 2
MAX_RAW = HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES
"""Longest frame before COBS, in bytes."""
MAX_ENCODED = MAX_RAW + 1
"""Longest frame after COBS, without its closing zero byte."""


@dataclass(frozen=True)
class RawFrame:
    """One whole frame whose version, length and CRC were right; its type and payload are still to be judged."""

    type: int
    """0 to 255; requests are below 0x80."""
    seq: int
    """0 to 255."""
    payload: bytes = b""
    """At most 64 bytes."""


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected; of b"123456789" it is 0x29B1."""
    return binascii.crc_hqx(data, 0xFFFF)


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker, 1999): the same bytes with no zero among them."""
    out = bytearray()
    at = 0
    while True:
        run = data[at : at + 254].split(b"\0", 1)[0]
        out.append(len(run) + 1)
        out += run
        at += len(run)
        if at == len(data):
            return bytes(out)
        if len(run) < 254:
            at += 1  # the zero that the next code byte stands for


def cobs_decode(data: bytes) -> bytes | None:
    """What `cobs_encode` made `data` from; None when no bytes give it (a zero inside, or a code past the end)."""
    if not data or 0 in data:
        return None
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        if at + code > len(data):
            return None
        out += data[at + 1 : at + code]
        at += code
        if code < 0xFF and at < len(data):
            out.append(0)
    return bytes(out)


def encode_frame(frame: RawFrame) -> bytes:
    """The bytes on the wire, closing zero included. ValueError for a payload over 64 bytes."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(
            f"frame of type {frame.type:#04x}: got {len(frame.payload)} bytes, expected at most {MAX_PAYLOAD}"
        )
    body = bytes((VERSION, frame.type, frame.seq, len(frame.payload))) + frame.payload
    return cobs_encode(body + crc16(body).to_bytes(CRC_BYTES, "little")) + b"\0"


def decode_frame(encoded: bytes) -> RawFrame | None:
    """The frame in `encoded` (COBS bytes without the closing zero); None when anything about it is wrong."""
    if len(encoded) > MAX_ENCODED:
        return None
    raw = cobs_decode(encoded)
    if raw is None or len(raw) < HEADER_BYTES + CRC_BYTES:
        return None
    body, crc = raw[:-CRC_BYTES], int.from_bytes(raw[-CRC_BYTES:], "little")
    version, kind, seq, length = body[:HEADER_BYTES]
    if version != VERSION or length > MAX_PAYLOAD or length != len(body) - HEADER_BYTES or crc != crc16(body):
        return None
    return RawFrame(kind, seq, body[HEADER_BYTES:])


class FrameDecoder:
    """Cuts a stream of bytes into frames. Never raises; what is not a frame is dropped up to the next zero byte.

    Not safe for use from several threads.
    """

    def __init__(self) -> None:
        self.rejected = 0
        """Pieces between zero bytes that were no frame; empty pieces are not counted."""
        self._piece = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[RawFrame]:
        """The frames that `data` completes, in order."""
        frames = []
        *whole, rest = data.split(b"\0")
        for part in whole:
            self._take(part)
            if self._piece or self._overlong:
                frame = None if self._overlong else decode_frame(bytes(self._piece))
                if frame is None:
                    self.rejected += 1
                else:
                    frames.append(frame)
            self._piece.clear()
            self._overlong = False
        self._take(rest)
        return frames

    def _take(self, part: bytes) -> None:
        """Add to the open piece, which never grows past the longest frame."""
        if len(self._piece) + len(part) > MAX_ENCODED:
            self._overlong = True
            self._piece.clear()
        if not self._overlong:
            self._piece += part
