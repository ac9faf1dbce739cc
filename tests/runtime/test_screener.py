from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import Disconnected, FrameUnreadable, RepeatedFrame
from device.frame import Frame
from runtime import Budget, Bundle, Outcome, Screener
from runtime import screener as screener_module
from runtime.arrays import UInt8Array
from runtime.budget import Deadline
from runtime.engines.fake import FakeEngine, Fault
from runtime.quality import COLOURS, NOT_ONE, TORN, QualityLimits, grade, vessel_fraction
from runtime.reading import Quality
from runtime.repeats import LastPictures
from runtime.screener import FORKED
from tests.pictures import retina

FINDINGS = {Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS}


def test_a_good_frame_gives_a_whole_reading(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=(engine := FakeEngine((0.9, 0.1)))) as screener:
        assert (screener.facts, screener.explains) == (engine.facts, engine.explains)
        reading = screener.screen(frame)
    assert reading.outcome is Outcome.NO_REFERRAL_FINDINGS
    assert reading.probabilities == pytest.approx({"no_ridge": 0.9, "ridge": 0.1})
    assert reading.vessels is not None
    assert reading.vessels.shape == (256, 256)
    assert 0 < (reading.vessel_fraction or 0) < 1
    line = json.loads(reading.to_json())
    assert line["schema"] == "rop.reading/1"
    assert line["frame"]["sha256"] == frame.sha256
    assert line["frame"]["source"] == "retina.png"
    assert line["quality"]["gradable"] is True
    assert set(line["timings_ms"]) == {"capture", "quality", "preprocess", "segment", "classify", "decide", "total"}
    assert all(value is not None for value in line["timings_ms"].values())
    assert "not for clinical use" in line["bundle"]["notice"]


def test_each_camera_has_last_pictures_of_its_own(bundle: Bundle, frame: Frame) -> None:
    one, other = LastPictures(), LastPictures()
    with Screener(bundle, engine=FakeEngine((0.9, 0.1))) as screener:
        found = [screener.screen(frame, last_pictures=cameras).outcome for cameras in (one, other, one)]
    assert found == [Outcome.NO_REFERRAL_FINDINGS, Outcome.NO_REFERRAL_FINDINGS, Outcome.RETAKE]


