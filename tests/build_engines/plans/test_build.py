from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from onnx import TensorProto, helper

import build_engines.plans.build
from build_engines.plans.build import PlanSettings, Serialized, known_architectures, serialize, typed_by_graph
from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.graph import scales_in_fp32
from build_engines.plans.layers import Inspection, read_inspection
from build_engines.plans.machine import Gpu, Machine
from build_engines.plans.onnx_path import graph_of
from build_engines.plans.progress import BuildProgress
from build_engines.plans.timing_cache import cache_file, keep_cache, take_cache
from runtime import open_bundle
from runtime.engines.tensorrt.log import Remembered

ROOT = Path(__file__).parents[3]


def graph(operator: str = "Relu", batch: int | str = 1) -> bytes:
    """`y = operator(x)`, float32 [batch, 4]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 4]) for name in "xy")
    made = helper.make_graph([helper.make_node(operator, ["x"], ["y"], "the_node")], "small", [x], [y])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 19), helper.make_opsetid("custom", 1)])
    content: bytes = model.SerializeToString()
    return content


def test_a_graph_becomes_a_plan_with_its_facts(rtx: Any) -> None:
    made = serialize(rtx, graph(), "fp32", title="small", architecture="sm89")
    assert len(made.content) > 1000
    assert made.strongly_typed
    assert made.network_layers == {"fp32": 1}
    assert made.flags == ()
    assert made.seconds > 0


def test_a_graph_with_a_free_batch_is_built_for_one_frame(rtx: Any) -> None:
    made = serialize(rtx, graph(batch="batch"), "fp32", title="small", architecture="sm86")
    assert len(made.content) > 1000


def test_fp32_is_not_rounded_to_tf32_and_other_precisions_may_be(rtx: Any) -> None:
    assert "TF32" not in serialize(rtx, graph(), "fp32", title="small", architecture="sm86").flags
    assert "TF32" in serialize(rtx, graph(), "fp16", title="small", architecture="sm86").flags


@pytest.mark.parametrize("architecture", ["sm75", "sm86", "sm120"])
def test_plans_differ_by_architecture(rtx: Any, architecture: str) -> None:
    assert architecture in known_architectures(rtx)
    assert serialize(rtx, graph(), "fp32", title="small", architecture=architecture).content


def test_an_architecture_that_the_library_lacks_is_refused_with_those_that_it_has(rtx: Any) -> None:
    with pytest.raises(CannotBuild, match=r"--arch sm87: TensorRT-RTX 1\.\d.* builds for sm75, .*choose one"):
        serialize(rtx, graph(), "fp32", title="small", architecture="sm87")


def test_a_refused_graph_brings_tensorrts_own_reason(rtx: Any) -> None:
    with pytest.raises(PlanRefused) as caught:
        serialize(rtx, graph("NoSuchOperator"), "fp32", title="small for sm86", architecture="sm86")
    text = str(caught.value)
    assert text.startswith("small for sm86: TensorRT-RTX's parser refuses the graph: ")
    assert "NoSuchOperator" in text
    assert "\n" not in text
    assert len(text) < 500


def test_a_graph_that_is_none_is_refused(rtx: Any) -> None:
    with pytest.raises(PlanRefused):
        serialize(rtx, b"", "fp32", title="small", architecture="sm86")


def test_the_phases_of_a_build_are_told(rtx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BuildProgress] = []

    class Kept(BuildProgress):
        def __init__(self, trt: Any, title: str) -> None:
            super().__init__(trt, title)
            seen.append(self)

    monkeypatch.setattr(build_engines.plans.build, "BuildProgress", Kept)
    serialize(rtx, graph(), "fp32", title="small", architecture="sm86")
    assert seen[0].phases >= 3


@pytest.mark.parametrize("where", ["log", "start", "step"])
def test_ctrl_c_during_a_build_ends_it(rtx: Any, where: str) -> None:
    """As it happens, in a process of its own, as a build is one."""
    code = f"from tests.build_engines.plans.test_build import interrupted_build; interrupted_build({where!r})"
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "ended as it was told\n"), done.stderr


def interrupted_build(where: str) -> None:
    """A build to which the signal comes while TensorRT calls back, mostly its logger, and Python acts upon it there."""
    import tensorrt_rtx

    before, calls = signal.getsignal(signal.SIGINT), []

    def interrupted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(where)
            if len(calls) == 1:
                signal.raise_signal(signal.SIGINT)
            return original(*arguments)

        return call

    class Log(Remembered):
        def __init__(self, trt: Any) -> None:
            super().__init__(trt)
            setattr(type(self.logger), "log", interrupted(type(self.logger).log))  # noqa: B010 (a class of the library)

    with pytest.MonkeyPatch.context() as patch:
        if where == "log":
            patch.setattr(build_engines.plans.build, "Remembered", Log)
        else:
            patch.setattr(BuildProgress, where, interrupted(getattr(BuildProgress, where)))
        with pytest.raises(KeyboardInterrupt):
            serialize(tensorrt_rtx, graph(), "fp32", title="small", architecture="sm86")
    assert calls
    assert signal.getsignal(signal.SIGINT) is before
    sys.stdout.write("ended as it was told\n")


def test_a_second_ctrl_c_is_not_held_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with BuildProgress(SimpleNamespace(), "small") as progress:  # TensorRT 8.6, which can only be waited for
        signal.raise_signal(signal.SIGINT)
        assert progress.cancelled
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


def test_tactics_that_the_library_does_not_take_are_told() -> None:
    trt, config = tensorrt_8()
    config.set_tactic_sources = lambda sources: False
    with pytest.raises(CannotBuild, match=r"--tactics own: TensorRT 8\.6\.2 does not take it"):
        serialize(trt, graph(), "fp32", title="small", settings=PlanSettings(tactics="own"))


def test_tensorrt_8_takes_fp16_from_the_fp32_graph() -> None:
    assert graph_of("segmentation", "fp16", typed=True) == "segmentation.fp16.onnx"
    assert graph_of("segmentation", "fp16", typed=False) == "segmentation.fp32.onnx"
    assert graph_of("segmentation", "int8", typed=False) == "segmentation.int8.onnx"


class Flag8(Enum):
    FP16 = 0
    INT8 = 1
    TF32 = 7

    def __int__(self) -> int:
        return int(self.value)


def tensorrt_8() -> tuple[Any, Any]:
    """As much of TensorRT 8.6 as the builder's path needs, and the configuration that it gives."""

    class Config:
        def __init__(self) -> None:
            self.flags = {Flag8.TF32}
            self.limits: dict[Any, int] = {}
            self.sources: int | None = None
            self.builder_optimization_level = 3
            self.profiling_verbosity: Any = None

        def set_flag(self, flag: Flag8) -> None:
            self.flags.add(flag)

        def clear_flag(self, flag: Flag8) -> None:
            self.flags.discard(flag)

        def get_flag(self, flag: Flag8) -> bool:
            return flag in self.flags

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            self.limits[pool] = size

        def set_tactic_sources(self, sources: int) -> bool:
            self.sources = sources
            return True

    config = Config()

    class Severity(Enum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    class ILogger:
        pass

    ILogger.Severity = Severity  # type: ignore[attr-defined]

    class Sources(Enum):
        CUBLAS, CUBLAS_LT, CUDNN, EDGE_MASK_CONVOLUTIONS, JIT_CONVOLUTIONS = range(5)

        def __int__(self) -> int:
            return int(self.value)

    class Creation(Enum):
        EXPLICIT_BATCH = 0

        def __int__(self) -> int:
            return int(self.value)

    network = SimpleNamespace(num_layers=0, num_inputs=0)

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def create_network(self, flags: int) -> Any:
            assert flags == 1  # EXPLICIT_BATCH
            return network

        def create_builder_config(self) -> Any:
            return config

        def build_serialized_network(self, network: Any, config: Any) -> bytes:
            return b"plan"

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            self.logger = logger

        def parse(self, content: bytes) -> bool:
            return True

    module = SimpleNamespace(
        __name__="tensorrt",
        __version__="8.6.2",
        ILogger=ILogger,
        Builder=Builder,
        OnnxParser=OnnxParser,
        NetworkDefinitionCreationFlag=Creation,
        BuilderFlag=Flag8,
        TacticSource=Sources,
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
        MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
    )
    return module, config


@pytest.mark.parametrize(
    ("precision", "flags"), [("fp32", set()), ("fp16", {"TF32", "FP16"}), ("int8", {"TF32", "FP16", "INT8"})]
)
def test_tensorrt_8_is_told_the_precision_by_flags(precision: str, flags: set[str]) -> None:
    trt, config = tensorrt_8()
    assert not typed_by_graph(trt)
    made = serialize(trt, graph(), precision, title="small", settings=PlanSettings(5, 64, "own"))
    assert set(made.flags) == flags == {flag.name for flag in config.flags}
    assert not made.strongly_typed
    assert (config.builder_optimization_level, config.limits) == (5, {"workspace": 64 * 2**20})
    assert config.sources == 0b11000


def refusing(monkeypatch: pytest.MonkeyPatch, reasons: list[str]) -> list[bytes]:
    """A builder that refuses one graph after the other with these words, and takes the next; what it was given."""
    given: list[bytes] = []

    def serialize_once(trt: Any, graph: bytes, **_: Any) -> Serialized:
        given.append(graph)
        if reasons:
            raise PlanRefused(reasons.pop(0))
        return Serialized(b"plan", 0.0, True, (), {})

    monkeypatch.setattr(build_engines.plans.build, "_serialize", serialize_once)
    return given


UNTYPED = "TensorRT 10.16.2 builds no plan of the graph: Could not infer output types for operation: 291: dequantize"


def test_a_graph_refused_for_its_half_scales_is_built_with_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = open_bundle().read("classifier.int8.onnx")
    given = refusing(monkeypatch, [UNTYPED])
    made = serialize(None, graph, "int8", title="classifier")
    assert given == [graph, scales_in_fp32(graph)]
    assert UNTYPED in made.remarks[0]
    assert "built with fp32 scales" in made.remarks[0]


@pytest.mark.parametrize(
    ("name", "reason", "tries"),
    [
        ("classifier.int8.onnx", "out of memory", 1),
        ("segmentation.int8.onnx", UNTYPED, 1),
        ("classifier.int8.onnx", UNTYPED, 2),
    ],
)
def test_any_other_refusal_stands(monkeypatch: pytest.MonkeyPatch, name: str, reason: str, tries: int) -> None:
    given = refusing(monkeypatch, [reason, "again"])
    with pytest.raises(PlanRefused, match=reason if tries == 1 else "again"):
        serialize(None, open_bundle().read(name), "int8", title="small")
    assert len(given) == tries


def test_tensorrt_8_builds_for_no_other_gpu() -> None:
    trt, _ = tensorrt_8()
    with pytest.raises(CannotBuild, match=r"TensorRT 8\.6\.2 builds for the GPU of this machine only"):
        serialize(trt, graph(), "fp32", title="small", architecture="sm87")


MACHINE = Machine("tensorrt", "10.3.0.26", Gpu("NVIDIA Orin (nvgpu)", "sm87", "12.6"))


def test_a_timing_cache_is_for_one_gpu_and_one_exact_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cache_file(MACHINE)
    assert file == tmp_path / "rop-screening" / "timing" / "NVIDIA-Orin-nvgpu_sm87_tensorrt_10.3.0.26.cache"
    other = Machine("tensorrt", "10.3.0.30", MACHINE.gpu)
    assert cache_file(other) != file
    assert cache_file(Machine("tensorrt", "10.3.0.26", None)) is None


class Caching:
    """A configuration that refuses any cache but its own."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def create_timing_cache(self, content: bytes) -> bytes:
        return content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.taken.append(cache)
        return cache in (b"", b"learned")

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: b"learned")


def test_a_timing_cache_is_kept_and_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.cache"
    config = Caching()
    take_cache(config, file)
    assert keep_cache(config, file) == ""
    take_cache(config, file)
    assert config.taken == [b"", b"learned"]
    assert [path.name for path in file.parent.iterdir()] == ["a.cache"]


def test_a_spoilt_timing_cache_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "a.cache").write_bytes(b"other")
    config = Caching()
    take_cache(config, tmp_path / "a.cache")
    assert config.taken == [b"other", b""]


def test_a_cache_that_cannot_be_written_does_not_fail_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    remark = keep_cache(Caching(), tmp_path / "file" / "a.cache")
    assert "cannot be written" in remark


def test_layers_are_counted_by_what_they_write() -> None:
    told = """{"Layers": [
        {"Name": "a", "Outputs": [{"Name": "x", "Format/Datatype": "Half"}]},
        {"Name": "b", "Outputs": [{"Name": "y", "Format/Datatype": "Channel major FP16 format where C % 8 == 0"}]},
        {"Name": "c", "Outputs": [{"Name": "z", "Format/Datatype": "Row major Int8 format (vectorized)"}]},
        {"Name": "d", "Outputs": [{"Name": "z", "Format/Datatype": "Row major linear FP32"}]},
        {"Name": "e", "Outputs": []}
    ], "Bindings": ["x"]}"""
    found = read_inspection(told)
    assert isinstance(found, Inspection)
    assert found.types == {"fp16": 2, "int8": 1, "fp32": 1, "other": 1}
    assert [layer["Name"] for layer in found.layers] == list("abcde")


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"Layers": ["a", "b"]}', '{"Layers": []}'])
def test_an_inspector_that_tells_nothing_is_said_so(told: str) -> None:
    assert "layers cannot be told" in str(read_inspection(told))
