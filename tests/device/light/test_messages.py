"""The bytes of every message, held against the golden frames that ship with the protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.light.framing import FrameDecoder, RawFrame
from device.light.messages import (
    ACK_DATA_BYTES,
    REQUESTS,
    Ack,
    AnswerType,
    Arm,
    Event,
    FireReply,
    Flags,
    HeartbeatReply,
    HostMessage,
    Nak,
    OpenReply,
    Request,
    SetLed,
    Status,
    Totals,
    encode_answer,
    encode_request,
    parse_answer,
    unpack,
)
from tests.device.light.make_golden import ANSWERS, ANSWERS_2, GOLDEN, golden


def test_the_golden_frames_have_not_changed() -> None:
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == golden()


def test_a_frame_taken_apart_by_hand() -> None:
    """ARM, seq 3, 2000 us at level 100: version, type, seq, length, payload, CRC; then the closing zero."""
    wire = bytes.fromhex("07 01 03 03 06 d0 07 01 02 64 03 e6 ce 00")
    assert encode_request(Arm(2000, 100), 3) == wire
    (frame,) = FrameDecoder().feed(wire)
    assert frame == RawFrame(0x03, 3, bytes.fromhex("d0 07 00 00 64 00"))


def test_every_request_has_its_class_and_its_reply_has_a_length() -> None:
    assert set(REQUESTS) == set(Request) == set(ACK_DATA_BYTES)


@pytest.mark.parametrize(("seq", "answer"), ANSWERS, ids=lambda value: type(value).__name__)
def test_answers_come_back(seq: int, answer: Ack | Nak | Event) -> None:
    (frame,) = FrameDecoder().feed(encode_answer(answer, seq))
    assert frame.seq == seq
    assert parse_answer(frame) == answer


@pytest.mark.parametrize(("seq", "connection", "answer"), ANSWERS_2, ids=lambda value: type(value).__name__)
def test_answers_of_a_connection_come_back(seq: int, connection: int, answer: Ack | Nak | Event) -> None:
    wire = encode_answer(answer, seq, connection)
    (frame,) = FrameDecoder(2).feed(wire)
    assert (frame.seq, frame.connection, parse_answer(frame)) == (seq, connection, answer)
    assert FrameDecoder(1).feed(wire) == []  # nobody takes a frame of the other version


@given(st.builds(RawFrame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=64)))
def test_any_frame_is_a_message_of_its_exact_length_or_none(frame: RawFrame) -> None:
    message = parse_answer(frame)
    if message is None:
        return
    assert frame.type in set(AnswerType)
    assert FrameDecoder().feed(encode_answer(message, frame.seq)) == [frame]


def test_flags_come_as_flags_and_wrong_lengths_as_nothing() -> None:
    assert unpack(HeartbeatReply, b"\x05") == HeartbeatReply(Flags.LIGHT_ON | Flags.INTERLOCK_CLOSED)
    assert unpack(HeartbeatReply, bytes(HeartbeatReply.LAYOUT.size + 1)) is None
    assert unpack(FireReply, bytes(FireReply.LAYOUT.size + 1)) is None
    assert unpack(OpenReply, bytes(OpenReply.LAYOUT.size + 1)) is None
    assert unpack(Status, bytes(Status.LAYOUT.size + 1)) is None
    assert unpack(Totals, bytes(Totals.LAYOUT.size + 1)) is None


@pytest.mark.parametrize("message", [SetLed(65_536), SetLed(-1), Arm(2**32, 1), Arm(1, 65_536)])
def test_values_that_do_not_fit_are_refused_by_name(message: HostMessage) -> None:
    with pytest.raises(ValueError, match=type(message).__name__):
        encode_request(message, 0)
