"""The classifier's attention gates for OpenVINO: calculated by the segmentation's graph, of whose maps they are made.

A gate is a strided convolution and a sigmoid of one of the segmentation's feature maps and of nothing else. There it is
shared out among all threads as the convolution before it, and what is handed on is a quarter of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.engines.openvino_nodes import ancestors_of, closed, shape_of

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
    gates = [_gate_of(classifier, taken[name]) for name in features]
    if any(gate is None for gate in gates):
        return None
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


def _gate_of(model: Any, parameter: Any) -> Any:
    """The sigmoid that all of an input goes into, and nothing else but constants."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Sigmoid":
            before = ancestors_of(node)
            inputs = [given.get_name() for given in model.get_parameters() if given.get_name() in before]
            if inputs == [parameter.get_name()]:
                return node if closed(model, before, node) else None
    return None
