"""The fake keeps TensorRT's contract: the same names, and None or False with a reason in the log."""

from __future__ import annotations

import gc
from enum import IntFlag
from pathlib import Path

import numpy as np
import pytest

from runtime.cuda.errors import GpuLost
from runtime.cuda.fake import ContractBroken, FakeCuda
from runtime.engines.tensorrt import fake as fake_tensorrt
from runtime.engines.tensorrt.fake import FakeTensorRT, fake_plan
from runtime.engines.tensorrt.log import Remembered
from runtime.engines.tensorrt.network import REMEDIES, Network, TensorRT
from runtime.errors import EngineError, IncompatiblePlan
from tests.runtime.engines.tiny import tiny_graph

BINDINGS = {
    "_Runtime": "Runtime",
    "_Engine": "ICudaEngine",
    "_Context": "IExecutionContext",
    "_ILogger": "ILogger",
    "_TensorIOMode": "TensorIOMode",
    "_DataType": "DataType",
    "_Severity": "Logger.Severity",
}
"""The fake's class, and the one in NVIDIA's bindings that it plays."""


@pytest.mark.parametrize("played", BINDINGS)
def test_every_name_that_it_offers_is_one_of_the_real_library(played: str) -> None:
    real: object = pytest.importorskip(
        "tensorrt_rtx", reason="TensorRT-RTX, whose names are compared, is not installed"
    )
    for part in BINDINGS[played].split("."):
        real = getattr(real, part)
    fake = getattr(fake_tensorrt, played)
    offered = {name for name in vars(fake) if not name.startswith("_")}
    offered |= {"num_io_tensors"} if played == "_Engine" else set()
    assert offered
    assert {name for name in offered if not hasattr(real, name)} == set()


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def library(cuda: FakeCuda) -> TensorRT:
    return TensorRT("trt", FakeTensorRT(cuda))


@pytest.fixture
def segmentation(library: TensorRT, tmp_path: Path) -> Network:
    path = tmp_path / "segmentation.onnx"
    path.write_bytes(tiny_graph("segmentation"))
    return library.deserialize("segmentation", fake_plan(path), {})


def bind(network: Network, cuda: FakeCuda) -> dict[str, int]:
    addresses = {}
    for name, facts in {**network.inputs, **network.outputs}.items():
        addresses[name] = cuda.device_buffer(facts.size).address
        network.bind(name, addresses[name])
    return addresses


def test_the_tensors_of_a_plan_are_those_of_its_graph(segmentation: Network) -> None:
    assert {name: str(facts) for name, facts in segmentation.inputs.items()} == {"image": "uint8 [1, 256, 256, 3]"}
    assert str(segmentation.outputs["vessels"]) == "float32 [1, 1, 256, 256]"
    assert segmentation.outputs["vessels"].size == 4 * 256 * 256


def test_a_tensor_may_bear_another_name_in_the_plan(library: TensorRT, tmp_path: Path) -> None:
    path = tmp_path / "segmentation.onnx"
    path.write_bytes(tiny_graph("segmentation"))
    network = library.deserialize("segmentation", fake_plan(path), {"map": "vessels"})
    assert "map" in network.outputs
    assert "vessels" not in network.outputs
    network.bind("map", 512)


def test_a_tensor_without_an_address_is_refused(segmentation: Network, cuda: FakeCuda) -> None:
    stream = cuda.stream()
    with pytest.raises(EngineError, match=r"cannot be put into the stream: .*Address is not set for tensor image"):
        segmentation.enqueue(stream)


@pytest.mark.parametrize("address", [0, 100])
def test_an_address_that_is_none_is_refused(segmentation: Network, address: int) -> None:
    with pytest.raises(EngineError, match="vessels cannot lie at"):
        segmentation.bind("vessels", address)


def test_a_name_that_is_not_in_the_plan_is_refused(segmentation: Network) -> None:
    with pytest.raises(EngineError, match="probabilities cannot lie at"):
        segmentation.bind("probabilities", 512)


def test_work_reads_its_inputs_when_its_turn_comes(segmentation: Network, cuda: FakeCuda) -> None:
    addresses, stream = bind(segmentation, cuda), cuda.stream()
    segmentation.enqueue(stream)
    cuda.view((addresses["image"], 256 * 256 * 3), "test").fill(0)
    cuda.synchronize(stream)
    vessels = cuda.view((addresses["vessels"], 256 * 256 * 4), "test").view(np.float32)
    np.testing.assert_allclose(vessels, 0.5)


def test_memory_freed_under_work_is_found(segmentation: Network, cuda: FakeCuda) -> None:
    bind(segmentation, cuda)
    stream = cuda.stream()
    segmentation.enqueue(stream)
    cuda._free_device(cuda._held.device[0])
    with pytest.raises(GpuLost, match=r"network, image: memory at .* is used after it was freed"):
        cuda.synchronize(stream)


