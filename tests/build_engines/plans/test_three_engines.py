"""The demonstration's classifier in its two parts, as the plan builder makes them, beside the segmentation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from build_engines.plans.parts import classifier_parts
from runtime.bundle import DEMONSTRATION, open_bundle
from runtime.engines import load_engine
from runtime.engines.tensorrt.engine import known_frames
from runtime.engines.tensorrt.fake import fake_plan
from tests.runtime.engines.tensorrt.fake_plans import both_plans, fake_machine, write_plans


def test_the_parts_of_the_real_classifier_give_what_the_whole_gives(tmp_path: Path) -> None:
    bundle = open_bundle(shutil.copytree(DEMONSTRATION, tmp_path / "bundle"))
    contents = {"segmentation": both_plans(bundle)["segmentation"]}
    for name, graph in classifier_parts(bundle.read("classifier.fp32.onnx")).items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(graph)
        contents[name] = fake_plan(path)
    write_plans(bundle, contents)
    frame = known_frames()[0]
    with load_engine(bundle, "openvino", "fp32") as reference:
        expected = reference.infer(frame).probabilities.copy()
    machines = fake_machine(bundle)
    with next(machines).load() as engine:
        assert "three engines, CUDA graph" in engine.facts.why
        np.testing.assert_allclose(engine.infer(frame).probabilities, expected, atol=1e-5)
    assert next(machines, None) is None
