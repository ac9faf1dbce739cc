from __future__ import annotations

import numpy as np
import onnx
import pytest

from build_engines.errors import QuantizationError
from build_engines.quantize.inputs import Runner
from build_engines.quantize.layers import layers_of
from build_engines.quantize.qdq import inspect
from build_engines.quantize.sensitivity import BlockEffect, Effect, Judge, block_effects, draw_effects, spare_worst
from runtime.arrays import UInt8Array
from tests.build_engines.quantize.conftest import Made


def test_blocks_are_ranked_by_what_they_do_alone(made: Made, frames: UInt8Array) -> None:
    layers = layers_of(onnx.load(made.graphs.segmentation))
    judge = Judge("segmentation", Runner(made.graphs.segmentation), made.graphs.classifier, frames[:2])
    effects = block_effects(made.quantized["segmentation"], layers, judge)
    names = ("encoder.0", "encoder.1", "up.0", "decoder.0", "output")
    assert {effect.block for effect in effects} == {f"segmentation.{name}" for name in names}
    assert [effect.drop for effect in effects] == sorted((effect.drop for effect in effects), reverse=True)
    assert 0 < effects[0].vessels < 1
    assert {effect.block: len(effect.layers) for effect in effects}["segmentation.decoder.0"] == 2


def test_blocks_are_spared_from_the_worst_on_and_not_all_of_them(made: Made) -> None:
    model, names = made.quantized["segmentation"], ["segmentation.output/Conv", "segmentation.encoder.1.conv1/Conv"]
    effects = [BlockEffect(0.1, 0.0, name.split("/")[0], (name,)) for name in names]

    def judge(graph: onnx.ModelProto) -> Effect:
        return Effect(0.1 * len(inspect(graph, "graph").layers), 0.0)

    assert spare_worst(model, names, effects, judge, 0.3) == ()
    assert spare_worst(model, names, effects, judge, 0.15) == (names[0],)
    with pytest.raises(QuantizationError, match=r"--max-drop 0.05: not reached while any layer is quantized"):
        spare_worst(model, names, effects, judge, 0.05)


def test_the_picture_shows_each_block() -> None:
    effects = [BlockEffect(0.02, 0.001, "a", ("a/Conv",)), BlockEffect(0.0, 0.0, "b", ("b/Conv",))]
    one, two = draw_effects(effects[:1], "t"), draw_effects(effects, "t")
    assert two.shape[0] > one.shape[0]
    assert two.dtype == np.uint8
    assert len(np.unique(two.reshape(-1, 3), axis=0)) > 5
