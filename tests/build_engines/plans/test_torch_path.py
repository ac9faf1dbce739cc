from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import build_engines.plans.command
from build_engines.__main__ import main
from build_engines.plans.build import PlanSettings
from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.machine import Gpu, Machine
from build_engines.plans.torch_path import INPUTS, OUTPUTS, networks, plan_from_checkpoint, tensor_names
from build_engines.segimgnet import NetworkSize, SegImgNet
from runtime import Bundle
from runtime.plan_key import PlanKey

TINY = NetworkSize("tiny", (4, 8, 8, 8, 8), (8, 8, 8, 8), (1, 1, 1, 1), 8)


@pytest.fixture(scope="module")
def network() -> SegImgNet:
    torch.manual_seed(0)
    return SegImgNet(TINY, classes=2, layer_scale=0.5).eval()


def key(precision: str) -> PlanKey:
    return PlanKey("sm90", "trt", "11.0.0", precision)


def run(modules: list[tuple[Any, nn.Module, tuple[torch.Tensor, ...]]], image: torch.Tensor) -> dict[str, torch.Tensor]:
    (_, segmentation, _), (_, classifier, _) = modules
    with torch.no_grad():
        maps = segmentation(image)
        outputs = classifier(image, *maps)
    return dict(zip((*OUTPUTS["segmentation"], *OUTPUTS["classifier"]), (*maps, *outputs), strict=True))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("fp16", 5e-3), ("fp16+fp32", 5e-3)])
def test_the_modules_give_what_the_network_gives(network: SegImgNet, precision: str, tolerance: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels)
    found = run(networks(network, key(precision)), image)
    with torch.no_grad():
        seen, said = network(image.permute(0, 3, 1, 2) / 255)
    for name, expected in (("vessels", seen.vessels), ("probabilities", said.probabilities), ("logits", said.logits)):
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], expected, rtol=0, atol=tolerance)


def test_the_modules_are_exported_whole_with_the_graphs_inputs(network: SegImgNet) -> None:
    for name, module, inputs in networks(network, key("fp16")):
        program = torch.export.export(module, inputs)
        assert tuple(program.graph_signature.user_inputs) == INPUTS[name]
        assert len(program.graph_signature.user_outputs) == len(OUTPUTS[name])


def test_the_network_itself_stays_in_fp32(network: SegImgNet) -> None:
    networks(network, key("fp16"))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_names_that_differ_are_told() -> None:
    assert tensor_names("segmentation", ["image"], ["output0", "output1", "output2", "output3", "output4"]) == {
        "vessels": "output0",
        **{f"features_{level}": f"output{level + 1}" for level in range(4)},
    }
    assert tensor_names("classifier", list(INPUTS["classifier"]), ["probabilities", "logits"]) == {}
    with pytest.raises(PlanRefused, match="segmentation: the plan takes"):
        tensor_names("segmentation", ["image"], ["output0"])


def test_int8_needs_the_graphs(toy_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="makes fp32 and fp16; int8 needs --target tensorrt"):
        plan_from_checkpoint(None, toy_bundle, key("int8"), tmp_path, PlanSettings(), print)


@pytest.mark.parametrize("broken", [False, True], ids=["missing", "broken"])
def test_without_torch_tensorrt_a_line_says_so(
    toy_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: bool,
) -> None:
    (tmp_path / "torch_tensorrt.py").write_text("raise OSError('libnvinfer.so.11: no such file')")
    if broken:
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "torch_tensorrt", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    library = ModuleType("tensorrt")
    library.__version__ = "11.0.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    machine = Machine("tensorrt", "11.0.0", Gpu("H200", "sm90", "13.0"))
    monkeypatch.setattr(build_engines.plans.command, "ask_machine", lambda module, gpu_needed: machine)
    arguments = ["--target", "torch-tensorrt", "--precision", "fp16", "--checkpoint", str(tmp_path / "a.pth")]
    assert main([str(toy_bundle.path), *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("torch_tensorrt: cannot be imported (")
    assert f"names torch {torch.__version__.split('+')[0]} and this TensorRT" in err
    assert len(err.splitlines()) == 1
