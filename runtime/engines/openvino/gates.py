"""The classifier's attention gates for OpenVINO: calculated by the segmentation's graph, of whose maps they are made.

A gate is a strided convolution and a sigmoid of one of the segmentation's feature maps and of nothing else. There it is
shared out among all threads as the convolution before it, and what is handed on is a quarter of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.engines.openvino.nodes import ancestors_of, closed, shape_of

GATES = tuple(f"gates_{level}" for level in range(4))
"""Names of what is handed on in place of the maps, [1, C, H / 2, W / 2]."""


def move_gates(segmentation: Any, classifier: Any, features: Sequence[str]) -> tuple[Any, Any] | None:
    """Both `openvino.Model`s anew, the second taking `GATES` from the first.

    features: names of the maps, outputs of the first and inputs of the second. None, and both are as they were, where
    a map goes another way than through one gate.
    """
    from openvino import Model, opset13

    maps = {name: result for result in segmentation.get_results() for name in result.input_value(0).get_names()}
    taken = {name: parameter for parameter in classifier.get_parameters() for name in parameter.output(0).get_names()}
    if not all(name in maps and name in taken for name in features):
        return None
    found = _gates(classifier)
    if not all(taken[name].get_name() in found for name in features):
        return None
    gates = [found[taken[name].get_name()] for name in features]
    results = [result for result in segmentation.get_results() if result not in [maps[name] for name in features]]
    parameters = [port for port in classifier.get_parameters() if port not in [taken[name] for name in features]]
    for name, gate, feature in zip(GATES[: len(gates)], gates, features, strict=True):
        given = opset13.parameter(shape_of(gate.output(0)), gate.get_output_element_type(0))
        parameters.append(given)
        gate.output(0).replace(given.output(0))  # which takes the gate's names along
        given.output(0).set_names({name})
        kind = taken[feature].get_output_element_type(0)
        taken[feature].output(0).replace(opset13.convert(maps[feature].input_value(0), kind).output(0))
        gate.output(0).set_names({name})
        results.append(opset13.result(gate))
    first = Model(results, segmentation.get_parameters(), segmentation.get_friendly_name())
    return first, Model(classifier.get_results(), parameters, classifier.get_friendly_name())


def gates_model(classifier: Any, features: Sequence[str]) -> Any:
    """The gates alone as an `openvino.Model`, from the maps to `GATES`; None where a map goes another way.

    The classifier must not be used any more.
    """
    from openvino import Model, opset13

    taken = {name: parameter for parameter in classifier.get_parameters() for name in parameter.output(0).get_names()}
    found = _gates(classifier)
    if not all(name in taken and taken[name].get_name() in found for name in features):
        return None
    results = []
    for name, feature in zip(GATES, features, strict=True):
        gate = found[taken[feature].get_name()].output(0)
        gate.set_names({name})
        results.append(opset13.result(gate))
    return Model(results, [taken[name] for name in features], "gates").clone()


def _gates(model: Any) -> dict[str, Any]:
    """Each input, by its node's name, that goes into one sigmoid and nowhere else, and that sigmoid."""
    gates: dict[str, Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Sigmoid":
            before = ancestors_of(node)
            inputs = [name for name, each in before.items() if each.get_type_name() == "Parameter"]
            if len(inputs) == 1 and closed(before, node):
                gates[inputs[0]] = node
    return gates
