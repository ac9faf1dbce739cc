"""The graphs that the cart's tests keep as files are those that their maker makes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.build_engines.tiny_graphs import files
from tests.runtime.engines.tiny import GRAPHS


@pytest.mark.parametrize("name", files())
def test_each_kept_graph_is_the_one_that_is_made(name: str) -> None:
    """By what it says, not by its bytes: another protobuf may write the same message in another order."""
    kept, made = onnx.load_model(GRAPHS / name), onnx.load_model_from_string(files()[name])
    assert list(kept.graph.node) == list(made.graph.node)
    assert (list(kept.graph.input), list(kept.graph.output)) == (list(made.graph.input), list(made.graph.output))
    for one, other in zip(kept.graph.initializer, made.graph.initializer, strict=True):
        assert one.name == other.name
        assert np.array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))


def test_no_other_graph_is_kept() -> None:
    assert {path.name for path in GRAPHS.iterdir()} == set(files())
