"""A frozen camera, also one whose few buffers go round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.frame import Frame
from runtime import Bundle, Outcome, Screener
from runtime.engines.fake import FakeEngine
from runtime.repeats import KEPT, LastPictures
from tests.pictures import retina


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=200))
def test_a_picture_is_repeated_where_one_of_the_last_was_equal_in_bytes_or_in_input(
    seen: list[tuple[int, int]],
) -> None:
    last, frames, inputs = LastPictures(), list[int](), list[int]()
    for frame, shown in seen:
        known = frame in frames[-KEPT:] or bool(shown and shown in inputs[-KEPT:])
        assert last.repeated(f"f{frame}", f"i{shown}" if shown else "") is known
        frames = [one for one in frames if one != frame] + [frame]
        inputs = [one for one in inputs if one != shown] + [shown] * bool(shown)


def test_what_is_taken_back_was_never_seen() -> None:
    last = LastPictures()
    assert not any(last.repeated(f"{number}") for number in range(KEPT))
    assert not last.repeated("torn", "of it")
    last.take_back()
    assert last.repeated("0")
    assert not last.repeated("torn", "of it")


@pytest.mark.parametrize("buffers", [1, 2, 3, 5, KEPT])
def test_buffers_that_go_round_give_no_second_finding(bundle: Bundle, buffers: int) -> None:
    pictures = [retina(number) for number in range(buffers)]
    with Screener(bundle, engine=FakeEngine((0.99, 0.01))) as screener:
        readings = [screener.screen(Frame(pictures[n % buffers], n, "live")) for n in range(2 * buffers + 1)]
    assert {reading.outcome for reading in readings[:buffers]} == {Outcome.NO_REFERRAL_FINDINGS}
    assert {(reading.outcome, reading.reason) for reading in readings[buffers:]} == {(Outcome.RETAKE, "repeated frame")}
    assert all(reading.probabilities is None and reading.vessels is None for reading in readings[buffers:])


def test_a_black_frame_between_hides_nothing(bundle: Bundle) -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    with Screener(bundle, engine=FakeEngine((0.99, 0.01))) as screener:
        reasons = [screener.screen(Frame(shown, 0, "live")).reason for shown in (retina(), black, retina())]
    assert "too dark" in reasons[1]
    assert reasons[2] == "repeated frame"