def test_a_gpus_own_times_are_handed_on(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, times = FakeEngine(), object()
    monkeypatch.setattr(engine, "gpu_ms", lambda: times)
    with Screener(bundle, engine=engine) as screener:
        assert screener.gpu_ms() is times


def test_a_stage_is_told_in_milliseconds(bundle: Bundle, frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    took_ms = 0.0

    def slow(image: UInt8Array, limits: QualityLimits) -> Quality:
        nonlocal took_ms
        start = time.perf_counter()
        time.sleep(0.02)
        found = grade(image, limits)
        took_ms = (time.perf_counter() - start) * 1e3
        return found

    monkeypatch.setattr(screener_module, "grade", slow)
    with Screener(bundle, engine=FakeEngine((0.9, 0.1))) as screener:
        timings = screener.screen(frame).timings_ms
    assert timings.quality is not None
    assert timings.total is not None
    assert took_ms <= timings.quality < timings.total


def test_at_the_threshold_it_refers(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=FakeEngine((0.5, 0.5))) as screener:
        assert screener.screen(frame).outcome is Outcome.REFER


@pytest.mark.parametrize(
    ("width", "height", "allowed"), [(480, 200, True), (500, 200, True), (520, 200, False), (200, 520, False)]
)
def test_a_strip_is_not_one_retina(bundle: Bundle, width: int, height: int, allowed: bool) -> None:
    engine = FakeEngine((0.9, 0.1))
    with Screener(bundle, engine=engine) as screener:
        reading = screener.screen(Frame(retina(width=width, height=height), 0, "strip"))
    told = f"{NOT_ONE}: no field of view is {width} x {height}" in reading.reason
    assert told is not allowed
    if told:
        assert reading.outcome is Outcome.RETAKE
        assert reading.probabilities is None


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_of_the_engine_is_a_finding(bundle: Bundle, frame: Frame, fault: Fault) -> None:
    engine = FakeEngine((0.99, 0.01))
    engine.fault = fault
    with Screener(bundle, engine=engine) as screener:
        reading = screener.screen(frame)
        assert reading.outcome is Outcome.NO_RESULT
        assert reading.reason
        assert reading.probabilities is None
        engine.fault = None
        assert screener.screen(Frame(retina(1), 1, "next")).outcome is Outcome.NO_REFERRAL_FINDINGS


@given(
    faults=st.lists(st.sampled_from([None, *Fault]), min_size=1, max_size=30),
    late=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_over_any_run_of_faults_only_sound_frames_give_findings(
    bundle: Bundle, faults: list[Fault | None], late: bool
) -> None:
    engine = FakeEngine((0.99, 0.01))
    budget = Budget(segment=1e-6) if late else Budget()
    pixels = retina()
    with Screener(bundle, engine=engine, budget=budget, reject_repeats=False) as screener:
        for sequence, fault in enumerate(faults):
            engine.fault = fault
            reading = screener.screen(Frame(pixels, sequence, "run"))
            assert (reading.outcome in FINDINGS) == (fault is None and not late)


@pytest.mark.parametrize(
    ("budget", "engine_delay_ms", "capture_ms", "stage"),
    [
        (Budget(total=40), (80, 0), 0, "segment"),
        (Budget(total=40), (0, 80), 0, "classify"),
        (Budget(segment=10), (30, 0), 0, "segment"),
        (Budget(classify=10), (0, 30), 0, "classify"),
        (Budget(quality=1e-6), (0, 0), 0, "quality"),
        (Budget(preprocess=1e-6), (0, 0), 0, "preprocess"),
        (Budget(decide=1e-6), (0, 0), 0, "decide"),
        (Budget(capture=5), (0, 0), 6, "capture"),
        (Budget(capture=5), (0, 0), float("nan"), "capture"),
    ],
)
def test_a_late_result_is_no_result_whatever_it_was(
    bundle: Bundle, budget: Budget, engine_delay_ms: tuple[float, float], capture_ms: float, stage: str
) -> None:
    engine = FakeEngine((0.99, 0.01))
    engine.segment_delay_ms, engine.classify_delay_ms = engine_delay_ms
    with Screener(bundle, engine=engine, budget=budget) as screener:
        reading = screener.screen(Frame(retina(), 0, "late", capture_ms=capture_ms))
    assert reading.outcome is Outcome.NO_RESULT
    assert reading.late
    assert reading.reason.startswith("late")
    assert reading.probabilities is None
    if budget.total is None:
        assert stage in reading.reason


def test_the_same_picture_twice_in_a_row_is_a_frozen_camera(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine((0.99, 0.01))) as screener:
        first = screener.screen(Frame(retina(0), 0, "sim"))
        again = screener.screen(Frame(retina(0), 1, "sim"))
        other = screener.screen(Frame(retina(1), 2, "sim"))
    assert first.outcome is Outcome.NO_REFERRAL_FINDINGS
    assert again.outcome is Outcome.RETAKE
    assert again.reason == "repeated frame"
    assert again.quality is not None
    assert not again.quality.gradable
    assert other.outcome is Outcome.NO_REFERRAL_FINDINGS


def test_stored_pictures_may_be_read_twice(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine((0.99, 0.01)), reject_repeats=False) as screener:
        outcomes = [screener.screen(Frame(retina(0), i, "file")).outcome for i in range(2)]
    assert outcomes == [Outcome.NO_REFERRAL_FINDINGS] * 2


def test_what_the_networks_saw_in_a_frame_that_does_not_count_is_not_shown(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine((0.99, 0.01))) as screener:
        assert screener.screen(Frame(retina(0), 0, "sim")).vessels is not None
        assert screener.screen(Frame(retina(0), 1, "sim")).vessels is None
    with Screener(bundle, engine=FakeEngine((0.99, 0.01)), budget=Budget(decide=1e-6)) as screener:
        assert screener.screen(Frame(retina(0), 0, "late")).vessels is None


@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, -0.1, float("nan"), float("inf")])
def test_a_threshold_that_nothing_or_everything_passes_is_refused(bundle: Bundle, threshold: float) -> None:
    engine = FakeEngine()
    with pytest.raises(ValueError, match=r"threshold: got .* expected between 0 and 1"):
        Screener(bundle, engine=engine, threshold=threshold)


def test_a_frame_that_fails_the_gate_is_a_retake_and_never_reaches_the_networks(bundle: Bundle) -> None:
    engine = FakeEngine((0.99, 0.01))
    with Screener(bundle, engine=engine) as screener:
        reading = screener.screen(Frame(np.zeros((240, 320, 3), np.uint8), 0, "black"))
    assert reading.outcome is Outcome.RETAKE
    assert "too dark" in reading.reason
    assert engine.frames == 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (63, 640, 3), (480, 1, 3)])
