"""Saved graphs: what an engine gives from them is what it gives from the ONNX graphs, and nothing else is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from build_engines.__main__ import main
from runtime.bundle import Bundle, open_bundle
from runtime.engines.openvino import graph
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.errors import BundleError
from runtime.preprocess import network_input
from tests.pictures import retina
from tests.runtime.engines.tiny import tiny_bundle

FP32 = {"segmentation": "fp32", "classifier": "fp32"}


@pytest.fixture
def saved(tmp_path: Path) -> Bundle:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert main(["ir", str(bundle.path), "--cpu-class", "avx2,amx"]) == 0
    return open_bundle(bundle.path)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_engine_gives_the_same_from_saved_graphs(
    saved: Bundle, tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = network_input(retina())
    with OpenVINOEngine(tiny_bundle(tmp_path / "plain"), FP32, threads) as engine:
        wanted = engine.infer(image)
        vessels, probabilities = wanted.vessels.copy(), wanted.probabilities.copy()
    monkeypatch.setattr(graph, "changed_pair", None)  # it is not made anew
    with OpenVINOEngine(saved, FP32, threads) as engine:
        got = engine.infer(image)
        assert np.abs(got.vessels - vessels).max() < 1e-5
        assert np.abs(got.probabilities - probabilities).max() < 1e-5


def test_both_classes_share_what_is_the_same(saved: Bundle) -> None:
    (form,) = saved.manifest.saved_graphs
    assert (form.folder, form.handed_on) == ("ir/fp32-f32", "f32")
    assert set(form.paths) < {entry.path for entry in saved.manifest.files}


def test_one_altered_byte_is_not_loaded(saved: Bundle) -> None:
    for name in saved.manifest.saved_graphs[0].paths:
        path = saved.path / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match="was altered"):
            OpenVINOEngine(saved, FP32)
        with pytest.raises(BundleError, match="was altered"):
            open_bundle(saved.path)
        path.write_bytes(content)


def test_saved_graphs_that_no_hash_covers_are_refused(saved: Bundle) -> None:
    path = saved.path / "manifest.json"
    content: dict[str, Any] = json.loads(path.read_text())
    content["files"] = [entry for entry in content["files"] if not entry["path"].endswith("segmentation.bin")]
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"segmentation\.bin is not among the files"):
        open_bundle(saved.path)


def test_they_go_with_the_graphs_that_they_were_made_of(saved: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    (saved.path / "manifest.sig").write_text("{}")
    assert main(["ir", str(saved.path), "--remove"]) == 0
    assert "its signature no longer fits" in capsys.readouterr().err
    left = open_bundle(saved.path)
    assert left.manifest.saved_graphs == ()
    assert not (saved.path / "ir").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--cpu-class", "z80"], "--cpu-class: got 'z80'"),
        (["--cpu-class", "avx2", "--precision", "int4"], "precision 'int4': expected"),
        (["--cpu-class", "avx2", "--precision", "int8"], "holds no int8 graph"),
    ],
)
def test_a_wrong_call_leaves_the_bundle_alone(
    tmp_path: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert main(["ir", str(bundle.path), *words]) == 2
    assert expected in capsys.readouterr().err
    assert open_bundle(bundle.path).sha256 == bundle.sha256
