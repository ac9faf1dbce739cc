"""The CPU backend: both graphs in OpenVINO, the segmentation's outputs bound as the classifier's inputs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines.base import Engine, Inference
from runtime.engines.cpu_class import limit, limit_takes_bf16
from runtime.engines.openvino_layout import channels_last, pass_channels_last
from runtime.engines.openvino_unsigned import unsigned_after_relu
from runtime.engines.openvino_upsample import merge_upsampling
from runtime.errors import DeadlineMissed, EngineError
from runtime.manifest import graph_name
from runtime.preprocess import SIDE
from runtime.reading import EngineFacts

if TYPE_CHECKING:
    from runtime.bundle import Bundle

FEATURES = tuple(f"features_{level}" for level in range(4))
STUCK_AFTER_MS = 2000
"""A cancelled request that has not ended after this long will not end."""


def cache_folder() -> Path:
    """Where compiled networks are kept: `rop-screening/openvino` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "rop-screening" / "openvino"


class OpenVINOEngine(Engine):
    """Both networks on the CPU, one frame at a time, for the least latency.

    threads: CPU threads, None leaves the number to OpenVINO. `fp32` pins f32 arithmetic; `fp16` is the CPU's half
    precision (f16 or bf16), `int8` the Q/DQ graph with half precision between. A CPU without half precision runs f32
    in its place: `facts.device` names what really runs. Raises `EngineError` when OpenVINO is missing or refuses a
    graph.
    """

    def __init__(self, bundle: Bundle, precision: dict[str, str], threads: int | None = None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError(f"openvino: cannot be imported ({error}); install it: pip install openvino") from error
        core = openvino.Core()
        self._ov = openvino
        # Between the networks features are no wider than both of them calculate.
        features = "f32" if "fp32" in precision.values() else half_precision(core)
        compiled = {
            network: compile_graph(core, bundle, network, precision[network], features, threads)
            for network in precision
        }
        self.class_count = _class_count(compiled["classifier"], bundle)
        self.facts = EngineFacts(
            backend="openvino",
            precision="+".join(dict.fromkeys(precision.values())),
            device=str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip() + _runs(bundle, precision, compiled),
        )
        self._compiled = compiled
        self._bind()

    def _bind(self) -> None:
        """Make one request a network, and let them share the tensors between them."""
        self._segmentation = self._compiled["segmentation"].create_infer_request()
        self._classifier = self._compiled["classifier"].create_infer_request()
        self._image = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        image = self._ov.Tensor(self._image, shared_memory=True)
        self._segmentation.set_tensor("image", image)
        self._classifier.set_tensor("image", image)
        for name in ("vessels", *FEATURES):
            self._classifier.set_tensor(name, self._segmentation.get_tensor(name))
        self._vessels = self._segmentation.get_tensor("vessels").data[0, 0]
        self._probabilities = self._classifier.get_tensor("probabilities").data[0]
        self._logits = self._classifier.get_tensor("logits").data[0]

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        np.copyto(self._image, image)
        # A network that did not write its output must not leave the frame before's standing there.
        self._vessels.fill(np.nan)
        self._probabilities.fill(np.nan)
        start = time.perf_counter()
        self._run(self._segmentation, "segment", Deadline.after_ms(budget.segment).sooner(deadline))
        middle = time.perf_counter()
        self._run(self._classifier, "classify", Deadline.after_ms(budget.classify).sooner(deadline))
        end = time.perf_counter()
        return Inference(self._vessels, self._probabilities, self._logits, (middle - start) * 1e3, (end - middle) * 1e3)

    def _run(self, request: Any, stage: str, deadline: Deadline) -> None:
        deadline.check(stage)
        try:
            request.start_async()
            remaining_ms = deadline.remaining_ms()
            if remaining_ms is None:
                request.wait()
                return
            # wait_for counts whole milliseconds; one more is looked at by the check below.
            finished = request.wait_for(int(remaining_ms) + 1)
        except RuntimeError as error:
            raise EngineError(f"openvino: {stage} failed: {last_line(error)}") from error
        if not finished:
            self._abandon(request, stage)
            raise DeadlineMissed(f"late: {stage} did not end inside the budget")
        deadline.check(stage)

    def _abandon(self, request: Any, stage: str) -> None:
        """Cancel a late request, so that its leftovers cannot be taken for the next frame's result."""
        request.cancel()
        try:
            ended = request.wait_for(STUCK_AFTER_MS)
        except RuntimeError:  # how OpenVINO reports that the cancelling worked
            ended = True
        if not ended:
            raise EngineError(f"openvino: {stage} is stuck; restart the program")
        self._bind()

    def close(self) -> None:
        """Drop the requests and the compiled networks."""
        self.__dict__.pop("_segmentation", None)
        self.__dict__.pop("_classifier", None)
        self._compiled = {}


def compile_graph(
    core: Any, bundle: Bundle, network: str, precision: str, features: str, threads: int | None = None
) -> Any:
    """A bundle's graph as an `openvino.CompiledModel`, in the arithmetic that the precision stands for.

    features: element type in which feature maps are handed on, channels last, `f32`, `bf16` or `f16`.
    """
    name = graph_name(network, precision)
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "CACHE_DIR": str(_usable_cache()),
        "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else half_precision(core),
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    try:
        model = _read(core, bundle, name)
        if not channels_last(model):
            model = _read(core, bundle, name)
        pass_channels_last(model, FEATURES, features)
        return core.compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise EngineError(f"openvino: {name} of bundle {bundle.path} cannot be compiled: {last_line(error)}") from error


def _read(core: Any, bundle: Bundle, name: str) -> Any:
    """A bundle's graph as an `openvino.Model` for one frame, in the form that is fastest on a CPU."""
    model = core.read_model(bundle.read(name))
    if model.is_dynamic():  # a graph for any batch; frames come one at a time
        shapes = {port.any_name: list(port.partial_shape)[1:] for port in model.inputs}
        model.reshape({port: [1, *(side.get_length() for side in sides)] for port, sides in shapes.items()})
    unsigned_after_relu(model)
    merge_upsampling(model)
    return model


def half_precision(core: Any) -> str:
    """The half precision that OpenVINO itself chooses on this CPU, `bf16` or `f16`; `f32` where there is none."""
    return "f32" if limit_takes_bf16() else str(core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string())


def int8_layers(compiled: Any) -> int:
    """How many convolutions and matrix products of a compiled network run in 8-bit integers."""
    kinds = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
    facts = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    layers = [info for info in facts if info["layerType"].astype(str) in kinds]
    return sum(info["runtimePrecision"].astype(str) in ("i8", "u8") for info in layers)


def _runs(bundle: Bundle, precision: dict[str, str], compiled: dict[str, Any]) -> str:
    """What really runs, network by network; nothing where all of it is plain fp32."""
    if set(precision.values()) == {"fp32"}:
        return ""
    said = []
    for network, asked in precision.items():
        runs = str(compiled[network].get_property("INFERENCE_PRECISION_HINT").to_string())
        if asked == "int8":
            facts = bundle.manifest.quantization.get("classifier" if network == "classifier" else "segmentation")
            of = f" of {facts.layers}" if facts else ""
            runs = f"i8 in {int8_layers(compiled[network])}{of} layers and {runs}"
        said.append(f"{network} {runs}")
    return f" ({', '.join(said)})"


def _usable_cache() -> Path | str:
    """The cache folder, or none ("") where the user's home cannot be written: it is then slower to start.

    None either while OpenVINO is held to lesser kernels: what it keeps does not say so.
    """
    if limit():
        return ""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    return folder if os.access(folder, os.W_OK) else ""


def _class_count(classifier: Any, bundle: Bundle) -> int:
    count = int(classifier.output("probabilities").shape[1])
    if count != len(bundle.class_names):
        raise EngineError(
            f"bundle {bundle.path}: the classifier has {count} classes, the manifest names {len(bundle.class_names)}; "
            f"build the bundle again"
        )
    return count


def last_line(error: Exception) -> str:
    """What OpenVINO's error comes down to; the lines before it say where in its own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