def test_a_frame_too_small_to_judge_is_no_result(bundle: Bundle, shape: tuple[int, int, int]) -> None:
    with Screener(bundle, engine=FakeEngine()) as screener:
        reading = screener.screen(Frame(np.full(shape, 120, np.uint8), 0, "tiny"))
    assert reading.outcome is Outcome.NO_RESULT
    assert "at least 64 x 64 needed" in reading.reason


def test_a_frame_that_the_camera_repeats_is_a_retake(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine()) as screener:
        reading = screener.unreadable(RepeatedFrame("camera:0#7: again", source="camera:0#7", sequence=7))
    assert (reading.outcome, reading.reason, reading.frame.sequence) == (Outcome.RETAKE, "repeated frame", 7)
    assert reading.quality is not None
    assert not reading.quality.gradable


def test_an_unreadable_frame_has_its_own_line(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine()) as screener:
        reading = screener.unreadable(FrameUnreadable("a.png: truncated", source="a.png", sequence=4))
    assert reading.outcome is Outcome.NO_RESULT
    assert reading.reason == "a.png: truncated"
    assert json.loads(reading.to_json())["frame"] | {"captured_at": ""} == {
        "source": "a.png",
        "sequence": 4,
        "captured_at": "",
        "sha256": None,
        "width": None,
        "height": None,
    }


def test_closing_twice_is_fine_and_closes_the_engine(bundle: Bundle) -> None:
    engine = FakeEngine()
    screener = Screener(bundle, engine=engine)
    screener.close()
    screener.close()
    assert engine.closed


def test_a_late_frame_does_not_wait_for_the_slow_engine_longer_than_it_must(bundle: Bundle, frame: Frame) -> None:
    engine = FakeEngine()
    engine.segment_delay_ms = 30
    engine.classify_delay_ms = 60_000
    with Screener(bundle, engine=engine, budget=Budget(total=20)) as screener:
        start = time.perf_counter()
        screener.screen(frame)
    assert time.perf_counter() - start < 50


def test_a_frame_of_its_own_deadline_is_broken_off(bundle: Bundle, frame: Frame) -> None:
    engine = FakeEngine()
    with Screener(bundle, engine=engine, reject_repeats=False) as screener:
        assert screener.screen(frame, Deadline.after_ms(1e6)).outcome in FINDINGS
        engine.segment_delay_ms, engine.classify_delay_ms = 30, 60_000
        start = time.perf_counter()
        late = screener.screen(frame, Deadline.after_ms(20))
        passed = screener.screen(frame, Deadline(time.monotonic() - 1))
        assert time.perf_counter() - start < 50
        engine.segment_delay_ms = engine.classify_delay_ms = 0
        assert screener.screen(frame).outcome in FINDINGS  # it was that frame's alone
    for reading in (late, passed):
        assert (reading.outcome, reading.late, reading.probabilities) == (Outcome.NO_RESULT, True, None)
        assert reading.reason.startswith("late")


