"""Shares and occlusion: sums that hold, and an engine that cannot tell says so in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.frame import Frame
from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle
from runtime.engines.base import Account, Inference
from runtime.engines.fake import FakeEngine
from runtime.errors import EngineError
from runtime.explain import PARTS, explain, log_odds
from runtime.explanation import Explanation
from runtime.outcome import Outcome
from runtime.preprocess import network_input
from runtime.reading import Reading
from runtime.screener import Screener
from tests.pictures import retina

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=2).map(lambda row: np.array(row, np.float32))
GATES = tuple(np.full((side, side), 0.5, np.float32) for side in (64, 32, 16, 8))


class Telling(FakeEngine):
    """Tells what it is given; refers by the brightness of the picture's upper left part."""

    explains = True

    def __init__(self, account: Account | None = None, probabilities: tuple[float, ...] = (0.4, 0.6)) -> None:
        super().__init__(probabilities)
        self.account = account or Account(
            GATES, *(np.array(pair, np.float32) for pair in ((0, 3), (0, 1), (0, 1), (0, 0)))
        )
        self.failure: Exception | None = None

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        found = super()._infer(image, budget, deadline)
        bright = np.array([0.0, image[0, 32:64, 32:64].mean() / 10], np.float32)
        return replace(found, logits=bright)

    def explain(self) -> Account:
        if self.failure is not None:
            raise self.failure
        return self.account


@given(both=LOGITS, raw=LOGITS, guided=LOGITS, neither=LOGITS)
def test_base_and_shares_add_up_to_the_log_odds(
    both: FloatArray, raw: FloatArray, guided: FloatArray, neither: FloatArray
) -> None:
    found = explain(Telling(Account(GATES, both, raw, guided, neither)), np.zeros((1, 256, 256, 3), np.uint8), [1])
    assert found.base + found.raw_share + found.seg_share == pytest.approx(found.log_odds, abs=1e-3)
    assert found.log_odds == pytest.approx(float(both[1]) - float(both[0]), abs=1e-3)


@pytest.mark.parametrize(
    ("logits", "refer", "expected"),
    [([0, 0], [1], 0.0), ([1, 3], [1], 2.0), ([0, 0, 0], [1, 2], np.log(2)), ([0, 0, 0], [2], -np.log(2))],
)
def test_log_odds_of_any_number_of_classes(logits: list[float], refer: list[int], expected: float) -> None:
    assert log_odds(np.array(logits, np.float32), refer) == pytest.approx(expected)


def test_what_is_not_finite_is_told_as_nothing() -> None:
    with pytest.raises(EngineError, match="not finite"):
        log_odds(np.array([0, np.nan], np.float32), [1])


def test_occlusion_finds_the_part_that_counts() -> None:
    image = network_input(retina())
    image[0, 32:64, 32:64] = 255
    engine = Telling()
    whole = float(engine.infer(image).logits[1])
    engine.account = replace(engine.account, both=np.array([0, whole], np.float32))
    occlusion = explain(engine, image, [1], occlusion=True).occlusion
    assert occlusion is not None
    assert occlusion.shape == (PARTS, PARTS)
    assert np.nanargmax(occlusion) == PARTS + 1, "row 1, column 1"
    assert np.isnan(occlusion[0, 0])  # outside of the field nothing is covered


def test_a_reading_carries_it_where_it_was_asked_for(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=Telling(), trust="off", gates=True) as screener:
        reading = screener.screen(frame)
    assert reading.outcome is Outcome.REFER
    assert reading.explanation is not None
    told = json.loads(reading.to_json())["explanation"]
    assert told["log_odds"] == pytest.approx(told["base"] + told["raw_share"] + told["seg_share"])
    assert told["gates_open"] == [0.5] * 4


def test_nothing_is_asked_otherwise(bundle: Bundle, frame: Frame) -> None:
    engine = Telling()
    engine.failure = AssertionError("was asked")
    with Screener(bundle, engine=engine, trust="off") as screener:
        reading = screener.screen(frame)
    assert reading.explanation is None
    assert "explanation" not in reading.to_dict()


@pytest.mark.parametrize("failure", [EngineError("no"), RuntimeError("worse")])
def test_an_outcome_stands_without_its_explanation(bundle: Bundle, frame: Frame, failure: Exception) -> None:
    engine = Telling()
    engine.failure = failure
    with Screener(bundle, engine=engine, trust="off", gates=True) as screener:
        reading = screener.screen(frame)
    assert reading.outcome is Outcome.REFER
    assert reading.explanation is None


def _asked_later(screener: Screener, frame: Frame, reading: Reading) -> Explanation:
    assert reading.probabilities is not None
    return screener.explain(frame, bundle_sha256=reading.bundle.sha256, probabilities=reading.probabilities)


def test_it_can_be_asked_for_later_and_counts_nowhere(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=Telling(), trust="off") as before:
        reading = before.screen(frame)
    with Screener(bundle, engine=Telling(), trust="off", reject_repeats=True) as screener:
        found = _asked_later(screener, frame, reading)
        assert screener.screen(frame).outcome is Outcome.REFER  # no repeated one: it has read none so far
    assert found.base + found.raw_share + found.seg_share == pytest.approx(found.log_odds)
    assert len(found.gates) == 4


def test_of_another_bundle_or_another_answer_nothing_is_told(bundle: Bundle, frame: Frame) -> None:
    engine = Telling()
    with Screener(bundle, engine=engine, trust="off") as screener:
        reading = screener.screen(frame)
        with pytest.raises(EngineError, match="only the bundle that read it can tell"):
            _asked_later(screener, frame, replace(reading, bundle=replace(reading.bundle, sha256="0" * 64)))
        with pytest.raises(EngineError, match="other probabilities"):
            _asked_later(screener, frame, replace(reading, probabilities={"a": 0.4, "b": 0.6}))
        engine.probabilities = (0.2, 0.8)
        with pytest.raises(EngineError, match="other probabilities"):
            _asked_later(screener, frame, reading)


def test_asked_later_an_engine_that_cannot_tell_says_so(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=FakeEngine((0.4, 0.6)), trust="off") as screener:
        reading = screener.screen(frame)
        with pytest.raises(EngineError, match=r"^fake: hands out no gates"):
            _asked_later(screener, frame, reading)


@pytest.mark.parametrize("wanted", [{"gates": True}, {"occlusion": True}])
def test_an_engine_that_cannot_tell_is_refused_in_one_line(bundle: Bundle, wanted: dict[str, Any]) -> None:
    engine = FakeEngine()
    with pytest.raises(EngineError, match=r"^fake: hands out no gates; .*--engine openvino[^\n]*$"):
        Screener(bundle, engine=engine, trust="off", **wanted)
    assert engine.closed


def test_a_frame_without_an_outcome_has_none(bundle: Bundle) -> None:
    with Screener(bundle, engine=Telling(), trust="off", gates=True) as screener:
        reading = screener.screen(Frame(np.zeros((256, 256, 3), np.uint8), 0, "dark"))
    assert reading.outcome is Outcome.RETAKE
    assert reading.explanation is None
