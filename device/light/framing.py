"""ROPLINK framing: COBS, CRC-16/CCITT-FALSE and a stream decoder that finds its way back on the next zero byte."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from struct import Struct

MAX_PAYLOAD = 64
"""Bytes of payload that a frame can carry."""
HEADERS = {1: Struct("<BBBB"), 2: Struct("<BBHIB")}
"""By version: version, type, seq, from version 2 on the connection, length of the payload."""
CRC_BYTES = 2
MAX_ENCODED = {version: header.size + MAX_PAYLOAD + CRC_BYTES + 1 for version, header in HEADERS.items()}
"""Longest frame of a version after COBS, which adds a byte, without its closing zero byte."""


@dataclass(frozen=True)
class RawFrame:
    """One whole frame whose version, length and CRC were right; its type and payload are still to be judged."""

    type: int
    """0 to 255; requests are below 0x80."""
    seq: int
    """0 to 255; in ROPLINK/2 to 65535."""
    payload: bytes = b""
    """At most 64 bytes."""
    connection: int | None = None
    """ROPLINK/2: the connection's number, 32 bits, 0 before there is one. None makes it a frame of ROPLINK/1."""


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
    if frame.connection is None:
        body = HEADERS[1].pack(1, frame.type, frame.seq, len(frame.payload)) + frame.payload
    else:
        body = HEADERS[2].pack(2, frame.type, frame.seq, frame.connection, len(frame.payload)) + frame.payload
    return cobs_encode(body + crc16(body).to_bytes(CRC_BYTES, "little")) + b"\0"


def decode_frame(encoded: bytes, version: int = 1) -> RawFrame | None:
    """The frame of that version in `encoded` (COBS bytes without the closing zero); None when anything is wrong."""
    header = HEADERS[version]
    if len(encoded) > MAX_ENCODED[version]:
        return None
    raw = cobs_decode(encoded)
    if raw is None or len(raw) < header.size + CRC_BYTES:
        return None
    body, crc = raw[:-CRC_BYTES], int.from_bytes(raw[-CRC_BYTES:], "little")
    says, kind, seq, *connection, length = header.unpack_from(body)
    if says != version or length > MAX_PAYLOAD or length != len(body) - header.size or crc != crc16(body):
        return None
    return RawFrame(kind, seq, body[header.size :], *connection)


class FrameDecoder:
    """Cuts a stream of bytes into frames. Never raises; what is not a frame is dropped up to the next zero byte.

    version: of the frames that are taken; others are dropped. Not safe for use from several threads.
    """

    def __init__(self, version: int = 1) -> None:
        self._version = version
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
                frame = None if self._overlong else decode_frame(bytes(self._piece), self._version)
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
        if len(self._piece) + len(part) > MAX_ENCODED[self._version]:
            self._overlong = True
            self._piece.clear()
        if not self._overlong:
            self._piece += part
