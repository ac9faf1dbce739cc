"""A GPU's plans measured and adopted, on the stand-in for TensorRT: what a GPU's figures are is not asked here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import build_engines.report.command as command
import runtime.engines.tensorrt.load as load
from build_engines.__main__ import main
from build_engines.report.adopt import adopt
from build_engines.report.choose import defaults
from build_engines.report.frames import NamedFrames, report_frames
from build_engines.report.store import read_report
from runtime import open_bundle
from runtime.bundle import Bundle
from runtime.cuda.fake import FakeCuda
from runtime.cuda.probe import Probe
from runtime.engines.tensorrt.fake import FakeTensorRT
from runtime.engines.tensorrt.network import TensorRT
from runtime.plan_key import PlanKey
from tests.build_engines.report.figures import report
from tests.runtime.conftest import manifest_content
from tests.runtime.engines.tensorrt.fake_plans import both_plans, write_plans
from tests.runtime.engines.tiny import tiny_graph

FRAMES = 8


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Tiny networks in fp32 and, to the bit the same, in what is called fp16; a report of a CPU."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    networks = ("segmentation", "classifier")
    graphs = {f"{name}.{precision}.onnx": tiny_graph(name) for name in networks for precision in ("fp32", "fp16")}
    for name, content in graphs.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest_content(graphs)))
    return adopt(open_bundle(folder), report(("fp32", "fp32"), "avx2"))


@pytest.fixture
def machine(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bundle]:
    """The bundle on this machine with a fake GPU, each engine's context its own; no plans yet."""
    opened: list[FakeCuda] = []

    def open_cuda() -> FakeCuda:
        opened.append(FakeCuda())
        return opened[-1]

    monkeypatch.setattr(load, "_installed", lambda name: name == "tensorrt")
    monkeypatch.setattr(load, "has_driver", lambda: True)
    monkeypatch.setattr(load, "probe", lambda name: Probe("Fake GPU", (8, 6), "12.6", "10.3.0.26"))
    monkeypatch.setattr(load, "open_cuda", open_cuda)
    monkeypatch.setattr(load, "import_library", lambda library: TensorRT(library, FakeTensorRT(opened[-1])))
    monkeypatch.setattr(command, "report_frames", few)
    yield bundle
    for cuda in opened:
        cuda.check()


def few(*asked: object) -> NamedFrames:
    """The first of the simulated camera's."""
    found = report_frames(None)
    return NamedFrames(found.truth, islice(found.frames, FRAMES))


def plans(bundle: Bundle, *words: str, architecture: str = "sm86") -> None:
    for word in words:
        write_plans(bundle, both_plans(bundle), PlanKey(architecture, "trt", "10.3.0", word))


def measured(bundle: Bundle, *options: str) -> int:
    return main(["report", str(bundle.path), "--measure", "--engine", "tensorrt", *options])


def test_a_gpus_default_is_measured_and_adopted_beside_the_cpus(
    machine: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    plans(machine, "fp32", "fp16", "fp16+fp32")
    assert measured(machine, "--adopt") == 0, capsys.readouterr().err
    after = open_bundle(machine.path)
    held = read_report(after)
    assert held.machine.backend == "openvino"
    (found,) = held.others
    assert (found.machine.backend, found.machine.processor) == ("tensorrt", "Fake GPU")
    pairs = [(found.segmentation, found.classifier) for found in found.combinations]
    assert sorted(pairs) == [("fp16", "fp16"), ("fp16", "fp32"), ("fp32", "fp32")]
    assert all(pair.every.frames == FRAMES and pair.every.same_outcomes == 1 for pair in found.combinations)
    assert after.manifest.default_precision == {
        **defaults(report(("fp32", "fp32"), "avx2")),
        "tensorrt": found.chosen,
    }
    assert "by tensorrt on Fake GPU" in (after.path / "MODEL_CARD.md").read_text()
    assert after.resolve_precision("tensorrt", "auto") == found.chosen  # what a cart does


def test_the_other_backends_report_stays_when_a_cpu_is_measured_anew(bundle: Bundle) -> None:
    gpu = report(("fp16", "fp16"))
    gpu = gpu.model_copy(update={"machine": gpu.machine.model_copy(update={"backend": "tensorrt"})})
    bundle = adopt(adopt(bundle, gpu), report(("fp32", "fp32"), "amx"))
    assert {(found.machine.backend, found.machine.cpu_class) for found in read_report(bundle).others} == {
        ("openvino", "avx2"),
        ("tensorrt", None),
    }
    assert bundle.manifest.default_precision["tensorrt"] == gpu.chosen


@pytest.mark.parametrize(
    ("words", "architecture", "told"),
    [
        ((), "sm86", "for this machine: none; one of fp32 and others are needed, build them: python -m build_engines"),
        (("fp32",), "sm86", "for this machine: fp32 + fp32; one of fp32"),
        (("fp16",), "sm86", "for this machine: fp16 + fp16; one of fp32"),
        (("fp32", "fp16"), "sm89", "for this machine: none"),
    ],
)
def test_without_a_plan_of_fp32_and_another_nothing_is_measured(
    words: tuple[str, ...],
    architecture: str,
    told: str,
    machine: Bundle,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plans(machine, *words, architecture=architecture)
    assert measured(machine) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--engine", "tensorrt"], "is measured anew; give --measure or --data, too"),
        (["--engine", "tensorrt", "--measure", "--threads", "2"], "takes no --cpu-class or --threads"),
        (["--engine", "tensorrt", "--measure", "--cpu-class", "avx2"], "takes no --cpu-class or --threads"),
        (["--engine", "tensorrt-rtx", "--measure"], "tensorrt-rtx: "),
    ],
)
def test_a_call_that_cannot_be_measured_is_one_line(
    arguments: list[str], told: str, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(bundle.path), *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    stages = [line for line in said if line.startswith("every precision by turns on ")]
    assert len(said) == len(stages) + 1
    assert told in said[-1]
