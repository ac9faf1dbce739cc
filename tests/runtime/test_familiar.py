"""The test of what is a fundus as the networks know it: read strictly, asked of every frame, and never let pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.frame import Frame
from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle, open_bundle
from runtime.engines.base import Inference
from runtime.engines.fake import FakeEngine
from runtime.errors import BundleError, EngineError
from runtime.familiar import Familiar, open_familiar
from runtime.manifest import FAMILIAR
from runtime.outcome import Outcome
from runtime.quality import UNFAMILIAR
from runtime.screener import Screener
from runtime.trust.guard import Guard
from tests.runtime.conftest import manifest_content

GRAPHS = {"segmentation.fp32.onnx": b"segmentation graph", "classifier.fp32.onnx": b"classifier graph"}
USUAL = np.array([1.0, 2.0, 3.0], np.float32)


def content(**changes: Any) -> dict[str, Any]:
    return {
        "schema": "rop.familiar/1",
        "segmentation_sha256": hashlib.sha256(GRAPHS["segmentation.fp32.onnx"]).hexdigest(),
        "mean": np.log1p(USUAL).tolist(),
        "scale": [0.1, 0.1, 0.1],
        "axes": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        "variances": [1.0, 2.0],
        "rest": 1.0,
        "limit": 5.0,
        "cameras": {"RetCam": {"frames": 40, "kept": 40}},
    } | changes


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Bundle]:
    """A bundle of stand-in graphs with that for its file."""

    def written(found: object) -> Bundle:
        text = found if isinstance(found, bytes) else json.dumps(found).encode()
        files = GRAPHS | {FAMILIAR: text}
        for name, data in files.items():
            path = tmp_path / "bundle" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest_content(files)))
        return open_bundle(tmp_path / "bundle")

    return written


class Encoding(FakeEngine):
    """Gives what it is told to as what its encoder saw."""

    encodes = True

    def __init__(self, encoded: FloatArray | None) -> None:
        super().__init__((0.9, 0.1))
        self.encoded = encoded

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        return replace(super()._infer(image, budget, deadline), encoded=self.encoded)


FAR = USUAL * np.float32(3)
SEEN: dict[str, tuple[FloatArray | None, Outcome]] = {
    "as in the fit": (USUAL, Outcome.NO_REFERRAL_FINDINGS),
    "a little off": (USUAL * np.float32(1.1), Outcome.NO_REFERRAL_FINDINGS),
    "far off": (FAR, Outcome.RETAKE),
    "nothing at all": (np.zeros(3, np.float32), Outcome.RETAKE),
    "huge": (np.full(3, 1e30, np.float32), Outcome.RETAKE),
    "not a number": (np.array([1, np.nan, 3], np.float32), Outcome.NO_RESULT),
    "infinite": (np.array([1, np.inf, 3], np.float32), Outcome.NO_RESULT),
    "missing": (None, Outcome.NO_RESULT),
    "of another network": (np.ones(5, np.float32), Outcome.NO_RESULT),
}


@pytest.mark.parametrize(("encoded", "outcome"), SEEN.values(), ids=SEEN)
def test_only_what_is_known_gets_an_outcome(
    write: Callable[[object], Bundle], frame: Frame, encoded: FloatArray | None, outcome: Outcome
) -> None:
    with Screener(write(content()), engine=Encoding(encoded)) as screener:
        reading = screener.screen(frame)
    assert reading.outcome is outcome
    assert (reading.probabilities is None) == (outcome is not Outcome.NO_REFERRAL_FINDINGS)
    assert (reading.vessels is None) == (outcome is not Outcome.NO_REFERRAL_FINDINGS)
    if outcome is Outcome.RETAKE:
        assert reading.reason == UNFAMILIAR
        assert reading.quality is not None
        assert reading.quality.reasons == (UNFAMILIAR,)
        assert not reading.quality.gradable
        assert reading.to_dict()["quality"]["strangeness"] > 5


@pytest.mark.parametrize(("encoded", "known"), [(USUAL, True), (FAR, False)])
def test_it_can_be_asked_without_a_gate(write: Callable[[object], Bundle], encoded: FloatArray, known: bool) -> None:
    """Of a drawn picture that the gate would refuse, as the safeguards of a new bundle ask."""
    image = np.zeros((1, 256, 256, 3), np.uint8)
    with Screener(write(content()), engine=Encoding(encoded)) as screener:
        assert screener.knows(image) is known


def test_a_bundle_without_it_knows_nothing_either_way(bundle: Bundle) -> None:
    with Screener(bundle, engine=Encoding(FAR)) as screener:
        assert screener.knows(np.zeros((1, 256, 256, 3), np.uint8)) is None


def test_a_picture_at_the_limit_is_known_and_one_that_cannot_be_told_is_no_stranger(
    write: Callable[[object], Bundle],
) -> None:
    distance = familiar_of(write(content())).distance(FAR)
    image = np.zeros((1, 256, 256, 3), np.uint8)
    for limit, known in ((distance, True), (float(np.nextafter(distance, 0)), False)):
        with Screener(write(content(limit=limit)), engine=Encoding(FAR)) as screener:
            assert screener.knows(image) is known
    engine = Encoding(None)
    engine.encodes = False
    with Screener(write(content()), engine=engine, trust="off") as screener:
        assert screener.knows(image) is True


def familiar_of(bundle: Bundle) -> Familiar:
    found = open_familiar(bundle)
    assert found is not None
    return found


def test_the_distance_is_in_the_reading(write: Callable[[object], Bundle], frame: Frame) -> None:
    with Screener(write(content()), engine=Encoding(USUAL)) as screener:
        assert screener.screen(frame).to_dict()["quality"]["strangeness"] == pytest.approx(0, abs=1e-4)


def test_a_bundle_without_it_asks_nothing(bundle: Bundle, frame: Frame) -> None:
    assert open_familiar(bundle) is None
    with Screener(bundle, engine=Encoding(FAR)) as screener:
        reading = screener.screen(frame)
    assert reading.outcome is Outcome.NO_REFERRAL_FINDINGS
    assert "strangeness" not in reading.to_dict()["quality"]


def test_an_engine_that_hides_its_encoder_is_refused_in_one_line(write: Callable[[object], Bundle]) -> None:
    engine = FakeEngine()
    engine.encodes = False
    bundle = write(content())
    with pytest.raises(EngineError, match=r"^fake: gives no encoder features[^\n]*$"):
        Screener(bundle, engine=engine, trust=Guard(bundle))
    assert engine.closed


@pytest.mark.parametrize("knows", [True, False], ids=["without the guard", "without the test"])
def test_an_engine_that_hides_its_encoder_reads_where_nothing_asks_for_it(
    write: Callable[[object], Bundle], bundle: Bundle, frame: Frame, knows: bool
) -> None:
    engine = Encoding(None)
    engine.encodes = False
    asked = write(content()) if knows else bundle
    with Screener(asked, engine=engine, trust="off" if knows else Guard(bundle)) as screener:
        assert screener.screen(frame).outcome is Outcome.NO_REFERRAL_FINDINGS


UNUSABLE = {
    "not JSON": b"{",
    "of another graph": content(segmentation_sha256="0" * 64),
    "another schema": content(schema="rop.familiar/2"),
    "axes too short": content(axes=[[1.0], [1.0]]),
    "more variances than axes": content(variances=[1.0, 1.0, 1.0]),
    "no variance": content(variances=[0.0, 1.0]),
    "no limit": content(limit=None),
    "a limit that lets all pass": content(limit=float("inf")),
    "a limit that is no number": content(limit=float("nan")),
    "a limit below zero": content(limit=-1.0),
    "a text for a limit": content(limit="8"),
    "a field of somebody else's": content(further=1),
    "nothing": {},
}


@pytest.mark.parametrize("found", UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_cannot_be_used_is_refused_before_any_frame(
    write: Callable[[object], Bundle], found: object
) -> None:
    with pytest.raises(BundleError, match=r"familiar"):
        Screener(write(found), engine=Encoding(USUAL))


def test_an_altered_file_is_refused(write: Callable[[object], Bundle]) -> None:
    bundle = write(content())
    path = bundle.path / FAMILIAR
    path.write_bytes(path.read_bytes().replace(b"5.0", b"9.0"))
    with pytest.raises(BundleError, match="was altered"):
        open_bundle(bundle.path)


FITTED = Familiar(
    np.log1p(USUAL), np.full(3, 0.1, np.float32), np.eye(2, 3, dtype=np.float32), np.ones(2, np.float32), 1.0, 5.0
)


@given(st.lists(st.floats(width=32), min_size=3, max_size=3))
def test_no_numbers_give_a_distance_that_is_small_by_accident(values: list[float]) -> None:
    """Whatever an engine gives: the distance is small only near the mean."""
    encoded = np.array(values, np.float32)
    with np.errstate(all="ignore"):
        distance = FITTED.distance(encoded)
    if distance <= FITTED.limit:
        assert np.abs(np.log1p(np.maximum(encoded, 0)) - FITTED.mean).max() < 0.1 * np.sqrt(2 * 5) + 1e-3
