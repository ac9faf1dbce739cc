"""The demonstration bundle that ships: what it says of itself, and that the runtime reads with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device import open_camera
from runtime import Outcome, Screener, open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.manifest import NETWORKS
from runtime.trust.selftest import open_self_test


@pytest.fixture(scope="module")
def screener() -> Iterator[Screener]:
    with Screener(open_bundle(), reject_repeats=False) as screener:
        yield screener


def stated(name: str) -> dict[str, float]:
    """The network's own held-out figures by device; a second person's masks are not the network's doing."""
    metrics = open_bundle().manifest.metrics
    return {m.device: m.value for m in metrics if m.name == name and m.device != "second observer"}


def test_it_is_small_cited_and_not_for_clinical_use() -> None:
    manifest = open_bundle().manifest
    assert sum(entry.size for entry in manifest.files) < 60e6
    assert not manifest.clinical_use
    assert "not for clinical use" in manifest.intended_use
    assert {t.name for t in manifest.training_data} >= {"hvdropdb_vessels", "hvdropdb_ridge", "hrf", "chase_db1"}
    assert set(stated("dice")) == {"Neo", "RetCam", "chase_db1", "fives_amd20", "hrf"}
    assert set(stated("roc_auc")) == {"Neo", "RetCam", "all"}


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
