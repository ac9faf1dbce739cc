"""What engines hand out of the encoder: the same means of the same maps, of this frame and not the one before."""

from __future__ import annotations

import itertools

import numpy as np
import openvino as ov
import pytest

from runtime.arrays import FloatArray, UInt8Array
from runtime.bundle import Bundle
from runtime.engines.base import ENCODED_FROM
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.engines.tensorrt.engine import known_frames
from tests.runtime.engines.tensorrt.fake_plans import FakeMachine

FP32 = {"segmentation": "fp32", "classifier": "fp32"}


def reference(bundle: Bundle, image: UInt8Array) -> FloatArray:
    """By the graph as it is."""
    compiled = ov.Core().compile_model(str(bundle.path / "segmentation.fp32.onnx"), "CPU")
    found = compiled({"image": image})
    return np.concatenate([found[name][0].mean(axis=(1, 2)) for name in ENCODED_FROM])


def test_the_cpu_engine(tiny: Bundle) -> None:
    with OpenVINOEngine(tiny, FP32) as engine:
        assert engine.encodes
        for image in itertools.chain(known_frames(), known_frames()):
            encoded = engine.infer(image).encoded
            assert encoded is not None
            np.testing.assert_allclose(encoded, reference(tiny, image), atol=1e-5)


@pytest.mark.parametrize("encodes", [True, False])
def test_the_gpu_engine_where_the_bundle_asks_for_it(
    tiny: Bundle, machine: FakeMachine, encodes: bool, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    with machine.load(encodes=encodes) as engine:
        assert engine.encodes is encodes
        for image, (vessels, probabilities) in zip(known_frames(), expected, strict=True):
            found = engine.infer(image)
            np.testing.assert_allclose(found.vessels, vessels, atol=1e-6)
            np.testing.assert_allclose(found.probabilities, probabilities, atol=1e-6)
            if not encodes:
                assert found.encoded is None
                continue
            assert found.encoded is not None
            np.testing.assert_allclose(found.encoded, reference(tiny, image), atol=1e-5)
