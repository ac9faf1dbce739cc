"""The frame around every message of ROPD: header, fixed-size payload, CRC-32; and how fields become bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar, TypeVar

from runtime.commands.text import printable

MAGIC = 0x44504F52
"""The bytes `ROPD`."""
VERSION = 3
"""What this side speaks, and no other. 1 and 2 were spoken by releases before 0.2.0."""
GREETING = 1
"""In the headers of HELLO, WELCOME and ERROR, for ever."""
UNCHANGING = frozenset({0x01, 0x81, 0xFF})
"""Types of HELLO, WELCOME and ERROR."""
HEADER = struct.Struct("<IHHII")
"""magic, version, type, size of the whole message, tag."""
CRC = struct.Struct("<I")
LARGEST = 1024
"""Bytes: no message is larger."""


class ErrorCode(IntEnum):
    """Why the daemon refused. Below 16 the connection is closed after the ERROR, from 16 on it goes on."""

    BAD_SIZE = 1
    BAD_MAGIC = 2
    BAD_CRC = 3
    BAD_VERSION = 4
    BAD_TYPE = 5
    BAD_FIELD = 6
    NOT_ALLOWED = 7
    FOREIGN_DESCRIPTOR = 8
    TOO_MANY_CLIENTS = 9
    OUT_OF_ORDER = 10
    TOO_FAST = 11
    STOPPING = 12
    IDLE = 13
    NOT_CONFIGURED = 16
    ALREADY_CONFIGURED = 17
    RING_REFUSED = 18
    SLOT_RANGE = 19
    SLOT_IN_USE = 20
    BAD_DIMENSIONS = 21
    BAD_GENERATION = 22
    NOT_READY = 23
    RELOAD_REFUSED = 24
    BAD_TIME = 25
    BAD_FORMAT = 26

    @property
    def fatal(self) -> bool:
        """Whether the connection ends with it."""
        return self < 16


class ProtocolError(Exception):
    """A message that cannot be accepted, or a request that is refused; the text says what, got, expected."""

    def __init__(self, code: ErrorCode, text: str, detail: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.detail = detail


M = TypeVar("M", bound="Message")


def wire(code: str, kind: type[IntEnum] | None = None) -> Any:
    """A field's bytes: a `struct` code; `kind` is the enumeration that its number must be of."""
    return field(metadata={"code": code, "kind": kind})


def spare(code: str) -> dict[str, Any]:
    """Metadata of reserved bytes, a field `reserved`: sent as zeros, refused otherwise."""
    return {"code": code, "kind": None}


