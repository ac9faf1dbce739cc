"""The means of feature maps as a further output of the segmentation's graph, taken where the maps are in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def with_means(segmentation: Any, features: Sequence[str], name: str) -> Any:
    """The `openvino.Model` with one more output, float32 [1, F]: the means over the picture of outputs [1, C, H, W].

    The model as it is where it lacks one of them.
    """
    from openvino import Model, Type, opset13

    maps = {known: result for result in segmentation.get_results() for known in result.input_value(0).get_names()}
    if not all(feature in maps for feature in features):
        return segmentation
    means = [
        opset13.reduce_mean(opset13.convert(maps[feature].input_value(0), Type.f32), [2, 3], False)
        for feature in features
    ]
    joined = opset13.concat(means, 1)
    joined.output(0).set_names({name})
    results = [*segmentation.get_results(), opset13.result(joined)]
    return Model(results, segmentation.get_parameters(), segmentation.get_friendly_name())
