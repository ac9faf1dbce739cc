"""Which backend is taken, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import runtime.engines.tensorrt.load as module
from device.frame import Frame
from runtime import Screener
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.cuda.errors import CudaError
from runtime.cuda.fake import FakeCuda
from runtime.cuda.probe import Probe, has_driver
from runtime.engines import load_engine
from runtime.engines.tensorrt.fake import FakeTensorRT
from runtime.engines.tensorrt.network import TensorRT, import_library
from runtime.errors import EngineError, IncompatiblePlan
from runtime.plan_key import PlanKey
from runtime.screen.__main__ import main
from tests.pictures import retina
from tests.runtime.engines.tensorrt.fake_plans import KEY, FakeMachine, both_plans, fake_machine, write_plans

FOUND = Probe("Fake GPU", (8, 6), "12.6", "10.3.0.26")


@pytest.fixture
def with_gpu(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """This machine, as if it had the fake GPU with TensorRT 10.3.0 (and no TensorRT-RTX)."""
    gpu(machine, monkeypatch)
    return machine


def gpu(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_installed", lambda name: name == "tensorrt")
    monkeypatch.setattr(module, "has_driver", lambda: True)
    monkeypatch.setattr(module, "probe", lambda name: FOUND)
    monkeypatch.setattr(module, "import_library", lambda library: TensorRT(library, machine.trt))
    monkeypatch.setattr(module, "open_cuda", lambda: machine.cuda)


def test_auto_takes_tensorrt_where_all_is_there(with_gpu: FakeMachine) -> None:
    with load_engine(with_gpu.bundle) as engine:
        assert (engine.facts.backend, engine.facts.device) == ("tensorrt", "Fake GPU")
        assert "plan sm86-trt10.3.0-fp32" in engine.facts.why


def test_auto_says_why_it_is_openvino_where_nothing_is_there(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_installed", lambda name: name == "tensorrt_rtx")
    monkeypatch.setattr(module, "has_driver", lambda: False)
    with load_engine(tiny) as engine:
        assert engine.facts.backend == "openvino"
        assert engine.facts.why.endswith("tensorrt: not installed; tensorrt-rtx: no NVIDIA driver on this machine")


def test_auto_says_how_a_plan_is_built_where_only_that_is_missing(
    with_gpu: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(with_gpu.bundle.path / "plans")
    monkeypatch.setattr(module, "probe", lambda name: pytest.fail("asked for a GPU that it has no plan for"))
    with load_engine(with_gpu.bundle) as engine:
        assert engine.facts.backend == "openvino"
        assert "tensorrt: bundle test has no plan for it; build one: python -m build_engines" in engine.facts.why
    with_gpu.cuda.close()


@pytest.mark.parametrize("what", ["other version", "no release", "altered", "library crashes"])
def test_auto_goes_on_without_a_plan_that_is_refused_and_says_so(
    with_gpu: FakeMachine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    expected = {
        "other version": "plan was built for sm86 / TensorRT 10.3.0, this machine has sm86 / 11.4.0",
        "no release": "library version '10.3': expected three numbers or more",
        "altered": "was altered or cut short",
        "library crashes": "tensorrt crashes when it is loaded (SIGSEGV)",
    }[what]
    if what == "other version":
        monkeypatch.setattr(module, "probe", lambda name: dataclasses.replace(FOUND, library_version="11.4.0.1"))
    elif what == "no release":
        monkeypatch.setattr(module, "probe", lambda name: dataclasses.replace(FOUND, library_version="10.3"))
    elif what == "altered":
        (with_gpu.bundle.path / "plans" / str(KEY) / "classifier.plan").write_bytes(b"other")
    else:

        def crash(name: str) -> Probe:
            raise CudaError(f"CUDA: {expected}")

        monkeypatch.setattr(module, "probe", crash)
    with load_engine(with_gpu.bundle) as engine:
        assert engine.facts.backend == "openvino"
        assert expected in engine.facts.why
    with_gpu.cuda.close()


def test_tensorrt_asked_for_by_name_is_not_replaced(with_gpu: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", lambda name: dataclasses.replace(FOUND, compute_capability=(8, 9)))
    with pytest.raises(
        IncompatiblePlan,
        match=r"plan was built for sm86 / TensorRT 10.3.0, this machine has sm89 / 10.3.0; "
        r"rebuild it: python -m build_engines BUNDLE --target tensorrt",
    ):
        load_engine(with_gpu.bundle, "tensorrt")
    with_gpu.cuda.close()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("python3", "which this environment does not see; make one that does: make jetson"),
        ("python{}.{}".format(*sys.version_info[:2]), "which this environment does not see"),
        ("python3.8", "for Python 3.8, this is .*; make PYTHON=python3.8 VENV=.venv-3.8 jetson"),
    ],
)
def test_a_library_that_only_the_system_sees_is_told_from_one_that_is_not_there(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, message: str
) -> None:
    package = tmp_path / folder / "dist-packages" / "tensorrt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(module, "SYSTEM_PACKAGES", tmp_path)
    monkeypatch.setattr(module, "_installed", lambda name: False)
    with pytest.raises(EngineError, match=f"tensorrt: tensorrt is in .*{message}"):
        load_engine(tiny, "tensorrt")
    with load_engine(tiny) as engine:
        assert re.search(message, engine.facts.why)


@pytest.mark.parametrize(
    ("installed", "engine", "message"),
    [
        ((), "tensorrt", "tensorrt: tensorrt is not installed; install it from NVIDIA's index"),
        (("tensorrt",), "tensorrt", "tensorrt: no NVIDIA driver on this machine"),
        ((), "tensorrt-rtx", "tensorrt-rtx: tensorrt_rtx is not installed; install it: pip install tensorrt-rtx-cu13"),
        (("tensorrt_rtx",), "tensorrt-rtx", "tensorrt-rtx: no NVIDIA driver on this machine"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], engine: str, message: str
) -> None:
    monkeypatch.setattr(module, "_installed", lambda name: name in installed)
    monkeypatch.setattr(module, "has_driver", lambda: False)
    with pytest.raises(EngineError, match=message) as caught:
        load_engine(tiny, engine)
    assert "or choose --engine openvino" in str(caught.value)


@pytest.mark.parametrize("holds", [{}, {"__version__": "10.3.0"}, {"__version__": "10"}])
def test_a_module_that_is_not_nvidias_library_is_refused(
    monkeypatch: pytest.MonkeyPatch, holds: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(**holds))
    with pytest.raises(EngineError, match=r"tensorrt: tensorrt cannot be used \(.*\); install one that fits"):
        import_library("trt")


@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-rtx"])
def test_the_command_says_so_and_ends_with_2(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim:", "--engine", engine, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"runtime.screen: {engine}: " in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out" / "readings.jsonl").exists()


def test_whole_frames_get_the_reading_that_openvino_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(DEMONSTRATION, folder)
    bundle = open_bundle(folder)
    write_plans(bundle, both_plans(bundle))
    machines = fake_machine(bundle)
    machine = next(machines)
    gpu(machine, monkeypatch)
    frames = [Frame(retina(seed=seed), sequence=seed, source="test") for seed in (0, 3, 5)]  # no strange ones
    with Screener(bundle, engine="openvino", precision="fp32") as screener:
        expected = [screener.screen(frame) for frame in frames]
    with Screener(bundle, precision="fp32") as screener:
        got = [screener.screen(frame) for frame in frames]
    for one, other in zip(got, expected, strict=True):
        assert one.engine.backend == "tensorrt"
        assert one.outcome is other.outcome
        assert one.reason == other.reason
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
        assert one.vessel_fraction == pytest.approx(other.vessel_fraction, abs=1e-4)
        assert one.vessels is not None
        assert other.vessels is not None
        assert int(np.abs(one.vessels.astype(int) - other.vessels).max()) <= 1
        assert one.to_dict()["engine"]["why"].startswith("plan sm86-trt10.3.0-fp32; two engines, CUDA graph")
    with pytest.raises(StopIteration):
        next(machines)


def test_a_reading_carries_the_reason(tiny: Bundle) -> None:
    cuda = FakeCuda()
    write_plans(tiny, both_plans(tiny))
    with Screener(tiny, engine=FakeMachine(cuda, FakeTensorRT(cuda), tiny).load()) as screener:
        reading = screener.screen(Frame(retina(), sequence=0, source="test"))
    assert reading.to_dict()["engine"]["why"] == reading.engine.why != ""
    cuda.check()


def built_on(bundle: Bundle, gpu: str | None, memory_mib: int | None) -> None:
    """Let the bundle's plan say what it was built on."""
    path = bundle.path / "plans" / str(KEY) / "plan.json"
    content = json.loads(path.read_text())
    content["builder"] |= {"gpu": gpu, "gpu_memory_mib": memory_mib}
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("gpu", "built_mib", "here_mib", "refusal"),
    [
        ("Fake GPU", 8192, 8192, ""),
        ("Fake GPU", 8192, 7800, ""),
        ("Fake GPU", None, 8192, ""),
        ("Fake GPU", 8192, 0, ""),
        (None, None, 8192, ""),
        ("NVIDIA Other", None, 8192, r"was built on NVIDIA Other, this machine has Fake GPU; rebuild it"),
        ("Fake GPU", 65536, 7800, r"was built on Fake GPU with 65536 MiB, this machine has Fake GPU with 7800 MiB"),
    ],
)
def test_a_plan_of_another_model_of_gpu_is_not_taken(
    with_gpu: FakeMachine,
    monkeypatch: pytest.MonkeyPatch,
    gpu: str | None,
    built_mib: int | None,
    here_mib: int,
    refusal: str,
) -> None:
    monkeypatch.setattr(module, "probe", lambda name: dataclasses.replace(FOUND, memory_mib=here_mib))
    built_on(with_gpu.bundle, gpu, built_mib)
    if refusal:
        with pytest.raises(IncompatiblePlan, match=refusal):
            load_engine(with_gpu.bundle, "tensorrt")
        with_gpu.cuda.close()
    else:
        load_engine(with_gpu.bundle, "tensorrt").close()