@dataclass(frozen=True)
class Message:
    """Base of the messages. A field that is a str or bytes is padded with zeros, a tuple is repeated numbers."""

    TYPE: ClassVar[int]

    def encode(self, tag: int = 0) -> bytes:
        """The whole message. A text too long is cut between characters. Raises `ValueError`."""
        values: list[Any] = []
        for name, size in _layout(type(self)).names:
            value = getattr(self, name)
            if isinstance(value, str):
                values.append(text_bytes(value, size))
            elif isinstance(value, tuple):
                values += [text_bytes(v, size // len(value)) if isinstance(v, str) else v for v in value]
            else:
                values.append(value)
        layout = _layout(type(self))
        version = GREETING if self.TYPE in UNCHANGING else VERSION
        try:
            body = HEADER.pack(MAGIC, version, self.TYPE, layout.size, tag) + layout.packing.pack(*values)
        except (struct.error, OverflowError) as error:  # of a float: the latter
            raise ValueError(f"{type(self).__name__}: {self._beyond() or error}") from None
        return body + CRC.pack(zlib.crc32(body))

    def _beyond(self) -> str:
        """Which numbers do not fit into their fields, for an error; empty where none is found."""
        said = []
        for name, size in _layout(type(self)).names:
            value = getattr(self, name)
            whole = isinstance(value, int) and 0 <= value < 1 << 8 * size
            if not whole and not isinstance(value, str | bytes | tuple) and size <= 8:
                said.append(f"{name}: got {value!r}, expected a whole number from 0 to {(1 << 8 * size) - 1}")
        return "; ".join(said)

    @classmethod
    def size(cls) -> int:
        """Bytes of the whole message."""
        return _layout(cls).size


@dataclass(frozen=True)
class _Layout:
    names: tuple[tuple[str, int], ...]
    """Field names with their bytes."""
    steps: tuple[tuple[int, int, Callable[[Any], Any] | None], ...]
    """Of each field but the reserved one: where in the unpacked values, how many of them, what to make of them."""
    packing: struct.Struct
    size: int
    spare: tuple[int, int | bytes] | None
    """Where the reserved bytes are in the unpacked values, and what they must be; None where there are none."""


_LAYOUTS: dict[type[Message], _Layout] = {}


def _layout(kind: type[Message]) -> _Layout:
    """How a message's fields lie."""
    if kind not in _LAYOUTS:
        _LAYOUTS[kind] = _make_layout(kind)
    return _LAYOUTS[kind]


def _make_layout(kind: type[Message]) -> _Layout:
    """A text array's code is like `8*32s`, everything else is `struct`'s."""
    names, steps, codes, at = [], [], [], 0
    spare_value: tuple[int, int | bytes] | None = None
    for item in fields(kind):
        code = item.metadata["code"]
        count, _, single = code.rpartition("*")
        expanded = single * int(count) if count else code
        packing = struct.Struct("<" + expanded)
        zeros = packing.unpack(bytes(packing.size))
        names.append((item.name, packing.size))
        codes.append(expanded)
        if item.name == "reserved":
            spare_value = at, zeros[0]
        else:
            is_text = code.endswith("s") and not item.name.endswith("sha256")
            steps.append((at, len(zeros), plain_text if is_text else item.metadata["kind"]))
        at += len(zeros)
    whole = struct.Struct("<" + "".join(codes))
    return _Layout(tuple(names), tuple(steps), whole, HEADER.size + whole.size + CRC.size, spare_value)


def text_bytes(value: str, size: int) -> bytes:
    """UTF-8 with at least one zero at the end, cut between characters; a maker's program may print it as it is."""
    data = printable(value).encode()
    return data if len(data) < size else data[: size - 1].decode("utf-8", "ignore").encode()


def plain_text(data: bytes) -> str:
    """The text in its field, made safe to print whoever sent it. Raises `ValueError`."""
    text = data.rstrip(b"\0")
    if b"\0" in text or len(text) == len(data):
        raise ValueError("a text is not ended by zeros")
    said = text.decode()
    return said if said.isprintable() else text_bytes(said, len(data)).decode()


@dataclass(frozen=True)
class Envelope:
    """A message with what its header said."""

    message: Message
    tag: int


def header_tag(data: bytes) -> int:
    """The tag of a message that may be broken, for the ERROR that answers it; 0 where there is none."""
    return int(HEADER.unpack_from(data)[4]) if len(data) >= HEADER.size else 0


def decode(data: bytes, kinds: dict[int, type[Message]]) -> Envelope:
    """The message in `data`, one of `kinds` by type. Raises `ProtocolError` unless every bit is as it must be."""
    if len(data) < HEADER.size + CRC.size:
        raise ProtocolError(ErrorCode.BAD_SIZE, f"message has {len(data)} bytes, expected 20 or more", len(data))
    magic, version, number, size, tag = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ProtocolError(ErrorCode.BAD_MAGIC, f"message begins with {magic:#010x}, expected {MAGIC:#010x}", magic)
    if size != len(data):
        raise ProtocolError(ErrorCode.BAD_SIZE, f"message has {len(data)} bytes, its header says {size}", len(data))
    (crc,) = CRC.unpack_from(data, size - CRC.size)
    if crc != zlib.crc32(memoryview(data)[: -CRC.size]):
        raise ProtocolError(ErrorCode.BAD_CRC, f"CRC {crc:#010x} does not fit the message; it was altered", crc)
    expected = GREETING if number in UNCHANGING else VERSION
    if version != expected:
        raise ProtocolError(ErrorCode.BAD_VERSION, f"message of version {version}, expected {expected}", version)
    kind = kinds.get(number)
    if kind is None:
        raise ProtocolError(ErrorCode.BAD_TYPE, f"message type {number:#04x} is not known here", number)
    layout = _layout(kind)
    if size != layout.size:
        raise ProtocolError(ErrorCode.BAD_SIZE, f"{kind.__name__} has {size} bytes, expected {layout.size}", size)
    return Envelope(_fields(kind, layout, data), tag)


def _fields(kind: type[M], layout: _Layout, data: bytes) -> M:
    """Only what `encode` would write is accepted, so that a reserved byte or a text has one form."""
    flat = layout.packing.unpack_from(data, HEADER.size)
    values: list[Any] = []
    try:
        if layout.spare is not None and flat[layout.spare[0]] != layout.spare[1]:
            raise ValueError("a reserved byte is not zero")
        for at, count, convert in layout.steps:
            if count == 1:
                values.append(flat[at] if convert is None else convert(flat[at]))
            else:
                several = flat[at : at + count]
                values.append(several if convert is None else tuple(map(convert, several)))
        return kind(*values)
    except ValueError as error:
        raise ProtocolError(ErrorCode.BAD_FIELD, f"{kind.__name__}: {error}") from None
