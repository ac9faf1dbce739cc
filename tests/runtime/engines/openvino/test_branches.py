"""The classifier in three parts gives what it gives whole; a graph that does not fall apart so is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from runtime.bundle import Bundle, open_bundle
from runtime.engines.openvino.branches import BranchesRequest, branches_of
from runtime.engines.openvino.graph import CompiledGraph, compile_graph, compile_pair
from runtime.errors import EngineError

WEIGHT = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Layers = Callable[[Any, Any], list[Any]]


def pooled(x: Any) -> Any:
    return ops.reduce_mean(x, ops.constant(np.array([2, 3])), False)


def joined(*vectors: Any) -> Any:
    return ops.matmul(ops.concat(list(vectors), 1), ops.constant(WEIGHT), False, False)


def raw(image: Any) -> Any:
    return ops.exp(pooled(ops.relu(image)))


def guided(image: Any, vessels: Any) -> Any:
    return pooled(ops.multiply(image, vessels))


def two_joins(image: Any, vessels: Any) -> list[Any]:
    first = joined(raw(image), guided(image, vessels))
    return [first, ops.concat([raw(image), guided(image, vessels)], 1)]


FALLS_APART: dict[str, Layers] = {
    "two branches": lambda image, vessels: [joined(raw(image), guided(image, vessels))],
    "prepared together": lambda image, vessels: [
        joined(raw(ops.tanh(image)), guided(ops.tanh(image), vessels)),
    ],
}
LEFT_ALONE: dict[str, Layers] = {
    "guided first": lambda image, vessels: [joined(guided(image, vessels), raw(image))],
    "both of the image alone": lambda image, vessels: [ops.add(joined(raw(image), pooled(image)), pooled(vessels))],
    "the head looks at a branch": lambda image, vessels: [
        ops.add(joined(raw(image), v := guided(image, vessels)), ops.reduce_sum(v, ops.constant(1), True))
    ],
    "a branch is an output, too": lambda image, vessels: [
        joined(raw(image), v := guided(image, vessels)),
        ops.relu(v),
    ],
    "two places": two_joins,
    "no join": lambda image, vessels: [ops.add(raw(image), guided(image, vessels))],
}
SIDES = {"image": [1, 3, 8, 8], "vessels": [1, 1, 8, 8]}
VALUES = {name: np.random.default_rng(1).normal(size=shape).astype(np.float32) for name, shape in SIDES.items()}


def model(layers: Layers) -> ov.Model:
    inputs = [ops.parameter(shape, name=name) for name, shape in SIDES.items()]
    for given, name in zip(inputs, SIDES, strict=True):
        given.output(0).set_names({name})
    outputs = layers(*inputs)
    for index, output in enumerate(outputs):
        output.output(0).set_names({f"out_{index}"})
    return ov.Model(outputs, inputs)


def compiled(network: ov.Model) -> Any:
    return ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})


def request_of(layers: Layers) -> BranchesRequest:
    branches = branches_of(model(layers))
    assert branches is not None
    return BranchesRequest(compiled(branches.raw), compiled(branches.guided), compiled(branches.head))


def filled(request: BranchesRequest) -> BranchesRequest:
    for name, values in VALUES.items():
        request.set_tensor(name, ov.Tensor(values))
    return request


@pytest.mark.parametrize("layers", FALLS_APART.values(), ids=FALLS_APART)
def test_the_parts_give_what_the_whole_gives(layers: Layers) -> None:
    expected = compiled(model(layers))(VALUES)[0]
    request = filled(request_of(layers))
    request.infer()
    np.testing.assert_allclose(request.get_tensor("out_0").data, expected, rtol=1e-5)
    request.get_tensor("out_0").data[:] = np.nan
    request.start_async()
    assert request.wait_for(10_000)
    np.testing.assert_allclose(request.get_tensor("out_0").data, expected, rtol=1e-5)


@pytest.mark.parametrize("layers", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_another_graph_is_left_alone(layers: Layers) -> None:
    network = model(layers)
    assert branches_of(network) is None
    for found, expected in zip(
        compiled(network)(VALUES).values(), compiled(model(layers))(VALUES).values(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


class Told:
    """A request that does as it is told."""

    def __init__(self, failure: str = "", ended: bool = True) -> None:
        self.failure, self.ended = failure, ended
        self.calls: list[str] = []

    def start_async(self) -> None:
        self.calls.append("start")

    def infer(self) -> None:
        self.calls.append("infer")
        if self.failure:
            raise RuntimeError(self.failure)

    def wait(self) -> None:
        self.wait_for(0)

    def wait_for(self, ms: int) -> bool:
        self.calls.append("wait")
        if self.failure:
            raise RuntimeError(self.failure)
        return self.ended


def request_that(raw: Told, guided: Told, head: Told) -> BranchesRequest:
    request = request_of(FALLS_APART["two branches"])
    request._raw, request._guided, request._head = raw, guided, head
    return request


def test_the_head_waits_for_both_branches() -> None:
    raw, guided, head = Told(), Told(ended=False), Told()
    request = request_that(raw, guided, head)
    request.start_async()
    assert (raw.calls, guided.calls) == (["infer"], ["start"])
    assert not request.wait_for(5)
    assert head.calls == []
    guided.ended = True
    assert request.wait_for(5)
    assert head.calls == ["infer"]


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("broken", ["raw", "guided", "head"])
def test_a_part_that_fails_is_told_when_both_branches_have_ended(broken: str, timed: bool) -> None:
    parts = {name: Told(failure="broken" if name == broken else "") for name in ("raw", "guided", "head")}
    request = request_that(*parts.values())
    request.start_async()
    with pytest.raises(RuntimeError, match="broken"):
        request.wait_for(5) if timed else request.wait()
    assert "wait" in parts["guided"].calls
    parts[broken].failure = ""
    request.infer()
    assert parts["head"].calls[-1] == "infer"


def test_a_branch_that_wrote_nothing_is_not_the_frame_before() -> None:
    request = filled(request_of(FALLS_APART["two branches"]))
    request.infer()

    request._raw = Told()
    request.infer()
    assert np.isnan(request.get_tensor("out_0").data).any()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(None)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_are_shared_out(bundle: Bundle, threads: int) -> None:
    graph = compile_graph(ov.Core(), bundle, "classifier", "fp32", "f32", threads)
    shares = [int(part.get_property("INFERENCE_NUM_THREADS")) for part in graph.models]
    assert shares == {1: [1], 2: [1, 1, 1], 3: [1, 2, 1]}[threads]


@pytest.mark.parametrize(
    ("segmentation", "classifier", "handed_on"),
    [("fp32", "fp32", "gates"), ("int8", "int8", "gates"), ("fp16", "int8", "gates"), ("int8", "fp32", "features")],
)
def test_the_demonstration_gives_the_same_in_all_forms(
    bundle: Bundle, segmentation: str, classifier: str, handed_on: str
) -> None:
    core = ov.Core()
    precision = {"segmentation": segmentation, "classifier": classifier}
    pair = compile_pair(core, bundle, precision, threads=2)
    assert len(pair[1].models) == 3
    assert sorted(pair[1].inputs) == sorted(["image", "vessels", *(f"{handed_on}_{level}" for level in range(4))])
    alone = [compile_graph(core, bundle, *network, "f32", threads=1) for network in precision.items()]
    layers = (22 if segmentation == "int8" else 0) + (52 if classifier == "int8" else 0)
    assert sum(graph.int8_layers for graph in pair) == sum(graph.int8_layers for graph in alone) == layers
    found, expected = logits(pair), logits((alone[0], alone[1]))
    exact = {segmentation, classifier} == {"fp32"}
    np.testing.assert_allclose(found, expected, atol=1e-5 if exact else 0.03)


def logits(pair: tuple[CompiledGraph, CompiledGraph]) -> Any:
    requests = [graph.request() for graph in pair]
    image = np.random.default_rng(2).integers(0, 255, (1, 256, 256, 3)).astype(np.uint8)
    for request in requests:
        request.set_tensor("image", ov.Tensor(image))
    for name in pair[1].inputs:
        if name != "image":
            requests[1].set_tensor(name, requests[0].get_tensor(name))
    for request in requests:
        request.infer()
    return requests[1].get_tensor("logits").data.copy()


def test_a_graph_that_cannot_be_changed_is_an_error_of_the_engine(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*arguments: object) -> None:
        raise RuntimeError("shapes do not go together")

    monkeypatch.setattr("runtime.engines.openvino.graph.pass_channels_last", refuses)
    with pytest.raises(EngineError, match=r"segmentation\.fp32\.onnx.*shapes do not go together"):
        compile_pair(ov.Core(), bundle, {"segmentation": "fp32", "classifier": "fp32"})
    with pytest.raises(EngineError, match=r"classifier\.fp32\.onnx.*shapes do not go together"):
        compile_graph(ov.Core(), bundle, "classifier", "fp32", "f32")
