"""Gates move to the graph that makes their maps; where a map is used otherwise, both graphs stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from runtime.engines.openvino.gates import GATES, move_gates

FEATURES = ("features_0", "features_1")
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)
VALUES = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)


def strided(x: Any) -> Any:
    return ops.convolution(x, ops.constant(KERNEL), [2, 2], [1, 1], [1, 1], [1, 1])


def gate(x: Any) -> Any:
    return ops.sigmoid(strided(x))


def looked_at_twice(first: Any, second: Any) -> Any:
    mean = ops.reduce_mean(first, ops.constant(np.array([2, 3])), True)
    return ops.multiply(ops.multiply(gate(first), gate(second)), mean)


MOVES: dict[str, Callable[[Any, Any], Any]] = {
    "two gates": lambda first, second: ops.subtract(gate(first), gate(second)),
}
STAYS: dict[str, Callable[[Any, Any], Any]] = {
    "one gate of both": lambda first, second: gate(ops.add(first, second)),
    "a map looked at twice": looked_at_twice,
    "no gate": lambda first, second: ops.add(gate(first), ops.tanh(strided(second))),
    "two gates of one map": lambda first, second: ops.add(ops.add(gate(first), gate(ops.relu(first))), gate(second)),
}


def named(output: Any, name: str) -> Any:
    output.output(0).set_names({name})
    return output


def models(classifier: Callable[[Any, Any], Any]) -> tuple[ov.Model, ov.Model]:
    image = named(ops.parameter([1, 3, 8, 8]), "image")
    maps = [named(ops.relu(image), FEATURES[0]), named(ops.exp(image), FEATURES[1])]
    taken = [named(ops.parameter([1, 3, 8, 8]), name) for name in FEATURES]
    return (
        ov.Model([*maps, named(ops.tanh(image), "vessels")], [image], "segmentation"),
        ov.Model([named(classifier(*taken), "logits")], taken, "classifier"),
    )


def run(pair: tuple[ov.Model, ov.Model]) -> Any:
    core = ov.Core()
    first, second = (core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for model in pair)
    given = first({"image": VALUES})
    return second({port.any_name: given[port.any_name] for port in second.inputs})["logits"]


def names(ports: Any) -> list[str]:
    return [port.any_name for port in ports]


@pytest.mark.parametrize("classifier", MOVES.values(), ids=MOVES)
def test_gates_are_handed_on_in_place_of_the_maps(classifier: Callable[[Any, Any], Any]) -> None:
    moved = move_gates(*models(classifier), FEATURES)
    assert moved is not None
    assert names(moved[0].outputs) == ["vessels", *GATES[:2]]
    assert names(moved[1].inputs) == list(GATES[:2])
    assert not [node for node in moved[1].get_ordered_ops() if node.get_type_name() in ("Sigmoid", "Convolution")]
    np.testing.assert_allclose(run(moved), run(models(classifier)), rtol=1e-5)


@pytest.mark.parametrize("classifier", STAYS.values(), ids=STAYS)
def test_a_map_that_goes_another_way_stays(classifier: Callable[[Any, Any], Any]) -> None:
    pair = models(classifier)
    assert move_gates(*pair, FEATURES) is None
    np.testing.assert_array_equal(run(pair), run(models(classifier)))


def test_maps_that_one_graph_does_not_have_stay() -> None:
    first, second = models(MOVES["two gates"])
    assert move_gates(first, second, (*FEATURES, "features_2")) is None
