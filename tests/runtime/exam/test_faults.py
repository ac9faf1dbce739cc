"""10,000 exams, each with a fault somewhere: none may end as "no referral findings"."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.errors import Disconnected, FrameTimeout, FrameUnreadable
from device.frame import Frame
from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine, Fault
from runtime.exam.machine import Captured, Closed, Event, Exam, ReadingFacts, ReadingMade, apply
from runtime.exam.result import exam_result
from runtime.exam.rules import ExamRules, rules_for
from runtime.outcome import Outcome
from runtime.reading import Reading
from runtime.screener import Screener
from tests.pictures import retina
from tests.runtime.exam.making import NRF, PLACES

RUNS = 10_000
BELOW = (0.9, 0.1)
COUNT = Path("fuzz") / "exam-faults.txt"


class Stages:
    """Readings of the real Screener, one for each way in which a stage can fail."""

    def __init__(self, bundle: Bundle) -> None:
        self.good = [_read(bundle, Frame(retina(seed), seed, "camera")) for seed in range(len(PLACES))]
        assert {reading.outcome for reading in self.good} == {NRF}
        shot = Frame(retina(99), 99, "camera")
        self.spoilt = {fault.name: _read(bundle, shot, fault=fault) for fault in Fault}
        pictures = {
            "black": np.zeros_like(retina()),
            "white": np.full_like(retina(), 255),
            "blurred": np.asarray(cv2.GaussianBlur(retina(), (0, 0), 6), np.uint8),
            "noise": np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8),
            "tiny": retina(width=40, height=40),
        }
        for name, pixels in pictures.items():
            self.spoilt[name] = _read(bundle, Frame(pixels, 5, "camera"))
        slow = dataclasses.replace(shot, capture_ms=900.0)
        self.spoilt["late capture"] = _read(bundle, slow, budget=Budget(capture=50))
        for stage in ("quality", "preprocess", "segment", "classify", "decide", "total"):
            self.spoilt[f"late {stage}"] = _read(bundle, shot, budget=Budget(**{stage: 1e-6}))
        with Screener(bundle, engine=FakeEngine(BELOW)) as screener:
            screener.screen(shot)
            self.spoilt["repeated"] = screener.screen(shot)
            for error in (
                FrameUnreadable("torn", source="camera", sequence=1),
                FrameTimeout("no frame in 2 s"),
                Disconnected("unplugged"),
            ):
                self.spoilt[type(error).__name__] = screener.unreadable(error)


def _read(bundle: Bundle, frame: Frame, *, fault: Fault | None = None, budget: Budget | None = None) -> Reading:
    engine = FakeEngine(BELOW)
    engine.fault = fault
    with Screener(bundle, engine=engine, budget=budget or Budget()) as screener:
        return screener.screen(frame)


@pytest.fixture
def stages(bundle: Bundle) -> Stages:
    return Stages(bundle)


def test_no_stage_that_fails_gives_a_finding(stages: Stages) -> None:
    assert len(stages.spoilt) == len(Fault) + 5 + 7 + 4
    for name, reading in stages.spoilt.items():
        assert reading.outcome in (Outcome.RETAKE, Outcome.NO_RESULT), name


def _facts(reading: Reading, rules: ExamRules) -> ReadingFacts:
    return ReadingFacts.of(json.loads(reading.to_json()), rules)


def _altered(chance: random.Random, good: ReadingFacts) -> ReadingFacts:
    """A reading that says "no referral findings" and was damaged between Screener and exam."""
    damage: list[dict[str, Any]] = [
        {"refer_probability": None},
        {"refer_probability": float("nan")},
        {"refer_probability": float("inf")},
        {"refer_probability": -1.0},
        {"refer_probability": 0.99},
        {"late": True},
        {"gradable": False},
        {"frame_sha256": "f" * 64},
        {"frame_sha256": None},
        {"bundle_sha256": "e" * 64},
    ]
    return dataclasses.replace(good, **chance.choice(damage))


def kinds_seen(stages: Stages, bundle: Bundle, seed: int, runs: int) -> dict[str, int]:
    """By kind of fault how many exams had it; fails for the first one that is cleared."""
    rules, chance = rules_for(bundle), random.Random(seed)
    good = [_facts(reading, rules) for reading in stages.good]
    spoilt = [_facts(reading, rules) for reading in stages.spoilt.values()]
    lost = [reading.frame.sha256 is None for reading in stages.spoilt.values()]
    seen: dict[str, int] = {}
    for _ in range(runs):
        order = chance.sample(range(len(PLACES)), len(PLACES))
        at, kind = chance.randrange(len(PLACES)), chance.choice(list(_FAULTS))
        exam = Exam("X", rules)
        waiting: list[Event] = []
        for position, i in enumerate(order):
            eye, view = PLACES[i]
            reading: ReadingFacts | None = good[i]
            captured = good[i].frame_sha256
            if position == at:
                which = chance.randrange(len(spoilt))
                reading, captured = _FAULTS[kind](chance, exam, good[i], spoilt[which], lost[which])
                if captured == "":
                    continue  # the view was never taken
            exam = apply(exam, Captured(eye, view, captured))
            if reading is not None:
                waiting.append(ReadingMade(len(exam.captures), reading))
        chance.shuffle(waiting)  # readings may come in any order, some after closing
        early = chance.randrange(len(waiting) + 1)
        for event in [*waiting[:early], Closed(), *waiting[early:]]:
            exam = apply(exam, event)
        outcome = exam_result(exam).infant.outcome
        assert outcome is not NRF, (seed, kind)
        seen[kind] = seen.get(kind, 0) + 1
    return seen


def test_ten_thousand_exams_with_a_fault_and_none_is_cleared(stages: Stages, bundle: Bundle) -> None:
    assert set(kinds_seen(stages, bundle, 7, RUNS)) == set(_FAULTS)


@pytest.mark.soak
def test_a_hundred_thousand_exams_with_a_fault_and_none_is_cleared(stages: Stages, bundle: Bundle) -> None:
    """Each time with other faults: how many there were is kept in fuzz/exam-faults.txt and adds up over calls."""
    before = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.parent.mkdir(exist_ok=True)
    for done in range(before, before + 100_000, RUNS):
        kinds_seen(stages, bundle, 1000 + done, RUNS)
        COUNT.write_text(f"{done + RUNS}\n")


Faulty = tuple["ReadingFacts | None", "str | None"]
_FAULTS: dict[str, Callable[[random.Random, Exam, ReadingFacts, ReadingFacts, bool], Faulty]] = {
    # The camera or a stage of the Screener fails.
    "stage": lambda chance, exam, good, bad, lost: (bad, None if lost else bad.frame_sha256),
    # The reading is damaged on its way.
    "altered": lambda chance, exam, good, bad, lost: (_altered(chance, good), good.frame_sha256),
    # The reading never comes.
    "pending": lambda chance, exam, good, bad, lost: (None, good.frame_sha256),
    # The operator never takes the view.
    "missing": lambda chance, exam, good, bad, lost: (None, ""),
    # The camera gives the first picture again (or this view's one, when it is the first).
    "frozen": lambda chance, exam, good, bad, lost: (
        (good, exam.captures[0].frame_sha256) if exam.captures else (None, good.frame_sha256)
    ),
}


def test_without_a_fault_the_same_exam_is_cleared(stages: Stages, bundle: Bundle) -> None:
    """What the runs above would say if nothing were injected; else they could not fail."""
    rules = rules_for(bundle)
    exam = Exam("X", rules)
    for (eye, view), reading in zip(PLACES, stages.good, strict=True):
        exam = apply(exam, Captured(eye, view, reading.frame.sha256))
        exam = apply(exam, ReadingMade(len(exam.captures), _facts(reading, rules)))
    assert exam_result(apply(exam, Closed())).infant.outcome is NRF
