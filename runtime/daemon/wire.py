"""The frame around every message of ROPD/1: header, fixed-size payload, CRC-32; and how fields become bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar, TypeVar

MAGIC = 0x44504F52
"""The bytes `ROPD`."""
VERSION = 1
"""The only version that this side speaks; also what HELLO, WELCOME and ERROR carry for ever."""
HEADER = struct.Struct("<IHHII")
"""magic, version, type, size of the whole message, tag."""
CRC = struct.Struct("<I")
LARGEST = 1024
"""Bytes: no message of this version is larger."""


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
    NOT_CONFIGURED = 16
    ALREADY_CONFIGURED = 17
    RING_REFUSED = 18
    SLOT_RANGE = 19
    SLOT_IN_USE = 20
    BAD_DIMENSIONS = 21
    BAD_GENERATION = 22
    NOT_READY = 23
    RELOAD_REFUSED = 24

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
        layout = _layout(type(self))
        values: list[Any] = []
        for name, size in layout.names:
            value = getattr(self, name)
            if isinstance(value, str):
                values.append(_text(value, size))
            elif isinstance(value, tuple):
                values.extend(_text(v, size // len(value)) if isinstance(v, str) else v for v in value)
            else:
                values.append(value)
        try:
            body = HEADER.pack(MAGIC, VERSION, self.TYPE, layout.size, tag) + layout.packing.pack(*values)
        except struct.error as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None
        return body + CRC.pack(zlib.crc32(body))

    @classmethod
    def size(cls) -> int:
        """Bytes of the whole message."""
        return _layout(cls).size


@dataclass(frozen=True)
class _Layout:
    names: tuple[tuple[str, int], ...]
    """Field names with their bytes."""
    fields: tuple[tuple[str, str, int, type[IntEnum] | None], ...]
    """Name, code, how many values, enumeration."""
    packing: struct.Struct
    size: int
    texts: bool
    spare: int | bytes | None
    """What the reserved bytes must be; None where there are none."""


_LAYOUTS: dict[type[Message], _Layout] = {}


def _layout(kind: type[Message]) -> _Layout:
    """How a message's fields lie."""
    if kind not in _LAYOUTS:
        _LAYOUTS[kind] = _make_layout(kind)
    return _LAYOUTS[kind]


def _make_layout(kind: type[Message]) -> _Layout:
    """A text array's code is like `8*32s`, everything else is `struct`'s."""
    names, parts, codes = [], [], []
    spare_value: int | bytes | None = None
    for item in fields(kind):
        code = item.metadata["code"]
        count, _, single = code.rpartition("*")
        expanded = single * int(count) if count else code
        packing = struct.Struct("<" + expanded)
        values = len(packing.unpack(bytes(packing.size)))
        names.append((item.name, packing.size))
        parts.append((item.name, code, values, item.metadata["kind"]))
        codes.append(expanded)
        if item.name == "reserved":
            spare_value = packing.unpack(bytes(packing.size))[0]
    whole = struct.Struct("<" + "".join(codes))
    size = HEADER.size + whole.size + CRC.size
    texts = any(_is_text(name, code) for name, code, _, _ in parts)
    return _Layout(tuple(names), tuple(parts), whole, size, texts, spare_value)


def _is_text(name: str, code: str) -> bool:
    return code.endswith("s") and not name.endswith("sha256") and name != "reserved"


def _text(value: str, size: int) -> bytes:
    """UTF-8 with at least one zero at the end, cut between characters."""
    return value.replace("\0", " ").encode("utf-8", "replace")[: size - 1].decode("utf-8", "ignore").encode()


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
    if version != VERSION:
        raise ProtocolError(ErrorCode.BAD_VERSION, f"message of version {version}, expected {VERSION}", version)
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
    values: dict[str, Any] = {}
    at = 0
    try:
        for name, code, count, enumeration in layout.fields:
            got = flat[at : at + count]
            at += count
            if _is_text(name, code):
                got = tuple(part.rstrip(b"\0").decode() for part in got)
            elif enumeration is not None:
                got = (enumeration(got[0]),)
            values[name] = got if count > 1 else got[0]
        message = kind(**values)
        if layout.spare is not None and values["reserved"] != layout.spare:
            raise ValueError("a reserved byte is not zero")
    except ValueError as error:
        raise ProtocolError(ErrorCode.BAD_FIELD, f"{kind.__name__}: {error}") from None
    if layout.texts and message.encode()[HEADER.size : -CRC.size] != data[HEADER.size : -CRC.size]:
        raise ProtocolError(ErrorCode.BAD_FIELD, f"{kind.__name__}: a text is not ended by zeros")
    return message