def test_a_context_dropped_under_work_is_found(segmentation: Network, cuda: FakeCuda) -> None:
    bind(segmentation, cuda)
    segmentation.enqueue(cuda.stream())
    segmentation.close()
    gc.collect()
    with pytest.raises(ContractBroken, match="an execution context was dropped while its work was not done"):
        cuda.check()


def test_a_context_dropped_under_a_graph_is_found(segmentation: Network, cuda: FakeCuda) -> None:
    bind(segmentation, cuda)
    stream = cuda.stream()
    segmentation.enqueue(stream)
    cuda.synchronize(stream)
    graph = cuda.capture(stream, lambda: segmentation.enqueue(stream))
    segmentation.close()
    gc.collect()
    cuda.drop(graph)
    with pytest.raises(ContractBroken, match="an execution context was dropped while a graph holds its work"):
        cuda.check()


def test_a_failure_is_not_given_an_earlier_ones_reason(segmentation: Network, cuda: FakeCuda) -> None:
    stream = cuda.stream()
    with pytest.raises(EngineError, match="Address is not set"):
        segmentation.enqueue(stream)
    with pytest.raises(EngineError, match="vessels cannot lie at 0x64: IExecutionContext::setTensorAddress"):
        segmentation.bind("vessels", 100)


def test_a_context_that_outlives_the_gpus_is_found(segmentation: Network, cuda: FakeCuda) -> None:
    cuda.close()
    with pytest.raises(ContractBroken, match="1 execution contexts outlive the GPU's context"):
        cuda.check()
    segmentation.close()


def test_the_first_run_cannot_be_captured(segmentation: Network, cuda: FakeCuda) -> None:
    bind(segmentation, cuda)
    stream = cuda.stream()
    with pytest.raises(EngineError, match="not permitted when stream is capturing"):
        cuda.capture(stream, lambda: segmentation.enqueue(stream))
    segmentation.enqueue(stream)
    cuda.synchronize(stream)
    cuda.capture(stream, lambda: segmentation.enqueue(stream))


@pytest.mark.parametrize("plan", [b"", b"\x00" * 64, b"[]", b'{"fake_plan": 1}', b"{" * 1000])
def test_what_is_no_plan_is_refused_with_its_reason(library: TensorRT, plan: bytes) -> None:
    with pytest.raises(IncompatiblePlan, match=r"is refused by TensorRT 10.3.0: IRuntime::deserializeCudaEngine: "):
        library.deserialize("segmentation", plan, {})


class Diagnostics(IntFlag):
    """TensorRT-RTX's words for why it refuses a plan, with its numbers."""

    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


def test_the_words_for_refusals_are_the_real_librarys() -> None:
    real = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX, whose names are compared, is not installed")
    found = real.EngineInvalidityDiagnostics.__members__
    assert {name: int(value) for name, value in found.items()} == {word.name: int(word) for word in Diagnostics}
    assert set(REMEDIES) <= set(found)


@pytest.mark.parametrize(
    ("diagnosis", "remedy"),
    [
        (Diagnostics.OLD_CUDA_DRIVER, "its driver is too old for it: install a newer NVIDIA driver"),
        (Diagnostics.OLD_CUDA_DRIVER | Diagnostics.VERSION_MISMATCH, "install a newer NVIDIA driver"),
        (Diagnostics.INSUFFICIENT_GPU_MEMORY, "free some"),
        (Diagnostics.MALFORMED_ENGINE, "copy the bundle again"),
        (Diagnostics.VERSION_MISMATCH, "rebuild it: python -m build_engines BUNDLE --target tensorrt-rtx"),
        (Diagnostics.UNSUPPORTED_CC, "rebuild it"),
        (Diagnostics(0), "rebuild it"),
    ],
)
def test_a_refused_plan_is_told_with_what_helps(cuda: FakeCuda, diagnosis: Diagnostics, remedy: str) -> None:
    library = TensorRT("rtx", FakeTensorRT(cuda))
    library.trt.EngineInvalidityDiagnostics = Diagnostics
    library._runtime.get_engine_validity = lambda plan: (object(), int(diagnosis))
    with pytest.raises(IncompatiblePlan) as caught:
        library.deserialize("segmentation", b"no plan", {})
    assert remedy in str(caught.value)
    assert ("rebuild" in str(caught.value)) == ("rebuild" in remedy)


def test_the_log_remembers_errors_and_warnings_and_forgets_them(cuda: FakeCuda) -> None:
    trt = FakeTensorRT(cuda)
    log = Remembered(trt)
    assert log.reason() == "its logger gave no reason"
    log.logger.log(trt.ILogger.Severity.INFO, "nothing of note")
    log.logger.log(trt.ILogger.Severity.WARNING, "a\n  warning")
    log.logger.log(trt.ILogger.Severity.ERROR, "the\ncause")
    log.logger.log(trt.ILogger.Severity.INTERNAL_ERROR, "its echo")
    assert (log.reason(), list(log.warnings)) == ("the cause", ["a warning"])
    log.clear()
    assert log.reason() == "its logger gave no reason"