def test_a_deadline_that_passes_after_the_last_stage(
    bundle: Bundle, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = Deadline.after_ms(1e6)
    monkeypatch.setattr(Deadline, "check", lambda *_: None)
    with Screener(bundle, engine=FakeEngine()) as screener:
        monkeypatch.setattr(Deadline, "remaining_ms", lambda _: 0.0)
        reading = screener.screen(frame, deadline)
    assert (reading.outcome, reading.reason) == (Outcome.NO_RESULT, "late: the deadline passed")
    assert reading.late


def test_vessels_outside_the_field_of_view_count_for_nothing() -> None:
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[64:192, 64:192] = 120
    everywhere = np.ones((256, 256), np.bool_)
    assert vessel_fraction(everywhere, pixels) == 1.0


def test_between_frames_keeps_the_engine_warm(bundle: Bundle, frame: Frame) -> None:
    engine = FakeEngine()
    warmed: list[int] = []
    engine.keep_warm = lambda: warmed.append(engine.frames)  # type: ignore[method-assign]
    with Screener(bundle, engine=engine) as screener:
        screener.screen(frame)
        assert warmed == []  # not in a frame's own time
        screener.between_frames()
    assert warmed == [1]


def test_the_callers_limits_and_threshold_are_obeyed(bundle: Bundle, frame: Frame) -> None:
    with Screener(bundle, engine=FakeEngine((0.9, 0.1)), limits=QualityLimits(brightness_min=250.0)) as screener:
        assert screener.screen(frame).reason == "too dark"
    with Screener(bundle, engine=FakeEngine((0.9, 0.1)), threshold=0.05) as screener:
        assert screener.threshold == 0.05
        assert screener.screen(frame).outcome is Outcome.REFER


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_there_is_no_result_and_nothing_hangs(bundle: Bundle) -> None:
    command = [sys.executable, "-m", "tests.runtime.forked_screener", str(bundle.path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    before, copied, after = done.stdout.splitlines()
    assert copied == f"NO_RESULT|{FORKED}"
    assert before == after
    assert before.startswith("NO_REFERRAL_FINDINGS|")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: np.concatenate([p[:, : p.shape[1] // 2], p[:, : p.shape[1] // 2][:, ::-1]], axis=1), TORN),
        (lambda p: np.ascontiguousarray(p[..., [0, 2, 1]]), COLOURS),
    ],
    ids=["mirrored", "green for blue"],
)
def test_what_is_no_whole_picture_is_retaken_whatever_the_networks_say(
    bundle: Bundle, spoil: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    with Screener(bundle, engine=FakeEngine((0.9, 0.1))) as screener:
        reading = screener.screen(Frame(spoil(retina(width=640, height=480)), 0, "spoiled.png"))
    assert (reading.outcome, reading.reason, reading.probabilities) == (Outcome.RETAKE, reason, None)
    assert reading.quality is not None
    assert (reading.quality.gradable, reading.quality.reasons) == (False, (reason,))


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 160, 3), (160, 64, 3)])
def test_the_smallest_frame_is_looked_at(bundle: Bundle, shape: tuple[int, int, int]) -> None:
    with Screener(bundle, engine=FakeEngine()) as screener:
        reading = screener.screen(Frame(np.full(shape, 120, np.uint8), 0, "small"))
    assert reading.outcome is Outcome.RETAKE  # by the gate: it is no eye
    assert reading.quality is not None
    assert reading.quality.measures


def test_what_is_late_after_the_last_stage_is_late(
    bundle: Bundle, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stage noticed; the whole is held against the budget once more, and not against a larger one."""
    monkeypatch.setattr(Deadline, "check", lambda *_: None)
    for budget_ms, late in ((1e-3, True), (1e6, False)):
        with Screener(bundle, engine=FakeEngine((0.4, 0.6)), budget=Budget(total=budget_ms)) as screener:
            reading = screener.screen(frame)
        assert (reading.outcome is Outcome.NO_RESULT, reading.late) == (late, late)
        assert reading.budget_ms == budget_ms
        assert (f"budget {budget_ms:g} ms" in reading.reason) is late


def test_a_late_stage_is_named_also_when_the_deadline_has_passed(bundle: Bundle, frame: Frame) -> None:
    engine = FakeEngine()
    engine.segment_delay_ms = 30
    with Screener(bundle, engine=engine) as screener:
        reading = screener.screen(frame, Deadline.after_ms(10))
    assert reading.late
    assert reading.reason.startswith("late: the budget was used up at ")


@pytest.mark.parametrize("fault", [None, *Fault])
def test_a_picture_is_repeated_whatever_became_of_it_the_first_time(bundle: Bundle, fault: Fault | None) -> None:
    engine = FakeEngine((0.1, 0.9))
    with Screener(bundle, engine=engine) as screener:
        engine.fault = fault
        screener.screen(Frame(retina(), 0, "first"))
        engine.fault = None
        again = screener.screen(Frame(retina(), 1, "again"))
        assert (again.outcome, again.reason, again.probabilities) == (Outcome.RETAKE, "repeated frame", None)
        assert again.quality is not None
        assert again.quality.reasons == ("repeated frame",)


def test_a_repeated_frame_that_never_reached_the_gate_is_not_gradable(bundle: Bundle) -> None:
    tiny = np.full((20, 20, 3), 120, np.uint8)
    with Screener(bundle, engine=FakeEngine()) as screener:
        readings = [screener.screen(Frame(tiny, number, "tiny")) for number in range(2)]
    assert [reading.outcome for reading in readings] == [Outcome.NO_RESULT, Outcome.RETAKE]
    assert readings[1].quality is not None
    assert not readings[1].quality.gradable


def test_nothing_of_the_networks_is_in_a_reading_without_an_outcome(bundle: Bundle) -> None:
    torn = retina(width=640, height=480)
    torn = np.concatenate([torn[:, :320], torn[:, :320][:, ::-1]], axis=1)
    with Screener(bundle, engine=FakeEngine((0.1, 0.9)), gates=False) as screener:
        reading = screener.screen(Frame(torn, 0, "torn"))
        assert screener.screen(Frame(retina(), 1, "whole")).vessel_fraction is not None
    assert reading.outcome is Outcome.RETAKE
    assert (reading.probabilities, reading.vessels, reading.vessel_fraction) == (None, None, None)


@pytest.mark.parametrize("given", [0.6, 0.59])
def test_what_networks_and_threshold_make_of_a_known_picture(bundle: Bundle, given: float) -> None:
    image = np.zeros((1, 256, 256, 3), np.uint8)  # the gate would refuse it
    with Screener(bundle, engine=FakeEngine((1 - given, given)), threshold=0.6) as screener:
        found = screener.outcome_of(image)
    assert found is (Outcome.REFER if given == 0.6 else Outcome.NO_REFERRAL_FINDINGS)


class Untested(FakeEngine):
    """A server's engine that was lost, until it is tested."""

    untested = True
    tests = 0

    @contextmanager
    def testing(self) -> Iterator[None]:
        yield
        self.untested, self.tests = False, self.tests + 1


@pytest.mark.parametrize("ask", ["screen", "between_frames"])
def test_an_engine_that_was_lost_is_tested_before_it_reads_even_without_a_guard(
    bundle: Bundle, frame: Frame, ask: str
) -> None:
    engine = Untested()
    with Screener(bundle, engine=engine, trust="off") as screener:
        screener.between_frames() if ask == "between_frames" else screener.screen(frame)
        assert (engine.untested, engine.tests) == (False, 1)
        screener.screen(frame)
        assert engine.tests == 1


def test_of_what_could_not_be_had_the_reading_names_source_and_number(bundle: Bundle) -> None:
    with Screener(bundle, engine=FakeEngine(), budget=Budget(total=77)) as screener:
        lost = screener.unreadable(Disconnected("camera:0: gone"), source="camera:0", sequence=9)
        named = screener.unreadable(FrameUnreadable("a.png: cut", source="a.png", sequence=4), source="b", sequence=1)
    assert (lost.frame.source, lost.frame.sequence, lost.outcome) == ("camera:0", 9, Outcome.NO_RESULT)
    assert (named.frame.source, named.frame.sequence, lost.budget_ms, lost.quality) == ("a.png", 4, 77, None)
    assert lost.trust is not None
    assert lost.bundle.sha256 == bundle.sha256
