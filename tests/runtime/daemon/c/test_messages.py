"""Messages in C: the golden bytes, and the same judgement as Python's of any others."""

from __future__ import annotations

import ctypes
import json
import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.daemon.golden import PATH
from runtime.daemon.messages import FROM_CLIENT, FROM_DAEMON, Error
from runtime.daemon.wire import ErrorCode, ProtocolError, decode
from tests.runtime.daemon.c.clib import KINDS, Empty, Message

pytestmark = pytest.mark.system
GOLDEN: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
WIRES = [bytes.fromhex(entry["hex"]) for entry in GOLDEN["messages"]]
CLIENT, DAEMON = 1, 2
KNOWN = {CLIENT: FROM_CLIENT, DAEMON: FROM_DAEMON}
ROOM = ctypes.create_string_buffer(1024)


def plain(value: Any) -> Any:
    """A C value in the golden file's form."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, ctypes.Array) and value._type_ is ctypes.c_char:
        return value.value.decode()
    if isinstance(value, ctypes.Array):
        return bytes(value).hex() if value._type_ is ctypes.c_uint8 else [plain(part) for part in value]
    return value


def in_c(library: ctypes.CDLL, wire: bytes, sender: int) -> tuple[int, bytes]:
    """Code of the C decoder, and what its encoder makes of what was decoded."""
    code = ctypes.c_int(-1)
    count = library.harness_again(wire, ctypes.c_size_t(len(wire)), sender, ctypes.byref(code), ROOM)
    return code.value, ROOM.raw[:count]


def in_python(wire: bytes, sender: int) -> int:
    try:
        decode(wire, KNOWN[sender])
    except ProtocolError as error:
        return int(error.code)
    return 0


def sealed(body: bytes) -> bytes:
    """With its length and CRC made to fit."""
    body = body[:8] + struct.pack("<I", len(body) + 4) + body[12:]
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize("entry", GOLDEN["messages"], ids=lambda entry: str(entry["name"]))
def test_golden_messages_mean_the_same_in_c(library: ctypes.CDLL, entry: dict[str, Any]) -> None:
    wire, message = bytes.fromhex(entry["hex"]), Message()
    sender = CLIENT if entry["type"] < 0x80 else DAEMON
    assert library.ropd_decode(wire, ctypes.c_size_t(len(wire)), sender, ctypes.byref(message)) == 0
    assert (message.type, message.tag) == (entry["type"], entry["tag"])
    kind = KINDS[entry["message"]]
    if kind is not Empty:
        payload = getattr(message.payload, kind.__name__)
        assert {name: plain(getattr(payload, name)) for name in entry["fields"]} == entry["fields"]
    room = ctypes.create_string_buffer(1024)
    assert library.ropd_encode(ctypes.byref(message), room) == entry["bytes"]
    assert room.raw[: entry["bytes"]] == wire


@pytest.mark.parametrize("entry", GOLDEN["refused_from_a_client"], ids=lambda entry: str(entry["name"]))
def test_what_must_be_refused_is_refused_with_the_right_error(library: ctypes.CDLL, entry: dict[str, Any]) -> None:
    assert in_c(library, bytes.fromhex(entry["hex"]), CLIENT) == (entry["error"], b"")


def test_every_flipped_bit_is_found(library: ctypes.CDLL) -> None:
    for wire in WIRES:
        for bit in range(len(wire) * 8):
            spoiled = bytearray(wire)
            spoiled[bit // 8] ^= 1 << bit % 8
            assert in_c(library, bytes(spoiled), CLIENT)[0] != 0
            assert in_c(library, bytes(spoiled), DAEMON)[0] != 0


TEXTS = [
    "ä ok €".encode() + "😀".encode(),
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\x80",
    b"a\xff",
    b"\xe2\x82",
    b"\xe2\x82a",
    b"a\0b",
    b"x" * 159,
    b"x" * 160,
    b"x" * 158 + "é".encode(),
    b"x" * 157 + "é".encode(),
]


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_c_and_python_judge_texts_alike(library: ctypes.CDLL, text: bytes) -> None:
    error = Error(ErrorCode.BAD_CRC, 1, 1, 0, "").encode(1)
    message = sealed(error[:32] + text.ljust(160, b"\0"))
    assert len(message) == len(error)
    assert in_c(library, message, DAEMON)[0] == in_python(message, DAEMON)


@given(st.sampled_from(WIRES), st.lists(st.tuples(st.integers(0, 695), st.integers(0, 255)), max_size=4))
@settings(max_examples=500, deadline=None)
def test_c_and_python_judge_changed_messages_alike(
    library: ctypes.CDLL, wire: bytes, changes: list[tuple[int, int]]
) -> None:
    body = bytearray(wire[:-4])
    for at, value in changes:
        body[at % len(body)] = value
    for message in (sealed(bytes(body)), bytes(body) + wire[-4:]):
        for sender in (CLIENT, DAEMON):
            alike(library, message, sender)


@given(st.binary(max_size=800), st.sampled_from([CLIENT, DAEMON]))
@settings(max_examples=300, deadline=None)
def test_c_and_python_judge_any_bytes_alike(library: ctypes.CDLL, data: bytes, sender: int) -> None:
    alike(library, data, sender)


def test_c_and_python_judge_every_byte_value_of_small_messages_alike(library: ctypes.CDLL) -> None:
    values = [*random.Random(5).sample(range(256), 40), 0, 1, 2, 3, 4, 127, 128, 255]
    for wire in (golden for golden in WIRES if len(golden) < 100):
        for at in range(16, len(wire) - 4):
            for value in values:
                changed = sealed(wire[:at] + bytes([value]) + wire[at + 1 : -4])
                alike(library, changed, CLIENT if wire[6] < 128 else DAEMON)


def alike(library: ctypes.CDLL, message: bytes, sender: int) -> None:
    """Python accepts a few values from the daemon that C refuses (a float of BUNDLE that is not finite); never more."""
    (code, again), expected = in_c(library, message, sender), in_python(message, sender)
    assert code == expected or (sender == DAEMON and expected == 0 and code == 6)
    assert again == (message if code == 0 else b"")
