from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.daemon import golden
from runtime.daemon.messages import (
    FROM_CLIENT,
    FROM_DAEMON,
    Health,
    Hello,
    Reloaded,
    Result,
    Submit,
)
from runtime.daemon.slots import MAX_SLOT_BYTES, MAX_SLOTS, SlotLayout
from runtime.daemon.wire import CRC, HEADER, LARGEST, VERSION, Message, ProtocolError, decode

ALL = {**FROM_CLIENT, **FROM_DAEMON}
GOLDEN = json.loads(golden.PATH.read_text(encoding="utf-8"))
WHOLE = [bytes.fromhex(m["hex"]) for m in GOLDEN["messages"]]


def test_the_golden_file_is_what_the_script_writes() -> None:
    assert golden.PATH.read_text(encoding="utf-8") == golden.golden()
    assert {m["type"] for m in GOLDEN["messages"]} == set(ALL)
    assert GOLDEN["version"] == VERSION


@pytest.mark.parametrize("message", GOLDEN["messages"], ids=lambda m: m["name"])
def test_golden_messages_are_read_and_written(message: dict[str, Any]) -> None:
    data = bytes.fromhex(message["hex"])
    envelope = decode(data, ALL)
    assert (envelope.tag, type(envelope.message).__name__) == (message["tag"], message["message"])
    assert envelope.message.encode(envelope.tag) == data
    assert len(data) == message["bytes"] <= LARGEST
    for name, value in message["fields"].items():
        got = getattr(envelope.message, name)
        assert (got.hex() if isinstance(got, bytes) else list(got) if isinstance(got, tuple) else got) == value


@pytest.mark.parametrize("bad", GOLDEN["refused_from_a_client"], ids=lambda m: m["name"])
def test_what_must_be_refused_is(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode(bytes.fromhex(bad["hex"]), FROM_CLIENT)
    assert refused.value.code == bad["error"]


def test_every_number_lies_at_a_multiple_of_its_size() -> None:
    for kind in ALL.values():
        at = HEADER.size
        for item in kind.__dataclass_fields__.values():
            if "code" not in item.metadata:  # TYPE
                continue
            repeated, _, code = item.metadata["code"].rpartition("*")
            unit = 1 if code.endswith("s") else struct.calcsize("<" + code[-1])
            assert at % unit == 0, (kind, item.name)
            count = int(repeated or 1)
            at += struct.calcsize("<" + code) * count


def test_one_flipped_bit_is_always_found() -> None:
    for data in WHOLE:
        for bit in range(len(data) * 8):
            spoiled = bytearray(data)
            spoiled[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ProtocolError):
                decode(bytes(spoiled), ALL)


def check(data: bytes) -> bool:
    """What every input must keep to: refused with a code, or exactly what this side would write (True).

    But for texts that could act on a terminal: they are made safe as they come, and written so.
    """
    try:
        envelope = decode(data, ALL)
    except ProtocolError:
        return False
    again = envelope.message.encode(envelope.tag)
    if again != data:
        texts = [value for value in vars(envelope.message).values() if isinstance(value, str)]
        assert any("\N{REPLACEMENT CHARACTER}" in text for text in texts)
        assert len(again) == len(data)
        assert decode(again, ALL) == envelope
    return True


def test_what_comes_acts_on_no_terminal() -> None:
    health = next(data for data in WHOLE if isinstance(decode(data, ALL).message, Health))
    at = health.index(b"no self-test")
    body = health[:at] + b"\x1b" + health[at + 1 : -CRC.size]
    envelope = decode(body + CRC.pack(zlib.crc32(body)), ALL)
    assert isinstance(envelope.message, Health)
    assert envelope.message.text.startswith("\N{REPLACEMENT CHARACTER}o self-test")


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A message with some bytes changed, its CRC made to fit or not."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data[at] = draw(st.integers(0, 255))
    body = bytes(data[: -CRC.size])
    return body + (CRC.pack(zlib.crc32(body)) if draw(st.booleans()) else bytes(data[-CRC.size :]))


@given(st.one_of(spoiled(), st.binary(max_size=LARGEST + 8)))
@settings(max_examples=600, deadline=None)
def test_anything_may_come(data: bytes) -> None:
    check(data)


@pytest.mark.soak
def test_a_million_messages() -> None:
    import random

    rng, accepted = random.Random(20261122), 0
    for number in range(1_000_000):
        data = bytearray(WHOLE[number % len(WHOLE)])
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.1:
            data = data[: rng.randrange(len(data) + 1)]
        elif rng.random() < 0.7:
            body = bytes(data[: -CRC.size])
            data = bytearray(body + CRC.pack(zlib.crc32(body)))
        accepted += check(bytes(data))
    assert 0 < accepted < 1_000_000


def test_texts_are_cut_between_characters_and_hold_no_zero() -> None:
    cut = decode(Reloaded(bytes(32), 1, "ä" * 200 + "\0").encode(), ALL).message
    assert isinstance(cut, Reloaded)
    assert cut.text == "ä" * 119


@pytest.mark.parametrize("name", ["", "two words", "ä", "slash/"])
def test_names_that_could_say_too_much_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Hello(1, VERSION, name)


def test_a_number_that_does_not_fit_is_refused_not_cut() -> None:
    fields = dict(GOLDEN["messages"][3]["fields"])
    with pytest.raises(ValueError, match="Submit"):
        Submit(**(fields | {"slot": 2**32})).encode()


def test_a_result_holds_no_infinity() -> None:
    message: Message = golden.examples()["result_refer"][1]
    assert isinstance(message, Result)
    at = Result.size() - CRC.size - 240 - 160 - 64 - 32
    body = bytearray(message.encode()[: -CRC.size])
    body[at : at + 4] = struct.pack("<f", float("inf"))
    with pytest.raises(ProtocolError, match="finite"):
        decode(bytes(body) + CRC.pack(zlib.crc32(body)), ALL)


@given(st.integers(1, MAX_SLOTS), st.integers(1, MAX_SLOT_BYTES))
def test_slots_do_not_overlap(slots: int, slot_bytes: int) -> None:
    layout = SlotLayout(slots, slot_bytes)
    assert layout.pixels_offset % 4096 == layout.vessels_offset % 4096 == layout.slot_stride % 4096 == 0
    assert layout.pixels_offset + slot_bytes <= layout.vessels_offset
    assert layout.vessels_offset + 65536 <= layout.slot_stride
    assert layout.slot_stride * slots == layout.ring_bytes
