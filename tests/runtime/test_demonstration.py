"""The demonstration bundle that ships: what it says of itself, and that the runtime gets the figures it states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from build_engines.card import model_card
from build_engines.report.choose import defaults, out_of_tolerance
from build_engines.report.store import read_report
from build_engines.train.data import network_mask, ridge_frames, split_frames, vessel_frames
from device import open_camera
from runtime import Outcome, Reading, Screener, open_bundle
from runtime.bundle import DEMONSTRATION
from runtime.cpu_class import CPU_CLASSES
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.manifest import NETWORKS
from runtime.metrics import dice, roc_auc
from runtime.trust.selftest import open_self_test


@pytest.fixture(scope="module")
def screener() -> Iterator[Screener]:
    with Screener(open_bundle(), reject_repeats=False) as screener:
        yield screener


def read(screener: Screener, path: Path) -> Reading:
    with open_camera(str(path)) as camera:
        frame = camera.read()
    assert frame is not None
    return screener.screen(frame)


def stated(name: str) -> dict[str, float]:
    return {m.device: m.value for m in open_bundle().manifest.metrics if m.name == name}


def test_it_is_small_cited_and_not_for_clinical_use() -> None:
    manifest = open_bundle().manifest
    assert sum(entry.size for entry in manifest.files) < 60e6
    assert not manifest.clinical_use
    assert "not for clinical use" in manifest.intended_use
    assert {t.name for t in manifest.training_data} >= {"hvdropdb_vessels", "hvdropdb_ridge", "hrf", "chase_db1"}
    assert set(stated("dice")) == {"Neo", "RetCam", "chase_db1", "fives_amd20", "hrf"}
    assert set(stated("roc_auc")) == {"Neo", "RetCam", "all"}


def test_its_model_card_says_what_its_manifest_and_report_say() -> None:
    bundle = open_bundle()
    card = (DEMONSTRATION / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == model_card(bundle.manifest, read_report(bundle))


def test_every_precision_is_held_and_the_default_for_each_class_of_cpu_is_within_tolerance() -> None:
    bundle, report = open_bundle(), read_report(open_bundle())
    for network in NETWORKS:
        assert bundle.precisions(network) == ("fp32", "fp16", "int8")
    assert bundle.manifest.default_precision == defaults(report)
    assert {found.machine.cpu_class for found in (report, *report.others)} == set(CPU_CLASSES)
    for found in (report, *report.others):
        chosen = found.combination(found.chosen["segmentation"], found.chosen["classifier"])
        assert out_of_tolerance(chosen, found.combination("fp32", "fp32"), found.tolerance) == []
        assert chosen.every.frames > 330


def test_it_reads_the_simulated_camera(screener: Screener) -> None:
    with open_camera("sim:seed=2,frames_per_eye=1") as camera:
        frames = [camera.read() for _ in range(4)]
    readings = [screener.screen(frame) for frame in frames if frame is not None]
    assert len(readings) == 4
    assert all(r.outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS) for r in readings)
    assert all(0.01 < (r.vessel_fraction or 0) < 0.3 for r in readings)


@pytest.mark.parametrize("half", ["", "f32"], ids=["this CPU's half precision", "a CPU without any"])
@pytest.mark.parametrize("word", ["fp32", "fp16", "int8"])
def test_its_self_test_passes_whatever_stands_between_the_quantized_layers(
    word: str, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers were made on one processor, and must tell a sound engine on others too."""
    if half:
        monkeypatch.setattr("runtime.engines.openvino.graph.half_precision", lambda core: half)
    bundle = open_bundle()
    with OpenVINOEngine(bundle, dict.fromkeys(NETWORKS, word)) as engine:
        test = open_self_test(bundle, engine.facts.precision)
        assert test is not None
        assert test.run(engine) == ""


@pytest.mark.data
def test_the_runtime_gets_the_stated_dice_on_held_out_frames(screener: Screener, data_root: Path) -> None:
    values: dict[str, list[float]] = {}
    for frame in split_frames(vessel_frames(data_root)).held_out:
        reading = read(screener, frame.image)
        assert reading.vessels is not None
        assert frame.vessel_mask is not None
        vessels = reading.vessels.astype(np.float32) / 255
        values.setdefault(frame.device, []).append(dice(vessels, network_mask(frame.vessel_mask, 256)))
    assert {device: float(np.mean(v)) for device, v in values.items()} == pytest.approx(stated("dice"), abs=0.005)


@pytest.mark.data
def test_the_runtime_gets_the_stated_auc_on_held_out_frames(screener: Screener, data_root: Path) -> None:
    frames = split_frames(ridge_frames(data_root)).held_out
    readings = [read(screener, frame.image) for frame in frames]
    scores = np.array([(r.probabilities or {})["ridge_in_view"] for r in readings])
    assert roc_auc(scores, [f.ridge_in_view for f in frames]) == pytest.approx(stated("roc_auc")["all"], abs=0.005)
