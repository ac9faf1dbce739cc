"""What the CPU engine tells: gates as the paper has them, branches that add up, nothing of another frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from runtime.arrays import UInt8Array
from runtime.bundle import open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.errors import EngineError
from runtime.preprocess import network_input
from tests.pictures import retina
from tests.runtime.engines.tiny import tiny_bundle

SIDES = [(64, 64), (32, 32), (16, 16), (8, 8)]
WAYS = {
    "gates with the segmentation, branches side by side": ("fp32", "fp32", 2),
    "gates within the classifier, one thread": ("fp32", "int8", 1),
}


def image() -> UInt8Array:
    return network_input(retina())


def reference_gates(image: UInt8Array) -> list[np.ndarray]:
    """From the fp32 graphs as they are, asked for what goes into the gates' sigmoid and out of it."""
    core, folder = ov.Core(), open_bundle().path
    first = core.compile_model(core.read_model(folder / "segmentation.fp32.onnx"), "CPU")
    model = core.read_model(folder / "classifier.fp32.onnx")
    gates = [node.output(0) for node in model.get_ordered_ops() if node.get_type_name() == "Sigmoid"]
    model.add_outputs(gates)
    given = first({"image": image})
    inputs = {"image": image, **{port.any_name: given[port.any_name] for port in first.outputs}}
    found = core.compile_model(model, "CPU")(inputs)
    maps = [value[0].mean(axis=0) for value in found.values() if value.ndim == 4]
    return sorted(maps, key=len, reverse=True)


@pytest.mark.parametrize(("segmentation", "classifier", "threads"), WAYS.values(), ids=WAYS)
def test_the_gates_are_those_of_the_graph_and_nothing_else_changes(
    segmentation: str, classifier: str, threads: int
) -> None:
    precision = {"segmentation": segmentation, "classifier": classifier}
    with OpenVINOEngine(open_bundle(), precision, threads) as engine:
        given = engine.infer(image())
        before = [given.vessels.copy(), given.probabilities.copy(), given.logits.copy()]
        account = engine.explain()
        for was, now in zip(before, (given.vessels, given.probabilities, given.logits), strict=True):
            np.testing.assert_array_equal(was, now)
        again = engine.explain()
    assert [gate.shape for gate in account.gates] == SIDES
    for gate, wanted in zip(account.gates, reference_gates(image()), strict=True):
        np.testing.assert_allclose(gate, wanted, atol=0.02)
    np.testing.assert_allclose(account.both, before[2], atol=0.02)
    assert not np.allclose(account.raw, account.both, atol=1e-4)
    assert not np.allclose(account.guided, account.neither, atol=1e-4)
    np.testing.assert_array_equal(account.neither, again.neither)


def test_before_the_first_frame_there_is_nothing_to_tell(tmp_path: Path) -> None:
    engine = OpenVINOEngine(tiny_bundle(tmp_path / "tiny"), {"segmentation": "fp32", "classifier": "fp32"})
    with engine, pytest.raises(EngineError, match="no frame"):
        engine.explain()