@pytest.mark.parametrize(
    ("held", "taken"),
    [
        (("sm86-trt10.3.0-int8",), "int8"),
        (("sm86-trt10.3.0-fp16", "sm86-trt10.3.0-int8"), "fp16"),
        (("sm86-trt10.3.0-int8", "sm86-trt10.3.0-int8+fp16"), "int8+fp16"),
        (("sm89-trt10.3.0-fp32", "sm86-trt10.3.0-int8"), "int8"),
        (("sm86-rtx1.7.1-fp32", "sm86-trt10.3.0-int8"), "int8"),
        (("sm89-trt10.3.0-fp32",), "fp32"),
    ],
)
def test_without_a_default_the_most_exact_plan_that_is_there_is_taken(
    with_gpu: FakeMachine, held: tuple[str, ...], taken: str
) -> None:
    plans = with_gpu.bundle.path / "plans"
    shutil.rmtree(plans)
    for name in held:
        (plans / name).mkdir(parents=True)
    assert module.plans_there(with_gpu.bundle, "trt") == PlanKey.parse(f"sm86-trt10.3.0-{taken}").precisions
    with_gpu.cuda.close()


def test_without_any_plan_there_is_no_choice(tiny: Bundle) -> None:
    assert module.plans_there(tiny, "trt") is None
