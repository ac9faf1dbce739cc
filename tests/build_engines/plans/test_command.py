from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import build_engines.plans.command
import build_engines.plans.machine
import build_engines.plans.onnx_path
from build_engines.__main__ import main
from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.machine import Gpu, Machine, ask_machine, default_workspace_mib
from runtime import Bundle, BundleError, IncompatiblePlan, open_bundle
from runtime.cuda.errors import CudaError
from runtime.plan_key import PlanKey, release
from runtime.plans import find_plan, list_plans

RTX = ("--target", "tensorrt-rtx", "--arch")


@pytest.fixture
def version(rtx: Any) -> str:
    return release(rtx.__version__)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, rtx: Any) -> None:
    """Plans that are made at once, where the building itself is not what is looked at."""

    def serialize(trt: Any, graph: bytes, precision: str, *, title: str, **_: Any) -> Any:
        return build_engines.plans.build.Serialized(
            f"plan of {title}".encode(), 0.5, strongly_typed=True, flags=(), network_layers={precision: 3}
        )

    monkeypatch.setattr(build_engines.plans.onnx_path, "serialize", serialize)


def test_a_bundle_gets_plans_that_the_runtime_finds(
    toy_bundle: Bundle, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = toy_bundle.sha256
    assert main([str(toy_bundle.path), *RTX, "sm86", "--precision", "fp32", "--level", "1"]) == 0
    out, err = capsys.readouterr()
    assert "segmentation: " in out
    assert " MB in " in out
    assert "layers before fusion: " in out
    assert "segmentation from segmentation.fp32.onnx" in err
    bundle = open_bundle(toy_bundle.path)
    assert bundle.sha256 == before
    plan = find_plan(bundle, PlanKey("sm86", "rtx", version, "fp32"))
    assert plan.names == ("segmentation", "classifier")
    assert all(len(plan.read(name)) > 1_000 for name in plan.names)
    assert plan.manifest.builder.optimization_level == 1
    assert plan.manifest.builder.gpu is None
    with pytest.raises(IncompatiblePlan, match="this machine has sm89"):
        find_plan(bundle, PlanKey("sm89", "rtx", version, "fp32"))


@pytest.mark.usefixtures("quick")
def test_several_architectures_and_json(toy_bundle: Bundle, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(toy_bundle.path), *RTX, "sm86,sm120,sm86", "--json", "--parts"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines] == [f"sm86-rtx{version}-fp32", f"sm120-rtx{version}-fp32"]
    names = ["segmentation", "classifier", "raw", "guided"]
    assert [plan["name"] for plan in lines[0]["plans"]] == names
    assert {str(key) for key in list_plans(toy_bundle)} == {line["key"] for line in lines}
    plan = find_plan(toy_bundle, PlanKey("sm120", "rtx", version, "fp32"))
    assert [plan.read(name) for name in plan.names] == [
        f"plan of {name} for sm120-rtx{version}-fp32".encode() for name in names
    ]


@pytest.mark.usefixtures("quick")
def test_a_second_build_replaces_the_first_whole(toy_bundle: Bundle, version: str) -> None:
    main([str(toy_bundle.path), *RTX, "sm86", "--parts"])
    main([str(toy_bundle.path), *RTX, "sm86"])
    folder = toy_bundle.path / "plans"
    assert sorted(path.name for path in (folder / f"sm86-rtx{version}-fp32").iterdir()) == [
        "classifier.plan",
        "plan.json",
        "segmentation.plan",
    ]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.usefixtures("quick")
def test_a_build_that_fails_leaves_the_earlier_plan(
    toy_bundle: Bundle, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(toy_bundle.path), *RTX, "sm86"])
    earlier = find_plan(toy_bundle, PlanKey("sm86", "rtx", version, "fp32")).sha256

    def refuse(*_: Any, title: str, **__: Any) -> Any:
        raise PlanRefused(f"{title}: told to refuse")

    monkeypatch.setattr(build_engines.plans.onnx_path, "serialize", refuse)
    capsys.readouterr()
    assert main([str(toy_bundle.path), *RTX, "sm86"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("told to refuse")
    assert find_plan(toy_bundle, PlanKey("sm86", "rtx", version, "fp32")).sha256 == earlier


@pytest.mark.usefixtures("quick")
def test_ctrl_c_leaves_nothing(
    toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(build_engines.plans.onnx_path, "serialize", stop)
    assert main([str(toy_bundle.path), *RTX, "sm86"]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert list_plans(toy_bundle) == ()


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_nothing_and_says_so(
    toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.sinks.files.os.replace", full)
    assert main([str(toy_bundle.path), *RTX, "sm86"]) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert list((toy_bundle.path / "plans").iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_is_said(toy_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    (toy_bundle.path / "plans").write_bytes(b"in the way")
    assert main([str(toy_bundle.path), *RTX, "sm86"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*RTX, "sm86", "--precision", "int4"), "--precision: precision 'int4': expected fp32"),
        ((*RTX, "sm86", "--precision", "int8"), "no int8 graph of the segmentation network, it holds: fp32"),
        ((*RTX, "sm86", "--precision", "fp32+fp16"), "no fp16 graph of the classifier network, it holds: fp32"),
        ((*RTX, "sm87"), "--arch sm87: TensorRT-RTX"),
        ((*RTX, "fast"), "--arch fast: TensorRT-RTX"),
        ((*RTX, "sm86", "--workspace", "0"), "--workspace: got 0, expected 1 MiB or more"),
        (("--target", "tensorrt", "--arch", "sm86"), "builds for the GPU of this machine only"),
        (("--target", "torch-tensorrt"), "--checkpoint: --target torch-tensorrt needs the bundle's checkpoint"),
        ((*RTX, "sm86", "--checkpoint", "a.pth"), "takes none, it has the graphs"),
        (("--target", "torch-tensorrt", "--checkpoint", "a.pth", "--parts"), "builds both networks whole"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value[-2:]),
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    toy_bundle: Bundle, rtx: Any, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main([str(toy_bundle.path), *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not (toy_bundle.path / "plans").exists()


def test_what_is_no_bundle_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), *RTX, "sm86"]) == 2
    assert "manifest.json cannot be read" in capsys.readouterr().err


def test_an_altered_graph_is_not_built(toy_bundle: Bundle, rtx: Any, capsys: pytest.CaptureFixture[str]) -> None:
    graph = toy_bundle.path / "classifier.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    assert main([str(toy_bundle.path), *RTX, "sm86"]) == 2
    assert "was altered" in capsys.readouterr().err


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(module: str) -> Any:
        raise CudaError("CUDA: no NVIDIA driver on this machine")

    monkeypatch.setattr(build_engines.plans.machine, "has_driver", lambda: False)
    monkeypatch.setattr(build_engines.plans.machine, "probe", probe)


@pytest.mark.usefixtures("no_gpu", "quick")
def test_without_a_gpu_rtx_asks_for_architectures(toy_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(toy_bundle.path), "--target", "tensorrt-rtx"]) == 2
    assert "there is no GPU here, so name the ones to build for: sm75, sm80, sm86" in capsys.readouterr().err


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_tensorrt_says_what_can_be_done(toy_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(toy_bundle.path), "--target", "tensorrt"]) == 2
    err = capsys.readouterr().err
    assert "no NVIDIA driver" in err
    assert "--target tensorrt-rtx --arch sm86" in err


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "ModuleNotFoundError"),
        ("import os; os.kill(os.getpid(), 11)", "it ends by signal 11"),
        ("raise OSError('libnvinfer.so.10: cannot open')", "libnvinfer.so.10: cannot open"),
        ("__version__ = '10.3.0'", "no attribute 'Builder'"),
    ],
    ids=["missing", "crashes", "raises", "no library"],
)
def test_a_library_that_is_none_is_said_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, message: str
) -> None:
    if body is not None:
        (tmp_path / "a_tensorrt.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CannotBuild, match=r"a_tensorrt: no builder can be made .*install the library") as caught:
        ask_machine("a_tensorrt", gpu_needed=False)
    assert message in str(caught.value)


def test_a_gpu_here_is_what_is_built_for(
    toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """TensorRT's own path, with a stand-in for the library and for its builder."""
    fake = SimpleNamespace(__version__="10.3.0.26", __name__="tensorrt", NetworkDefinitionCreationFlag=object())
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    machine = Machine("tensorrt", "10.3.0.26", Gpu("Orin", "sm87", "12.6"))
    monkeypatch.setattr(build_engines.plans.command, "ask_machine", lambda module, gpu_needed: machine)
    caches = []

    def serialize(trt: Any, graph: bytes, precision: str, *, architecture: str | None, cache: Path, **_: Any) -> Any:
        assert trt is fake
        assert architecture is None
        caches.append(cache)
        return build_engines.plans.build.Serialized(b"p", 1.0, strongly_typed=False, flags=("FP16",), network_layers={})

    monkeypatch.setattr(build_engines.plans.onnx_path, "serialize", serialize)
    layers = build_engines.plans.layers.Inspection(({"Name": "conv"},), {"fp16": 12, "int8": 3})
    monkeypatch.setattr(build_engines.plans.onnx_path, "inspect", lambda trt, plan: layers)
    # Not typed by the graph, so FP16 is made of the fp32 graphs.
    assert main([str(toy_bundle.path), "--target", "tensorrt", "--precision", "fp16"]) == 0
    plan = find_plan(toy_bundle, PlanKey("sm87", "trt", "10.3.0", "fp16"))
    assert [entry.graph for entry in plan.manifest.plans] == ["segmentation.fp32.onnx", "classifier.fp32.onnx"]
    assert plan.manifest.builder.gpu == "Orin"
    assert plan.manifest.builder.flags == ("FP16",)
    assert json.loads((plan.path / "classifier.layers.json").read_text()) == [{"Name": "conv"}]
    assert "layers: 12 fp16, 3 int8" in capsys.readouterr().out
    assert {cache.parent for cache in caches} == {tmp_path / "cache" / "rop-screening" / "timing"}


def test_a_copied_bundle_keeps_its_plans(toy_bundle: Bundle, quick: None, version: str, tmp_path: Path) -> None:
    main([str(toy_bundle.path), *RTX, "sm86"])
    copy = open_bundle(shutil.copytree(toy_bundle.path, tmp_path / "copy"))
    key = PlanKey("sm86", "rtx", version, "fp32")
    assert find_plan(copy, key).read("segmentation") == find_plan(toy_bundle, key).read("segmentation")
    (copy.path / "plans" / str(key) / "segmentation.plan").write_bytes(b"altered")
    with pytest.raises(BundleError, match="altered"):
        find_plan(copy, key).read("segmentation")


@pytest.mark.parametrize(
    ("compatible", "meminfo", "expected"),
    [
        ("nvidia,p3767-0000\0nvidia,tegra234", "MemTotal: 7990000 kB\nMemAvailable:    4194304 kB\n", 2048),
        ("nvidia,tegra234", "MemAvailable:    1024 kB\n", 64),
        ("nvidia,tegra234", "MemTotal: 7990000 kB\n", None),
        (None, "MemAvailable:    4194304 kB\n", None),
    ],
)
def test_where_gpu_and_system_share_memory_a_build_leaves_half(
    tmp_path: Path, compatible: str | None, meminfo: str, expected: int | None
) -> None:
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(meminfo)
    if compatible is not None:
        (tmp_path / "proc" / "device-tree" / "compatible").write_text(compatible)
    assert default_workspace_mib(tmp_path) == expected
