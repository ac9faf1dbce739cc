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
    FROM_CLIENT_2,
    FROM_DAEMON,
    FROM_DAEMON_2,
    Hello,
    Nearly,
    PixelFormat,
    Reloaded,
    Result,
    Submit,
    is_nearly,
    plain_result,
    plain_submit,
    result_bytes,
    submit_bytes,
)
from runtime.daemon.slots import MAX_SLOT_BYTES, MAX_SLOTS, SlotLayout
from runtime.daemon.wire import CRC, HEADER, LARGEST, Message, ProtocolError, decode

ALL = {1: {**FROM_CLIENT, **FROM_DAEMON}, 2: {**FROM_CLIENT_2, **FROM_DAEMON_2}}
SENT = {1: FROM_CLIENT, 2: FROM_CLIENT_2}
GOLDEN = json.loads(golden.PATH.read_text(encoding="utf-8"))
WHOLE = [(m["version"], bytes.fromhex(m["hex"])) for m in GOLDEN["messages"]]


def test_the_golden_file_is_what_the_script_writes() -> None:
    assert golden.PATH.read_text(encoding="utf-8") == golden.golden()
    assert {m["type"] for m in GOLDEN["messages"]} == set(ALL[2])
    assert set(ALL[2]) - set(ALL[1]) == {0x07, 0x87}


@pytest.mark.parametrize("message", GOLDEN["messages"], ids=lambda m: m["name"])
def test_golden_messages_are_read_and_written(message: dict[str, Any]) -> None:
    data = bytes.fromhex(message["hex"])
    envelope = decode(data, ALL[message["version"]], message["version"])
    assert (envelope.tag, type(envelope.message).__name__.rstrip("2")) == (message["tag"], message["message"])
    assert envelope.message.encode(envelope.tag, message["version"]) == data
    assert len(data) == message["bytes"] <= LARGEST
    for name, value in message["fields"].items():
        got = getattr(envelope.message, name)
        assert (got.hex() if isinstance(got, bytes) else list(got) if isinstance(got, tuple) else got) == value


@pytest.mark.parametrize("bad", GOLDEN["refused_from_a_client"], ids=lambda m: m["name"])
def test_what_must_be_refused_is(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode(bytes.fromhex(bad["hex"]), SENT[bad["version"]], bad["version"])
    assert refused.value.code == bad["error"]


def test_every_number_lies_at_a_multiple_of_its_size() -> None:
    for kind in ALL[2].values():
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
    for version, data in WHOLE:
        for bit in range(len(data) * 8):
            spoiled = bytearray(data)
            spoiled[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ProtocolError):
                decode(bytes(spoiled), ALL[version], version)
            assert not is_nearly(spoiled, version)


def check(data: bytes, version: int) -> None:
    """What every input must keep to: refused with a code, or exactly what this side would write."""
    try:
        envelope = decode(data, ALL[version], version)
    except ProtocolError:
        assert plain_submit(data, version) is plain_result(data, version) is None
        assert not is_nearly(data, version)
        return
    message, tag = envelope.message, envelope.tag
    assert message.encode(tag, version) == data
    assert plain_submit(data, version) == (envelope if isinstance(message, Submit) else None)
    assert plain_result(data, version) == (envelope if isinstance(message, Result) else None)
    assert is_nearly(data, version) is isinstance(message, Nearly)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A message with some bytes changed, its CRC made to fit or not."""
    data = bytearray(draw(st.sampled_from(WHOLE))[1])
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data[at] = draw(st.integers(0, 255))
    body = bytes(data[: -CRC.size])
    return body + (CRC.pack(zlib.crc32(body)) if draw(st.booleans()) else bytes(data[-CRC.size :]))


@given(st.one_of(spoiled(), st.binary(max_size=LARGEST + 8)), st.sampled_from((1, 2)))
@settings(max_examples=600, deadline=None)
def test_anything_may_come(data: bytes, version: int) -> None:
    check(data, version)


U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


@given(
    st.sampled_from((1, 2)),
    st.tuples(U32, U64, st.integers(0, 2**63 - 1), U64, U64, *[U32] * 4),
    st.sampled_from(PixelFormat),
    st.integers(0, 1),
    U32,
)
def test_a_submit_in_fewer_steps_is_the_same(
    version: int, numbers: tuple[int, ...], pixel_format: PixelFormat, flags: int, capture_us: int
) -> None:
    tag, *values = numbers
    data = submit_bytes(version, tag, *values, pixel_format, flags, capture_us)
    generation, sequence, captured, deadline, slot, width, height, stride = values
    same = Submit(
        generation, sequence, captured, deadline, slot, width, height, stride, pixel_format, flags, capture_us
    )
    assert data == same.encode(tag, version)


@pytest.mark.parametrize(("at", "value"), [(1, 2**63), (0, 2**64), (4, -1), (10, 2**32)])
def test_a_submit_in_fewer_steps_refuses_the_same_numbers(at: int, value: int) -> None:
    values = [2, 0, 0, 0, 0, 1, 1, 3, 1, 0, 0]
    values[at] = value
    with pytest.raises(ValueError, match=r"Submit|sequence"):
        submit_bytes(1, 1, *values)


@pytest.mark.parametrize("version", [1, 2])
def test_a_result_in_fewer_steps_is_the_same(version: int) -> None:
    for name in ("result_refer", "result_late"):
        tag, message = golden.examples()[name]
        assert isinstance(message, Result)
        flat = [getattr(message, field) for field in message.__dataclass_fields__ if field != "TYPE"]
        values = [v for value in flat for v in (value if isinstance(value, tuple) else [value])]
        packed = [v.encode() if isinstance(v, str) else v for v in values]
        assert result_bytes(version, tag, *packed) == message.encode(tag, version)


@pytest.mark.soak
def test_a_million_messages() -> None:
    import random

    rng, accepted = random.Random(20261122), 0
    for number in range(1_000_000):
        version, whole = WHOLE[number % len(WHOLE)]
        data = bytearray(whole)
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.1:
            data = data[: rng.randrange(len(data) + 1)]
        elif rng.random() < 0.7:
            body = bytes(data[: -CRC.size])
            data = bytearray(body + CRC.pack(zlib.crc32(body)))
        try:
            decode(bytes(data), ALL[version], version)
            accepted += 1
        except ProtocolError:
            pass
        check(bytes(data), version)
    assert 0 < accepted < 1_000_000


def test_texts_are_cut_between_characters_and_hold_no_zero() -> None:
    cut = decode(Reloaded(bytes(32), 1, "ä" * 200 + "\0").encode(), ALL[1]).message
    assert isinstance(cut, Reloaded)
    assert cut.text == "ä" * 119


@pytest.mark.parametrize("name", ["", "two words", "ä", "slash/"])
def test_names_that_could_say_too_much_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Hello(1, 1, name)


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
        decode(bytes(body) + CRC.pack(zlib.crc32(body)), ALL[1])


@given(st.integers(1, MAX_SLOTS), st.integers(1, MAX_SLOT_BYTES))
def test_slots_do_not_overlap(slots: int, slot_bytes: int) -> None:
    layout = SlotLayout(slots, slot_bytes)
    assert layout.pixels_offset % 4096 == layout.vessels_offset % 4096 == layout.slot_stride % 4096 == 0
    assert layout.pixels_offset + slot_bytes <= layout.vessels_offset
    assert layout.vessels_offset + 65536 <= layout.slot_stride
    assert layout.slot_stride * slots == layout.ring_bytes
