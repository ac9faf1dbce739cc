"""Stage vectors: written for every bundle, met by this runtime, and not met by one that differs in any stage."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from build_engines.__main__ import main
from build_engines.bundle import written
from build_engines.trust import check_vectors
from build_engines.trust.check_vectors import vector_problems
from build_engines.trust.vectors import FAULTS
from runtime import quality
from runtime.bundle import Bundle, open_bundle
from runtime.engines.base import Inference
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.errors import BundleError
from runtime.manifest import ResizeFacts
from runtime.preprocess import KEEP_AT_LEAST, LARGEST_REDUCTION, network_input
from runtime.preprocess.weights import WEIGHT_BITS
from runtime.quality import QualityLimits, grade
from runtime.trust.site import Site
from runtime.trust.vectors import VECTORS, open_vectors
from runtime.trust.word import sites_word
from tests.runtime.engines.tiny import tiny_bundle


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of tiny networks after `trust`."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("vectors") / "bundle")
    assert main(["trust", str(bundle.path)]) == 0
    return open_bundle(bundle.path)


def test_python_meets_every_vector(equipped: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert vector_problems(equipped) == []
    assert main(["vectors", str(equipped.path)]) == 0
    assert "12 frames in fp32: 0 not met" in capsys.readouterr().out


def test_they_show_every_reason_of_the_gates_measures_and_a_reduced_frame(equipped: Bundle) -> None:
    vectors = open_vectors(equipped)
    reasons = {reason for vector in vectors.frames for reason in vector.reasons}
    of_measures = (quality.TOO_DARK, quality.TOO_BRIGHT, quality.FIELD, quality.NOT_ONE, quality.NOT_A_RETINA)
    assert reasons == {*of_measures, quality.BLURRED, quality.UNEVEN}
    assert set(FAULTS) < {vector.name for vector in vectors.frames}
    assert any(min(vector.width, vector.height) >= 2 * KEEP_AT_LEAST for vector in vectors.frames)


def test_the_manifest_states_resize_and_gate_as_they_are(equipped: Bundle) -> None:
    assert equipped.manifest.gate == asdict(QualityLimits())
    facts = ResizeFacts()
    assert (facts.keep_at_least, facts.largest_reduction) == (KEEP_AT_LEAST, LARGEST_REDUCTION)
    assert facts.weight_bits == WEIGHT_BITS


@pytest.mark.parametrize("stage", ["input", "measures", "networks"])
def test_another_stage_is_found(equipped: Bundle, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if stage == "input":
        monkeypatch.setattr(check_vectors, "network_input", lambda pixels: network_input(pixels) ^ np.uint8(1))
    elif stage == "measures":
        monkeypatch.setattr(
            check_vectors, "grade", lambda image, limits: grade(np.ascontiguousarray(255 - image), limits)
        )
    else:
        infer = OpenVINOEngine._infer

        def inverted(self: OpenVINOEngine, *given: Any) -> Inference:
            found = infer(self, *given)
            return replace(found, vessels=1 - found.vessels)

        monkeypatch.setattr(OpenVINOEngine, "_infer", inverted)
    assert vector_problems(equipped)


def test_a_bundle_of_before_is_read_and_says_that_it_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert bundle.manifest.gate is None
    assert sites_word(Site(), bundle).limits == QualityLimits()
    with pytest.raises(BundleError, match="holds no stage vectors; add them"):
        vector_problems(bundle)
    assert main(["vectors", str(bundle.path)]) == 2
    assert "holds no stage vectors" in capsys.readouterr().err


def with_gate(bundle: Bundle, folder: Path, gate: dict[str, Any]) -> Bundle:
    folder.mkdir()
    for name in ("segmentation.fp32.onnx", "classifier.fp32.onnx"):
        (folder / name).write_bytes(bundle.read(name))
    return written(folder, bundle.manifest.model_copy(update={"gate": gate}))


def test_the_bundles_limits_are_obeyed(equipped: Bundle, tmp_path: Path) -> None:
    strict = with_gate(equipped, tmp_path / "strict", {**asdict(QualityLimits()), "brightness_min": 200.0})
    assert sites_word(Site(), strict).limits == QualityLimits(brightness_min=200.0)
    asked = QualityLimits(brightness_min=10.0)
    assert sites_word(Site(), strict, limits=asked).limits == asked


def of_before(bundle: Bundle, folder: Path) -> Bundle:
    """As it was written before evenness and holes were measured: neither limit, nor measure, nor frame."""
    later = ("dark_twentieth", "dark_third", "glare_spot", "blank", "edge_lit", "corner_lit", "relief")
    gate = {name: limit for name, limit in (bundle.manifest.gate or {}).items() if name.rpartition("_")[0] not in later}
    content = json.loads(bundle.read(VECTORS))
    content["frames"] = [frame for frame in content["frames"] if frame["name"] not in ("uneven", "spot", "covered")]
    for frame in content["frames"]:
        for name in later:
            del frame["measures"][name]
    shutil.copytree(bundle.path, folder)
    (folder / VECTORS).write_text(json.dumps(content))
    (folder / "manifest.json").unlink()
    return written(folder, bundle.manifest.model_copy(update={"gate": gate}))


def test_a_bundle_of_before_evenness_is_met_and_has_this_versions_limit(equipped: Bundle, tmp_path: Path) -> None:
    older = of_before(equipped, tmp_path / "older")
    assert vector_problems(older) == []
    assert sites_word(Site(), older).limits == QualityLimits()
    forgot = older.manifest.model_copy(update={"gate": asdict(QualityLimits())})
    assert any("gate measures" in problem for problem in vector_problems(replace(older, manifest=forgot)))


def test_a_limit_of_another_gate_is_refused(equipped: Bundle, tmp_path: Path) -> None:
    strange = with_gate(equipped, tmp_path / "strange", {"strangeness_max": 1.0})
    with pytest.raises(BundleError, match="has the limit strangeness_max, which this version does not know"):
        sites_word(Site(), strange)


@pytest.mark.parametrize("spoil", [lambda c: c.update(schema="rop.vectors/2"), lambda c: c["frames"][0].pop("sha256")])
def test_vectors_that_are_none_are_refused(equipped: Bundle, spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(equipped.read(VECTORS))
    spoil(content)
    monkeypatch.setattr(Bundle, "read", lambda self, path: json.dumps(content).encode())
    with pytest.raises(BundleError, match=r"vectors\.json"):
        open_vectors(equipped)
