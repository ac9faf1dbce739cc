from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import runtime.engines.tensorrt.engine as module
from runtime import Budget
from runtime.budget import Deadline
from runtime.bundle import Bundle
from runtime.cuda.base import DeviceFacts
from runtime.cuda.errors import GPU_LOST_EXIT_CODE, CudaError, GpuLost
from runtime.cuda.fake import ContractBroken, FakeCuda
from runtime.engines.tensorrt.engine import known_frames
from runtime.engines.tensorrt.fake import FakeTensorRT, fake_plan
from runtime.errors import BundleError, DeadlineMissed, EngineError, IncompatiblePlan
from runtime.plans import find_plan
from tests.runtime.engines.tensorrt.fake_plans import KEY, FakeMachine, both_plans, write_plans
from tests.runtime.engines.tiny import tiny_bundle

FRAMES = known_frames()


def test_frames_get_what_openvino_gives_for_them_in_any_order(
    machine: FakeMachine, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    with machine.load() as engine:
        for turn in (0, 1, 1, 0, 1):
            got = engine.infer(FRAMES[turn])
            np.testing.assert_allclose(got.vessels, expected[turn][0], atol=1e-6)
            np.testing.assert_allclose(got.probabilities, expected[turn][1], atol=1e-6)
            assert got.segment_ms > 0
            assert got.classify_ms > 0
    assert not np.allclose(expected[0][0], expected[1][0])


def test_a_frame_is_one_graph_and_no_memory(machine: FakeMachine) -> None:
    with machine.load() as engine:
        launches, allocations = machine.cuda.launches, machine.cuda.allocations
        for _ in range(5):
            engine.infer(FRAMES[0])
        assert machine.cuda.launches == launches + 5
        assert machine.cuda.allocations == allocations
        assert engine.facts.backend == "tensorrt"
        assert engine.facts.why.startswith("plan sm86-trt10.3.0-fp32; two engines, CUDA graph; by fake")


def test_the_gpu_tells_its_own_time_by_stage(machine: FakeMachine) -> None:
    with machine.load() as engine:
        got = engine.infer(FRAMES[0])
        gpu = engine.gpu_ms()
        assert gpu is not None
        assert min(gpu.upload, gpu.segment, gpu.classify, gpu.download) > 0
        assert gpu.compute == gpu.segment + gpu.classify
        assert gpu.upload + gpu.compute + gpu.download <= got.segment_ms + got.classify_ms


@pytest.mark.parametrize("wrong", ["refused", "capture fails", "wrong results", "launch fails", "no graphs"])
def test_where_no_graph_can_be_had_single_calls_do_and_the_facts_say_so(
    machine: FakeMachine, expected: list[tuple[np.ndarray, np.ndarray]], wrong: str
) -> None:
    if wrong == "refused":
        machine.trt.refuses_capture = True
    elif wrong == "capture fails":
        machine.cuda.fail("cuGraphInstantiate", 801)
    elif wrong == "wrong results":
        machine.trt.wrong_in_graphs = 0.01
    elif wrong == "launch fails":
        machine.cuda.fail("cuGraphLaunch", 801)
    else:
        machine.cuda.has_graphs = False
    with machine.load() as engine:
        assert "single calls (no CUDA graph: " in engine.facts.why
        launches = machine.cuda.launches
        for frame, (vessels, probabilities) in zip(FRAMES, expected, strict=True):
            got = engine.infer(frame)
            np.testing.assert_allclose(got.vessels, vessels, atol=1e-6)
            np.testing.assert_allclose(got.probabilities, probabilities, atol=1e-6)
        assert machine.cuda.launches == launches


def test_an_integrated_gpu_reads_the_frame_where_it_was_written(
    tiny: Bundle, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    write_plans(tiny, both_plans(tiny))
    cuda = FakeCuda(DeviceFacts("Fake Orin", (8, 6), True, "12.6"))
    machine = FakeMachine(cuda, FakeTensorRT(cuda), tiny)
    cuda.fail("cuMemcpyHtoDAsync", 1)  # so any copy in would be seen
    with machine.load() as engine:
        for frame, (_, probabilities) in zip(FRAMES, expected, strict=True):
            np.testing.assert_allclose(engine.infer(frame).probabilities, probabilities, atol=1e-6)
    cuda.check()


def test_plans_with_a_free_batch_run_one_frame(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = tiny_bundle(tmp_path_factory.mktemp("free") / "bundle", free_batch=True)
    write_plans(bundle, both_plans(bundle))
    cuda = FakeCuda()
    with FakeMachine(cuda, FakeTensorRT(cuda), bundle).load() as engine:
        assert engine.infer(FRAMES[0]).probabilities.shape == (2,)
    cuda.check()


def test_the_classifier_in_two_parts_runs_beside_the_segmentation(
    tiny: Bundle, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    parts = {name: fake_plan(tiny.path / f"{name}.onnx") for name in ("raw", "guided")}
    write_plans(tiny, {"segmentation": both_plans(tiny)["segmentation"], **parts})
    cuda = FakeCuda()
    with FakeMachine(cuda, FakeTensorRT(cuda), tiny).load() as engine:
        assert "three engines, CUDA graph" in engine.facts.why
        for turn in (0, 1, 0):
            np.testing.assert_allclose(engine.infer(FRAMES[turn]).probabilities, expected[turn][1], atol=1e-6)
    cuda.check()


@pytest.mark.parametrize("faster", ["two engines", "three engines"])
def test_where_both_ways_are_there_the_faster_is_kept(
    tiny: Bundle,
    expected: list[tuple[np.ndarray, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
    faster: str,
) -> None:
    parts = {name: fake_plan(tiny.path / f"{name}.onnx") for name in ("raw", "guided")}
    write_plans(tiny, {**both_plans(tiny), **parts})
    monkeypatch.setattr(module, "MEASURED_RUNS", 2)
    times = iter([1.0, 2.0] if faster == "two engines" else [2.0, 1.0])
    measure = module.TensorRTEngine._median_ms
    monkeypatch.setattr(
        module.TensorRTEngine, "_median_ms", lambda self, pipeline: measure(self, pipeline) * 0 + next(times)
    )
    cuda = FakeCuda()
    with FakeMachine(cuda, FakeTensorRT(cuda), tiny).load() as engine:
        assert f"; {faster}, CUDA graph (measured: two engines " in engine.facts.why
        for turn in (0, 1, 0):
            np.testing.assert_allclose(engine.infer(FRAMES[turn]).probabilities, expected[turn][1], atol=1e-6)
    cuda.check()


def test_where_one_of_both_ways_cannot_be_had_the_other_is_used_and_says_so(
    tiny: Bundle, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    raw = fake_plan(tiny.path / "raw.onnx")
    write_plans(tiny, {**both_plans(tiny), "raw": raw, "guided": raw})  # which gives what raw has given already
    cuda = FakeCuda()
    with FakeMachine(cuda, FakeTensorRT(cuda), tiny).load() as engine:
        assert "two engines, CUDA graph (measured: two engines" in engine.facts.why
        assert "; three engines cannot be used: guided.plan gives " in engine.facts.why
        for turn in (0, 1, 0):
            np.testing.assert_allclose(engine.infer(FRAMES[turn]).probabilities, expected[turn][1], atol=1e-6)
    cuda.check()


def test_where_neither_way_can_be_had_the_first_ones_reason_is_told(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {name: fake_plan(tiny.path / f"{name}.onnx") for name in ("raw", "guided")}
    write_plans(tiny, {**both_plans(tiny), **parts})
    reasons = iter(["first", "second"])

    def fails(*_: object) -> str:
        raise EngineError(next(reasons))

    monkeypatch.setattr(module.TensorRTEngine, "_make_ready", fails)
    cuda = FakeCuda()
    with pytest.raises(EngineError, match="first"):
        FakeMachine(cuda, FakeTensorRT(cuda), tiny).load()
    cuda.check()


def test_a_late_frame_has_no_result_and_leaves_nothing_for_the_next(
    machine: FakeMachine, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    with machine.load() as engine:
        machine.cuda.stalled = True
        with pytest.raises(DeadlineMissed, match="late: the networks did not end inside the budget"):
            engine.infer(FRAMES[1], Budget(segment=5, classify=5))
        machine.cuda.stalled = False
        np.testing.assert_allclose(engine.infer(FRAMES[0]).probabilities, expected[0][1], atol=1e-6)


@pytest.mark.parametrize("stage", ["segment", "classify"])
def test_a_stage_that_took_too_long_is_named(machine: FakeMachine, stage: str) -> None:
    with machine.load() as engine, pytest.raises(DeadlineMissed, match=f"the budget was used up at {stage}"):
        engine.infer(FRAMES[0], Budget(**{stage: 1e-3}))


def test_a_gpu_that_hangs_is_said_to(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_AFTER_MS", 20)
    engine = machine.load()
    monkeypatch.setattr(module, "LONGEST_MS", 20)
    machine.cuda.stalled = True
    with pytest.raises(DeadlineMissed):  # without any budget
        engine.infer(FRAMES[0])
    with pytest.raises(EngineError, match="the GPU is stuck; restart the program"):
        engine.infer(FRAMES[0])
    engine.close()  # returns, and leaves the GPU's memory alone while work is on it
    assert machine.cuda.outstanding() > 0
    machine.cuda.stalled = False
    pipelines, networks, _, cuda = module._abandoned.pop()
    assert all(pipeline.wait(Deadline()) for pipeline in pipelines)
    for pipeline in pipelines:
        pipeline.drop_graph()
    for network in networks.values():
        network.close()
    cuda.close()


def test_closing_raises_nothing_where_the_gpu_will_not_say_whether_it_is_done(machine: FakeMachine) -> None:
    engine = machine.load()
    machine.cuda.fail("cuStreamQuery", 1)
    engine.close()
    pipelines, networks, _, cuda = module._abandoned.pop()
    for pipeline in pipelines:
        pipeline.drop_graph()
    for network in networks.values():
        network.close()
    cuda.close()


def test_an_output_that_no_network_writes_is_no_result(machine: FakeMachine) -> None:
    with machine.load() as engine:
        engine.infer(FRAMES[0])
        machine.trt.forgets = "probabilities"
        with pytest.raises(EngineError, match="probabilities: values from nan"):
            engine.infer(FRAMES[0])


def test_results_that_are_no_numbers_are_found_before_it_is_ready(machine: FakeMachine) -> None:
    machine.trt.forgets = "vessels"
    with pytest.raises(EngineError, match="a known frame gives numbers that are not finite"):
        machine.load()


def test_an_idle_gpu_is_kept_warm_and_a_busy_one_left_alone(
    machine: FakeMachine, expected: list[tuple[np.ndarray, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine.load() as engine:
        engine.infer(FRAMES[0])
        launches = machine.cuda.launches
        engine.keep_warm()
        assert machine.cuda.launches == launches
        monkeypatch.setattr(module, "WARM_FOR_S", 0.0)
        engine.keep_warm()
        assert machine.cuda.launches == launches + 1
        np.testing.assert_allclose(engine.infer(FRAMES[1]).probabilities, expected[1][1], atol=1e-6)


@pytest.mark.parametrize("call", ["cuGraphLaunch", "cuStreamQuery", "cuEventElapsedTime"])
def test_a_lost_gpu_ends_the_program_after_the_frame_at_hand(machine: FakeMachine, call: str) -> None:
    said: list[str] = []
    machine.cuda._on_lost = said.append
    engine = machine.load()
    machine.cuda.fail(call, 700)
    with pytest.raises(GpuLost, match=f"GPU lost: {call}: .*700"):
        engine.infer(FRAMES[0])
    assert said == [f"GPU lost: {call}: as it was told to fail (700)"]
    engine.keep_warm()
    with pytest.raises(SystemExit) as ended:
        engine.infer(FRAMES[0])
    assert ended.value.code == GPU_LOST_EXIT_CODE
    engine.close()
    module._abandoned.clear()
    machine.cuda._blocks.clear()  # a lost GPU's memory goes with the process
    machine.cuda._alive.clear()


def test_an_error_that_passes_is_one_frame_without_result(
    machine: FakeMachine, expected: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    with machine.load() as engine:
        machine.cuda.fail("cuGraphLaunch", 2)
        with pytest.raises(CudaError, match="cuGraphLaunch"):
            engine.infer(FRAMES[0])
        np.testing.assert_allclose(engine.infer(FRAMES[1]).probabilities, expected[1][1], atol=1e-6)


def test_another_thread_is_told_that_the_gpu_is_not_its_own(machine: FakeMachine) -> None:
    errors: list[Exception] = []

    def use() -> None:
        try:
            engine.infer(FRAMES[0])
        except CudaError as error:
            errors.append(error)

    with machine.load() as engine:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert "load the engine in the thread that uses it" in str(errors[0])


def refused(machine: FakeMachine, contents: dict[str, bytes], message: str) -> None:
    write_plans(machine.bundle, contents)
    with pytest.raises(IncompatiblePlan, match=message) as caught:
        machine.load()
    assert "\n" not in str(caught.value)


def test_a_plan_that_tensorrt_refuses_is_told_in_tensorrts_words(machine: FakeMachine) -> None:
    plans = both_plans(machine.bundle)
    refused(
        machine, {**plans, "classifier": b"\0" * 4096}, r"classifier.plan is refused by TensorRT 10.3.0: .*Magic tag"
    )


def test_a_plan_for_another_gpu_is_refused_with_the_reason(machine: FakeMachine) -> None:
    other = fake_plan(machine.bundle.path / "segmentation.fp32.onnx", architecture="sm87")
    refused(
        machine,
        {**both_plans(machine.bundle), "segmentation": other},
        r"generated for sm87, this device is sm86; rebuild it: python -m build_engines BUNDLE --target tensorrt",
    )


def test_plans_that_do_not_fit_together_are_refused(machine: FakeMachine) -> None:
    plans = both_plans(machine.bundle)
    refused(machine, {**plans, "segmentation": plans["classifier"]}, r"takes vessels, which nothing gives")
    refused(machine, {**plans, "classifier": plans["segmentation"]}, r"gives vessels, which is there already")


def test_an_altered_plan_is_refused_before_the_gpu_is_touched(machine: FakeMachine) -> None:
    path = find_plan(machine.bundle, KEY).path / "classifier.plan"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="was altered"):
        machine.load()
    assert machine.cuda.allocations == 0
    machine.cuda.close()


def test_too_little_memory_is_told_and_gives_back_what_it_took(tiny: Bundle) -> None:
    write_plans(tiny, both_plans(tiny))
    cuda = FakeCuda(memory_bytes=400_000)
    with pytest.raises(CudaError, match="out of memory"):
        FakeMachine(cuda, FakeTensorRT(cuda), tiny).load()
    cuda.check()


def test_a_closed_engine_leaves_memory_that_is_no_longer_its_own_alone(machine: FakeMachine) -> None:
    engine = machine.load()
    image = engine._pipeline.image
    engine.close()
    before = image.copy()
    with pytest.raises(EngineError, match="the engine was closed; load it again"):
        engine.infer(FRAMES[0])
    engine._last_s = 0.0
    engine.keep_warm()
    np.testing.assert_array_equal(image, before)
    assert np.isnan(engine._pipeline.logits).all()


def test_what_is_left_behind_makes_the_fake_fail(machine: FakeMachine) -> None:
    engine = machine.load()
    with pytest.raises(ContractBroken, match="memory not given back"):
        machine.cuda.check()
    engine.close()
    engine.close()


@pytest.fixture(autouse=True)
def nothing_abandoned() -> Iterator[None]:
    yield
    assert module._abandoned == []
