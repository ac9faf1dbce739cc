"""`DaemonReader`: the same readings as a Screener gives, and none that an exam must not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.errors import CameraError, RepeatedFrame
from device.frame import Frame
from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.daemon.whole import DaemonReader
from runtime.engines.fake import FakeEngine, Fault
from runtime.outcome import Outcome
from runtime.quality import QualityLimits
from runtime.screener import Screener
from runtime.trust.site import Site
from runtime.trust.word import Word, sites_word
from tests.runtime.daemon.conftest import Running, running


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with SimulatedCamera(SimulatedConfig(seed=3, size=(320, 240), frames_per_eye=4)) as camera:
        pictures = [camera.render(number)[0] for number in range(6)]
    pictures += [np.zeros_like(pictures[0]), np.full_like(pictures[0], 255), pictures[0][:, ::-1].copy()]
    return [Frame(pixels, sequence=number, source=f"f:{number}") for number, pixels in enumerate(pictures)]


def word_of(daemon: Running, **asked: Any) -> Word:
    return sites_word(Site(), daemon.bundle, **asked)


@pytest.fixture
def reader(daemon: Running) -> Iterator[DaemonReader]:
    made = DaemonReader(daemon.path, daemon.bundle)
    yield made
    made.close()


def test_a_whole_exam_of_frames_is_read_as_a_screener_reads_it(
    daemon: Running, reader: DaemonReader, frames: list[Frame]
) -> None:
    outcomes = set()
    with Screener(daemon.bundle, engine=FakeEngine(), trust="off", reject_repeats=True) as own:
        for probabilities, down in (((0.9, 0.1), 1), ((0.2, 0.8), -1)):  # the second time upside down: others
            daemon.engine.probabilities = own._engine.probabilities = probabilities  # type: ignore[attr-defined]
            for frame in (replace(frame, pixels=frame.pixels[::down]) for frame in frames):
                here, there = own.screen(frame), reader.screen(frame)
                outcomes.add(there.outcome)
                assert (there.outcome, there.reason) == (here.outcome, here.reason)
                assert (there.frame, there.bundle, there.late) == (here.frame, here.bundle, here.late)
                assert (there.probabilities, there.vessels is None) == (here.probabilities, here.vessels is None)
                if here.vessels is not None:
                    assert np.array_equal(there.vessels, here.vessels)  # type: ignore[arg-type]
                assert (there.quality is None) == (here.quality is None)
                if here.quality is not None and there.quality is not None:
                    assert (there.quality.gradable, there.quality.reasons) == (
                        here.quality.gradable,
                        here.quality.reasons,
                    )
    assert {Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS, Outcome.RETAKE} <= outcomes


def test_the_same_picture_twice_is_a_frozen_camera_unless_pictures_are_stored(
    daemon: Running, reader: DaemonReader, frames: list[Frame]
) -> None:
    assert reader.screen(frames[0]).outcome is not Outcome.RETAKE
    assert reader.screen(frames[0]).outcome is Outcome.RETAKE
    stored = DaemonReader(daemon.path, daemon.bundle, reject_repeats=False)
    assert [stored.screen(frames[0]).outcome for _ in range(2)] == [Outcome.NO_REFERRAL_FINDINGS] * 2
    stored.close()


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_of_the_engine_is_no_result(
    daemon: Running, reader: DaemonReader, frames: list[Frame], fault: Fault
) -> None:
    daemon.engine.fault = fault
    assert reader.screen(frames[1]).outcome is Outcome.NO_RESULT
    daemon.engine.fault = None


def test_another_threshold_or_bundle_gives_no_result(daemon: Running, frames: list[Frame]) -> None:
    other = DaemonReader(daemon.path, daemon.bundle, word=word_of(daemon, threshold=0.01))
    reading = other.screen(frames[0])
    assert reading.outcome is Outcome.NO_RESULT
    assert "this exam at 0.01" in reading.reason
    facts = replace(daemon.bundle.facts, sha256="ab" * 32)
    wrong = _with_sha256(daemon.bundle, facts.sha256)
    reading = DaemonReader(daemon.path, wrong).screen(frames[0])
    assert reading.outcome is Outcome.NO_RESULT
    assert "same bundle" in reading.reason


@pytest.mark.parametrize(
    ("asked", "outcome", "reason"),
    [
        ({"limits": QualityLimits(brightness_min=250.0)}, Outcome.RETAKE, "too dark"),
        ({"limits": QualityLimits(detail_min=50.0)}, Outcome.RETAKE, "blurred"),
        ({"budget": Budget(segment=1e-6)}, Outcome.NO_RESULT, "late: segment took"),
        ({"budget": Budget(classify=1e-6)}, Outcome.NO_RESULT, "late: classify took"),
        ({"budget": Budget(preprocess=1e-6)}, Outcome.NO_RESULT, "late: preprocess took"),
        ({"budget": Budget(quality=1e-6)}, Outcome.NO_RESULT, "late: quality took"),
        ({"budget": Budget(capture=1e-6)}, Outcome.NO_RESULT, "late: capture took"),
        ({"budget": Budget(total=60_000.0, segment=60_000.0)}, Outcome.NO_REFERRAL_FINDINGS, "ridge"),
    ],
)
def test_a_finding_of_a_daemon_that_was_not_told_of_the_sites_word_is_held_against_it(
    daemon: Running, frames: list[Frame], asked: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    reader = DaemonReader(daemon.path, daemon.bundle, word=word_of(daemon, **asked))
    reading = reader.screen(replace(frames[0], capture_ms=3.0))
    assert reading.outcome is outcome
    assert reason in reading.reason
    assert reading.late is reading.reason.startswith("late")
    assert (reading.probabilities is None) is (outcome is not Outcome.NO_REFERRAL_FINDINGS)
    reader.close()


class _OtherBundle:
    """A bundle of another hash."""

    def __init__(self, bundle: Bundle, sha256: str) -> None:
        self.manifest, self.class_names, self.sha256 = bundle.manifest, bundle.class_names, sha256
        self.facts = replace(bundle.facts, sha256=sha256)


def _with_sha256(bundle: Bundle, sha256: str) -> Bundle:
    return _OtherBundle(bundle, sha256)  # type: ignore[return-value]


def test_a_decision_under_another_threshold_than_was_asked_is_none(
    daemon: Running, reader: DaemonReader, frames: list[Frame]
) -> None:
    assert reader.screen(frames[0]).outcome is Outcome.NO_REFERRAL_FINDINGS
    reader._word = word_of(daemon, threshold=0.05)  # as if the daemon had been loaded anew under a laxer profile
    reading = reader.screen(frames[1])
    assert reading.outcome is Outcome.NO_RESULT
    assert "decided otherwise" in reading.reason


def test_a_daemon_that_goes_away_is_no_result_and_said_and_found_again(
    tmp_path: Path, bundle: Bundle, frames: list[Frame]
) -> None:
    path = tmp_path / "s"
    reader = DaemonReader(path, bundle)
    reading = reader.screen(frames[0])
    assert reading.outcome is Outcome.NO_RESULT
    assert "no daemon" in reading.reason
    reader.between_frames()
    assert "no daemon" in reader.problem
    for number in range(2):
        with running(path, bundle) as it:
            it.release.set()
            it.ready()
            assert reader.screen(frames[number]).outcome is Outcome.NO_REFERRAL_FINDINGS
            reader._looked = 0.0
            reader.between_frames()
            assert "no daemon" not in reader.problem
        assert reader.screen(frames[3]).outcome is Outcome.NO_RESULT
    reader.close()
    reader.close()


def test_a_late_answer_and_a_missing_frame_are_no_results(daemon: Running, frames: list[Frame]) -> None:
    daemon.engine.segment_delay_ms = 400.0
    late = DaemonReader(daemon.path, daemon.bundle, word=word_of(daemon, budget=Budget(total=150.0)))
    reading = late.screen(frames[0])
    assert (reading.outcome, reading.late) == (Outcome.NO_RESULT, True)
    daemon.engine.segment_delay_ms = 0.0
    assert late.unreadable(CameraError("gone")).outcome is Outcome.NO_RESULT
    assert late.unreadable(RepeatedFrame("same", source="s", sequence=1)).outcome is Outcome.RETAKE
    late.close()
