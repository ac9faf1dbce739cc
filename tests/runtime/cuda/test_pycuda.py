"""PyCUDA's provider on a stand-in written to PyCUDA's documentation; PyCUDA itself has no wheel to test with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import runtime.cuda
from runtime.cuda import open_cuda
from runtime.cuda.base import DeviceFacts
from runtime.cuda.errors import CudaError, GpuLost
from runtime.cuda.fake import FakeCuda
from runtime.cuda.pycuda import PyCuda
from runtime.engines.tensorrt.engine import TensorRTEngine, known_frames
from runtime.engines.tensorrt.fake import FakeTensorRT
from runtime.engines.tensorrt.network import TensorRT
from runtime.plans import find_plan
from tests.runtime.cuda.stand_in_pycuda import stand_in
from tests.runtime.engines.tensorrt.fake_plans import KEY, FakeMachine, both_plans, write_plans
from tests.runtime.engines.tiny import tiny_bundle


@pytest.fixture(params=[False, True], ids=["workstation", "jetson"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    cuda = FakeCuda(DeviceFacts("Fake GPU", (8, 6), request.param, "12.6"))
    for name, module in stand_in(cuda).items():
        monkeypatch.setitem(sys.modules, name, module)
    return cuda


def test_the_engine_runs_on_it_with_single_calls(gpu: FakeCuda, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    write_plans(bundle, both_plans(bundle))
    other = FakeCuda()
    with FakeMachine(other, FakeTensorRT(other), bundle).load() as engine:
        expected = [engine.infer(frame).probabilities.copy() for frame in known_frames()]
    plan = find_plan(bundle, KEY)
    with TensorRTEngine(plan, 2, lambda: TensorRT("trt", FakeTensorRT(gpu)), PyCuda) as engine:
        assert "single calls (no CUDA graph: CUDA: PyCUDA 2024.1.2 has no graphs)" in engine.facts.why
        for frame, wanted in zip(known_frames(), expected, strict=True):
            np.testing.assert_allclose(engine.infer(frame).probabilities, wanted, atol=1e-6)
    gpu.check()


def test_its_errors_become_ours(gpu: FakeCuda) -> None:
    lost: list[str] = []
    cuda = PyCuda(on_lost=lost.append)
    assert cuda.facts == gpu.facts
    assert cuda.memory() == gpu.memory()
    with pytest.raises(CudaError, match="CUDA: cuMemAlloc failed: out of memory"):
        cuda.device_buffer(2**40)
    stream = cuda.stream()
    cuda.synchronize(stream)
    gpu.fail("cuStreamQuery", 700)
    with pytest.raises(GpuLost, match=r"cuStreamQuery: an illegal memory access was encountered \(700\)"):
        cuda.finished(stream)
    assert len(lost) == 1


def test_it_is_taken_where_cuda_bindings_is_not_installed(gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.cuda, "_installed", lambda module: module == "pycuda")
    with open_cuda() as cuda:
        assert cuda.library == "PyCUDA 2024.1.2"
    monkeypatch.setattr(runtime.cuda, "_installed", lambda module: False)
    with pytest.raises(CudaError, match="neither cuda-bindings nor PyCUDA is installed"):
        open_cuda()
