"""COBS, CRC and the stream decoder."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.light.framing import (
    MAX_ENCODED,
    FrameDecoder,
    RawFrame,
    cobs_decode,
    cobs_encode,
    crc16,
    decode_frame,
    encode_frame,
)

bytes_ = st.integers(0, 255)
frames = st.builds(RawFrame, bytes_, bytes_, st.binary(max_size=64))
connected = st.builds(
    RawFrame, bytes_, st.integers(0, 0xFFFF), st.binary(max_size=64), connection=st.integers(0, 0xFFFF_FFFF)
)


def crc16_bit_by_bit(data: bytes) -> int:
    """The definition, to hold the library's function against."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def test_the_crc_has_the_check_value_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0x29B1


@given(st.binary(max_size=80))
def test_the_crc_is_what_its_definition_gives(data: bytes) -> None:
    assert crc16(data) == crc16_bit_by_bit(data)


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        ("", "01"),
        ("00", "01 01"),
        ("00 00", "01 01 01"),
        ("11 22 00 33", "03 11 22 02 33"),
        ("11 22 33 44", "05 11 22 33 44"),
        ("11 00 00 00", "02 11 01 01 01"),
        (bytes(range(1, 255)).hex(), "ff" + bytes(range(1, 255)).hex()),
        ("00" + bytes(range(1, 255)).hex(), "01 ff" + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)).hex(), "ff" + bytes(range(1, 255)).hex() + "02 ff"),
        (bytes(range(2, 256)).hex() + "00", "ff" + bytes(range(2, 256)).hex() + "01 01"),
    ],
)
def test_cobs_gives_the_published_examples(plain: str, encoded: str) -> None:
    assert cobs_encode(bytes.fromhex(plain)) == bytes.fromhex(encoded)
    assert cobs_decode(bytes.fromhex(encoded)) == bytes.fromhex(plain)


@given(st.one_of(st.binary(max_size=600), st.lists(st.sampled_from([0, 1]), max_size=600).map(bytes)))
def test_cobs_comes_back_and_holds_no_zero(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert cobs_decode(encoded) == data


@given(connected)
def test_a_frame_of_a_connection_comes_back(frame: RawFrame) -> None:
    wire = encode_frame(frame)
    assert wire.count(0) == 1
    assert len(wire) <= MAX_ENCODED[2] + 1 <= 0xFF  # a board counts them in a byte
    assert decode_frame(wire[:-1], 2) == frame
    assert decode_frame(wire[:-1], 1) is None


@given(frames)
def test_a_frame_comes_back(frame: RawFrame) -> None:
    wire = encode_frame(frame)
    assert wire.endswith(b"\0")
    assert wire.count(0) == 1
    assert len(wire) <= MAX_ENCODED[1] + 1
    assert decode_frame(wire[:-1]) == frame


def test_a_payload_of_65_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="got 65 bytes, expected at most 64"):
        encode_frame(RawFrame(1, 0, bytes(65)))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x01\x02\x00\x00",
        b"\x02\x02\x00\x00",
        b"\x01\x02\x00\x01",
        b"\x01\x02\x00\x00\x00",
        b"\x01\x02\x00\x41" + bytes(65),
    ],
    ids=["good", "other version", "length too large", "length too small", "65 bytes"],
)
def test_header_fields_that_are_wrong_are_refused_though_the_crc_is_right(raw: bytes) -> None:
    encoded = cobs_encode(raw + crc16(raw).to_bytes(2, "little"))
    assert (decode_frame(encoded) is not None) == (raw == b"\x01\x02\x00\x00")


@given(st.lists(st.one_of(frames, st.binary(max_size=100)), max_size=8), st.data())
def test_portions_do_not_matter(parts: list[RawFrame | bytes], data: st.DataObject) -> None:
    stream = b"".join(encode_frame(p) if isinstance(p, RawFrame) else p for p in parts)
    whole, cut = FrameDecoder(), FrameDecoder()
    expected = whole.feed(stream)
    got: list[RawFrame] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += cut.feed(stream[:size])
        stream = stream[size:]
    assert got == expected
    assert cut.rejected == whole.rejected


@given(st.binary(max_size=300), st.lists(frames, min_size=1, max_size=4))
def test_after_garbage_the_next_zero_byte_puts_it_right(garbage: bytes, sent: list[RawFrame]) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(garbage + b"\0") == []
    assert decoder.feed(b"".join(map(encode_frame, sent))) == sent


def test_a_stream_without_zero_byte_takes_no_memory() -> None:
    decoder = FrameDecoder()
    for _ in range(1000):
        assert decoder.feed(b"\x05" * 1000) == []
    assert len(decoder._piece) <= MAX_ENCODED[1]
    assert decoder.feed(b"\0" + encode_frame(RawFrame(2, 9))) == [RawFrame(2, 9)]
    assert decoder.rejected == 1


@pytest.mark.parametrize(
    ("frame", "bits"),
    [(RawFrame(4, 3), 3), (RawFrame(3, 7, b"\xd0\x07\0\0\x64\0"), 2), (RawFrame(0x80, 0, bytes(31)), 1)],
)
def test_no_frame_with_up_to_three_flipped_bits_is_taken(frame: RawFrame, bits: int) -> None:
    """Every combination, closing zero included; FIRE is tried with three."""
    wire = encode_frame(frame)
    for flips in combinations(range(len(wire) * 8), bits):
        damaged = bytearray(wire)
        for bit in flips:
            damaged[bit // 8] ^= 1 << bit % 8
        assert FrameDecoder().feed(bytes(damaged) + b"\0") == []
