"""Real plans on a real GPU: parity with the fp32 graphs on the CPU, the CUDA graph, memory. `make test-gpu`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from device.cameras import open_camera
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle
from runtime.cuda import open_cuda
from runtime.engines import load_engine
from runtime.engines.tensorrt.engine import TensorRTEngine
from runtime.plan_key import TARGETS, Library
from runtime.preprocess import network_input

pytestmark = pytest.mark.gpu

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-3, "int8": 0.05}
"""Largest difference of a probability. For int8 the parity report in the bundle says what the graph itself costs."""
FRAMES = 20
SOAK_FRAMES = 20_000
GROWTH_BYTES = 8 * 2**20
"""What the driver itself may take in passing."""


@pytest.fixture(scope="module")
def images() -> list[UInt8Array]:
    found: list[UInt8Array] = []
    with open_camera("sim:seed=5,faults=0") as camera:
        while len(found) < FRAMES:
            frame = camera.read()
            assert frame is not None
            found.append(network_input(frame.pixels))
    return found


@pytest.fixture
def engine(bundle: Bundle, library: Library, precision: str) -> Iterator[TensorRTEngine]:
    with load_engine(bundle, TARGETS[library], precision) as loaded:
        assert isinstance(loaded, TensorRTEngine)
        yield loaded


def test_probabilities_are_those_of_the_fp32_graphs(
    engine: TensorRTEngine, bundle: Bundle, precision: str, images: list[UInt8Array]
) -> None:
    pytest.importorskip("openvino", reason="the fp32 graphs run in OpenVINO")
    with load_engine(bundle, "openvino", "fp32") as reference:
        for image in images:
            expected = reference.infer(image).probabilities.copy()
            np.testing.assert_allclose(engine.infer(image).probabilities, expected, atol=TOLERANCE[precision])


def test_the_frame_is_a_cuda_graph_and_its_stages_add_up(engine: TensorRTEngine, images: list[UInt8Array]) -> None:
    assert "CUDA graph" in engine.facts.why
    assert "single calls" not in engine.facts.why
    got = engine.infer(images[0])
    gpu = engine.gpu_ms()
    assert min(gpu.upload, gpu.segment, gpu.classify, gpu.download) >= 0
    assert 0 < gpu.compute <= got.segment_ms + got.classify_ms


def test_auto_takes_the_gpu(bundle: Bundle, precision: str) -> None:
    with load_engine(bundle, "auto", precision) as engine:
        assert engine.facts.backend in TARGETS.values()


def test_memory_is_given_back(bundle: Bundle, library: Library, precision: str, images: list[UInt8Array]) -> None:
    free: list[int] = []
    for _ in range(4):
        with load_engine(bundle, TARGETS[library], precision) as engine:
            engine.infer(images[0])
        with open_cuda() as cuda:
            free.append(cuda.memory()[0])
    assert free[1] - free[-1] < GROWTH_BYTES


@pytest.mark.soak
def test_memory_does_not_grow(engine: TensorRTEngine, images: list[UInt8Array]) -> None:
    import psutil

    process, marks = psutil.Process(), []
    for index in range(SOAK_FRAMES):
        engine.infer(images[index % len(images)])
        if index in (SOAK_FRAMES // 10, SOAK_FRAMES - 1):
            with open_cuda() as cuda:
                marks.append((cuda.memory()[0], process.memory_info().rss))
    assert marks[0][0] - marks[1][0] < GROWTH_BYTES
    assert marks[1][1] - marks[0][1] < GROWTH_BYTES
