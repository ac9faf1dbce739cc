"""Fixtures of the plan builder's tests: TensorRT-RTX itself, and a bundle of toy graphs that are built in no time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime import Bundle, open_bundle
from runtime.bundle import DEMONSTRATION

RAW_NODES = 12


@pytest.fixture(scope="session")
def rtx() -> Any:
    """The module `tensorrt_rtx`: NVIDIA's own parser and builder, which need no GPU."""
    return pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (pip install tensorrt-rtx-cu13)")


def toy_graph(network: str) -> bytes:
    """As small as a network can be that takes uint8 pictures as the real ones do, and whose raw branch is a branch."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["image/t"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["image/t"], ["image/c"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["image/c", "scale"], ["image/d"]),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 256, 256, 3])]
    if network == "segmentation":
        nodes.append(helper.make_node("Conv", ["image/d", "kernel"], ["vessels"]))
        outputs = [helper.make_tensor_value_info("vessels", TensorProto.FLOAT, [1, 1, 256, 256])]
    else:
        chain = ["image/d", *(f"raw/{index}" for index in range(RAW_NODES))]
        nodes += [helper.make_node("Sigmoid", [a], [b]) for a, b in pairwise(chain)]
        nodes += [
            helper.make_node("Mul", ["image/d", "vessels"], ["guided"]),
            helper.make_node("Add", [chain[-1], "guided"], ["logits"]),
        ]
        inputs.append(helper.make_tensor_value_info("vessels", TensorProto.FLOAT, [1, 1, 256, 256]))
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 256, 256])]
    constants = {"scale": np.array(255, np.float32), "kernel": np.full((1, 3, 1, 1), 1 / 3, np.float32)}
    used = {name for node in nodes for name in node.input}
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used]
    graph = helper.make_graph(nodes, network, inputs, outputs, weights)
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9
    ).SerializeToString()
    return content


@pytest.fixture
def toy_bundle(tmp_path: Path) -> Bundle:
    """A bundle of toy graphs in fp32, which a test may spoil."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = json.loads((DEMONSTRATION / "manifest.json").read_text())
    manifest |= {"name": "toy", "files": [], "default_precision": {}}
    for network in ("segmentation", "classifier"):
        content = toy_graph(network)
        path = f"{network}.fp32.onnx"
        (folder / path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest["files"].append({"path": path, "size": len(content), "sha256": digest})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)


@pytest.fixture(scope="session")
def run_graph() -> Callable[..., dict[str, Any]]:
    """Run an ONNX graph's bytes on the CPU in f32: inputs by name to outputs by name. Each graph is compiled once."""
    import openvino

    core = openvino.Core()

    @cache
    def compiled_graph(graph: bytes) -> Any:
        return core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(graph: bytes, inputs: dict[str, Any]) -> dict[str, Any]:
        compiled = compiled_graph(graph)
        found = compiled({port.get_any_name(): inputs[port.get_any_name()] for port in compiled.inputs})
        return {port.get_any_name(): np.array(found[port]) for port in compiled.outputs}

    return run
