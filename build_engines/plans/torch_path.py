"""The second way in: the PyTorch networks through Torch-TensorRT's dynamo path, to compare with the first.

It needs a GPU, and a `torch_tensorrt` that fits both torch and TensorRT; where that cannot be imported it says so. It
has no INT8: the Q/DQ pairs stand in the ONNX graphs only.
"""

from __future__ import annotations

import copy
import importlib
import inspect as python_inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from build_engines.check_images import check_images
from build_engines.export import ExportedGraphs, check_parity
from build_engines.plans.build import PlanSettings, Serialized
from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.layers import inspect
from build_engines.plans.write import MadePlan
from build_engines.segimgnet import INPUT_SIDE, SegImgNet, SGAClassifier, UNet
from build_engines.segimgnet.checkpoint import load_checkpoint
from runtime.bundle import Bundle
from runtime.engines.tensorrt.log import Remembered
from runtime.manifest import graph_name
from runtime.plan_key import WHOLE, PlanKey

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
FEATURES = ("features_0", "features_1", "features_2", "features_3")
INPUTS = {"segmentation": ("image",), "classifier": ("image", "vessels", *FEATURES)}
OUTPUTS = {"segmentation": ("vessels", *FEATURES), "classifier": ("probabilities", "logits")}


class SegmentationModule(nn.Module):
    """`image` to `vessels` and `features_0..3`: inside in the precision, outside uint8 and float32."""

    def __init__(self, segmentation: UNet, dtype: torch.dtype) -> None:
        super().__init__()
        self.segmentation = copy.deepcopy(segmentation).eval().to(dtype)
        self.dtype = dtype

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """image: uint8 [1, 256, 256, 3]. Returns the graph's outputs in its order."""
        out = self.segmentation(_unit_range(image, self.dtype))
        return tuple(value.float() for value in (out.vessels, *out.features))


class ClassifierModule(nn.Module):
    """`image`, `vessels` and `features_0..3` to `probabilities` and `logits`: inside in the precision."""

    def __init__(self, classifier: SGAClassifier, dtype: torch.dtype) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval().to(dtype)
        self.dtype = dtype

    def forward(
        self,
        image: Tensor,
        vessels: Tensor,
        features_0: Tensor,
        features_1: Tensor,
        features_2: Tensor,
        features_3: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The graph's inputs; all but `image` float32. Returns its outputs, float32."""
        features = tuple(value.to(self.dtype) for value in (features_0, features_1, features_2, features_3))
        out = self.classifier(_unit_range(image, self.dtype), vessels.to(self.dtype), features)
        logits = out.logits.float()
        return torch.softmax(logits, dim=1), logits


def _unit_range(image: Tensor, dtype: torch.dtype) -> Tensor:
    # Cast before permute: TensorRT does nothing to uint8 but cast it.
    return image.to(dtype).permute(0, 3, 1, 2) / 255


def plan_from_checkpoint(
    trt: Any, bundle: Bundle, key: PlanKey, checkpoint: Path, settings: PlanSettings, report: Callable[[str], None]
) -> list[MadePlan]:
    """Both networks' plans for a key, from the checkpoint that the bundle was made of.

    Raises `CannotBuild` without Torch-TensorRT or for a precision that this way has not, `ParityError` for another
    checkpoint than the bundle's, `PlanRefused` when the conversion fails.
    """
    if not set(key.precisions.values()) <= DTYPES.keys():
        raise CannotBuild(
            f"--precision {key.precision}: torch-tensorrt makes fp32 and fp16; int8 needs --target tensorrt"
        )
    convert = _converter()
    network = load_checkpoint(checkpoint)
    graphs = ExportedGraphs(*(bundle.path / graph_name(name, "fp32") for name in WHOLE))
    report(f"{key}: the checkpoint is compared with the bundle")
    check_parity(network, graphs, check_images(None, 1))
    plans = []
    for name, module, inputs in networks(network, key):
        report(f"{key}: {name} from {checkpoint}")
        serialized = _serialize(trt, convert, name, module, inputs, key.precisions[name], settings)
        inspection = inspect(trt, serialized.content)
        found = None if isinstance(inspection, str) else inspection
        plans.append(MadePlan(name, graph_name(name, "fp32"), key.precisions[name], serialized, found))
    return plans


def networks(network: SegImgNet, key: PlanKey) -> list[tuple[Any, nn.Module, tuple[Tensor, ...]]]:
    """Name, module and example inputs of both networks, on the CPU."""
    image = torch.zeros((1, INPUT_SIDE, INPUT_SIDE, 3), dtype=torch.uint8)
    segmentation = SegmentationModule(network.segmentation, DTYPES[key.precisions["segmentation"]])
    classifier = ClassifierModule(network.classifier, DTYPES[key.precisions["classifier"]])
    with torch.no_grad():
        outputs = segmentation(image)
    return [("segmentation", segmentation, (image,)), ("classifier", classifier, (image, *outputs))]


def tensor_names(name: str, inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """The engine's names of the graph's tensors, where they differ.

    inputs, outputs: the engine's, in its order, which Torch-TensorRT keeps as the module's. Raises `PlanRefused`.
    """
    if len(inputs) != len(INPUTS[name]) or len(outputs) != len(OUTPUTS[name]):
        raise PlanRefused(f"{name}: the plan takes {inputs} and gives {outputs}, expected those of the graph")
    pairs = (*zip(INPUTS[name], inputs, strict=True), *zip(OUTPUTS[name], outputs, strict=True))
    return {ours: theirs for ours, theirs in pairs if ours != theirs}


def _converter() -> Any:
    try:
        torch_tensorrt = importlib.import_module("torch_tensorrt")
    except Exception as error:  # without its libraries it can fail in any way
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CannotBuild(
            f"torch_tensorrt: cannot be imported ({first}); install the release that names torch "
            f"{torch.__version__.split('+')[0]} and this TensorRT, or use --target tensorrt"
        ) from error
    return torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine


def _serialize(
    trt: Any,
    convert: Any,
    name: str,
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    precision: str,
    settings: PlanSettings,
) -> Serialized:
    begun = time.monotonic()
    wanted = {
        "optimization_level": settings.optimization_level,
        "workspace_size": (settings.workspace_mib or 0) * 2**20,
        "disable_tf32": precision == "fp32",
        "require_full_compilation": True,
        "use_explicit_typing": True,  # the default of later releases, which no longer take it
    }
    taken = python_inspect.signature(convert).parameters
    options = {option: value for option, value in wanted.items() if option in taken}
    try:
        there = tuple(value.cuda() for value in inputs)
        with torch.no_grad():
            program = torch.export.export(module.cuda(), there)
        content = bytes(convert(program, arg_inputs=there, **options))
    except Exception as error:  # conversion, builder and CUDA each raise their own kinds
        lines = str(error).splitlines() or [type(error).__name__]
        raise PlanRefused(f"{name}: torch-tensorrt converts it not: {lines[0][:300]}") from error
    return Serialized(
        content=content,
        seconds=round(time.monotonic() - begun, 3),
        strongly_typed=True,
        flags=(),
        network_layers={},
        tensors=tensor_names(name, *_engine_tensors(trt, name, content)),
    )


def _engine_tensors(trt: Any, name: str, plan: bytes) -> tuple[list[str], list[str]]:
    """Names of a plan's inputs and outputs, in its order."""
    log = Remembered(trt)
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    if engine is None:
        raise PlanRefused(f"{name}: the plan of torch-tensorrt does not load: {log.reason()}")
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [given for given in names if engine.get_tensor_mode(given) == trt.TensorIOMode.INPUT]
    return inputs, [given for given in names if given not in inputs]
