"""A bundle's graphs, compiled for the CPU by OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.cores import allowed_cores
from runtime.cpu_class import limit_takes_bf16
from runtime.engines.base import ENCODED_FROM
from runtime.engines.openvino.branches import Branches, BranchesRequest, branches_of
from runtime.engines.openvino.encoded import with_means
from runtime.engines.openvino.gates import GATES, gates_model, move_gates
from runtime.engines.openvino.layout import channels_last, pass_channels_last
from runtime.engines.openvino.saved import read_saved, saved_for
from runtime.engines.openvino.unsigned import unsigned_after_relu
from runtime.engines.openvino.upsample import merge_upsampling
from runtime.errors import EngineError
from runtime.manifest import NETWORKS, graph_name

if TYPE_CHECKING:
    from runtime.bundle import Bundle

ENCODED = "encoded"
"""The segmentation's further output, float32 [1, F]."""
FEATURES = tuple(f"features_{level}" for level in range(4))
IN_8_BITS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
"""OpenVINO's layers that INT8 is about."""


@dataclass(frozen=True, eq=False)
class CompiledGraph:
    """A network that is ready to run."""

    models: tuple[Any, ...]
    """`openvino.CompiledModel`s: one, or the classifier's raw branch, guided branch and head."""

    def request(self) -> Any:
        """An `openvino.InferRequest`, or a `BranchesRequest`."""
        return BranchesRequest(*self.models) if len(self.models) > 1 else self.models[0].create_infer_request()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it takes."""
        guided = self.models[-2] if len(self.models) > 1 else self.models[0]
        return tuple(port.get_any_name() for port in guided.inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""
        return tuple(port.get_any_name() for port in self.models[-1].outputs)

    @property
    def arithmetic(self) -> str:
        """In which it calculates where it does not in 8 bits: `f32`, `bf16` or `f16`."""
        return str(self.models[0].get_property("INFERENCE_PRECISION_HINT").to_string())

    @property
    def int8_layers(self) -> int:
        """How many convolutions and matrix products run in 8-bit integers."""
        return sum(map(int8_layers, self.models))


def compile_graph(
    core: Any, bundle: Bundle, network: str, precision: str, features: str, threads: int | None = None
) -> CompiledGraph:
    """One of a bundle's graphs by itself, in the arithmetic that the precision stands for. Raises `EngineError`.

    features: element type in which feature maps are handed on, channels last, `f32`, `bf16` or `f16`. threads: None
    leaves the number to OpenVINO.
    """
    model = _prepared(core, bundle, network, precision)
    with _as_engine_error(bundle, graph_name(network, precision)):
        pass_channels_last(model, FEATURES, features)
    return _compiled(core, bundle, model, network, precision, threads)


def compile_pair(
    core: Any, bundle: Bundle, precision: Mapping[str, str], threads: int | None = None
) -> tuple[CompiledGraph, CompiledGraph]:
    """Segmentation and classifier as they run after one another. Raises `EngineError`.

    precision: of `segmentation` and `classifier`. What both have by one name, the first gives and the second takes:
    `vessels`, and feature maps or the gates made of them, in the narrowest type that both of them calculate in. Graphs
    that the bundle holds saved in this form are taken as they are.
    """
    handed_on = handed_on_in(precision, half_precision(core))
    saved = saved_for(bundle, precision, handed_on)
    if saved is not None:
        with _as_engine_error(bundle, saved.folder):
            first, *second = read_saved(core, bundle, saved)
        branches = Branches(*second) if len(second) > 1 else None
    else:
        first, classifier = changed_pair(core, bundle, precision, handed_on)
        second, branches = [classifier], None
    segmentation, classifier = NETWORKS
    return (
        _compiled(core, bundle, first, segmentation, precision[segmentation], threads),
        _compiled(core, bundle, branches or second[0], classifier, precision[classifier], threads),
    )


def handed_on_in(precision: Mapping[str, str], half: str) -> str:
    """In which feature maps or gates are handed on. half: what half precision is on this CPU."""
    return "f32" if "fp32" in precision.values() else half


def changed_pair(core: Any, bundle: Bundle, precision: Mapping[str, str], handed_on: str) -> tuple[Any, Any]:
    """Both graphs as `openvino.Model`s in the form that runs after one another. Raises `EngineError`."""
    models = [_prepared(core, bundle, network, precision[network]) for network in NETWORKS]
    models[0] = with_means(models[0], ENCODED_FROM, ENCODED)
    single = [precision[network] == "fp32" for network in NETWORKS]
    with _as_engine_error(bundle, " with ".join(graph_name(network, precision[network]) for network in NETWORKS)):
        if single[0] == single[1]:  # a gate is calculated as the classifier is
            models = list(move_gates(models[0], models[1], FEATURES) or models)
        for model in models:
            pass_channels_last(model, (*FEATURES, *GATES), handed_on)
    return models[0], models[1]


def compile_gates(
    core: Any, bundle: Bundle, precision: Mapping[str, str], threads: int | None = None
) -> CompiledGraph | None:
    """The gates of a pair that hands on maps, as `compile_pair` does; None for a graph of another form."""
    model = gates_model(_prepared(core, bundle, "classifier", precision["classifier"]), FEATURES)
    if model is None:
        return None
    with _as_engine_error(bundle, graph_name("classifier", precision["classifier"])):
        pass_channels_last(model, FEATURES, handed_on_in(precision, half_precision(core)))
        return CompiledGraph((core.compile_model(model, "CPU", _options(core, precision["classifier"], threads)),))


def compile_branches(core: Any, bundle: Bundle, precision: Mapping[str, str]) -> CompiledGraph | None:
    """The classifier of `compile_pair` in its branches also where one thread runs it; None where it has none."""
    _, model = changed_pair(core, bundle, precision, handed_on_in(precision, half_precision(core)))
    with _as_engine_error(bundle, graph_name("classifier", precision["classifier"])):
        branches = branches_of(model)
        if branches is None:
            return None
        options = _options(core, precision["classifier"], 1)
        parts = (branches.raw, branches.guided, branches.head)
        return CompiledGraph(tuple(core.compile_model(part, "CPU", options) for part in parts))


def _prepared(core: Any, bundle: Bundle, network: str, precision: str) -> Any:
    """A graph as an `openvino.Model`, in the form that is fastest on a CPU."""
    name = graph_name(network, precision)
    with _as_engine_error(bundle, name):
        model = _read(core, bundle, name)
        return model if channels_last(model) else _read(core, bundle, name)


def _compiled(
    core: Any, bundle: Bundle, model: Any, network: str, precision: str, threads: int | None
) -> CompiledGraph:
    """From two threads on the classifier's branches run side by side, each on its share.

    model: an `openvino.Model`, or `Branches`, which run on one thread each where there is but one.
    Compiled at every start: what OpenVINO keeps compiled is code that no signature covers, see
    docs/decisions/0013-no-compile-cache.md.
    """
    options = _options(core, precision, threads)
    with _as_engine_error(bundle, graph_name(network, precision)):
        cores = 1 if network == "segmentation" else threads or _threads(core, options)
        branches = model if isinstance(model, Branches) else branches_of(model) if cores > 1 else None
        if branches is None:
            return CompiledGraph((core.compile_model(model, "CPU", options),))
        options["ENABLE_CPU_PINNING"] = False  # each would be pinned to the first cores
        shares = ((branches.raw, max(cores // 2, 1)), (branches.guided, cores - cores // 2), (branches.head, 1))
        compiled = [core.compile_model(part, "CPU", {**options, "INFERENCE_NUM_THREADS": n}) for part, n in shares]
        return CompiledGraph(tuple(compiled))


def _options(core: Any, precision: str, threads: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else half_precision(core),
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
        if threads < len(allowed_cores()):
            options["ENABLE_CPU_PINNING"] = False  # to the first cores, as those of every other such program
    return options


@contextmanager
def _as_engine_error(bundle: Bundle, name: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError(f"openvino: {name} of bundle {bundle.path} cannot be compiled: {last_line(error)}") from error


def int8_layers(compiled: Any) -> int:
    """How many convolutions and matrix products of an `openvino.CompiledModel` run in 8-bit integers."""
    facts = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    layers = [info for info in facts if info["layerType"].astype(str) in IN_8_BITS]
    return sum(info["runtimePrecision"].astype(str) in ("i8", "u8") for info in layers)


def half_precision(core: Any) -> str:
    """The half precision that OpenVINO itself chooses on this CPU, `bf16` or `f16`; `f32` where there is none."""
    return "f32" if limit_takes_bf16() else str(core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string())


def last_line(error: Exception) -> str:
    """What OpenVINO's error comes down to; the lines before it say where in its own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _read(core: Any, bundle: Bundle, name: str) -> Any:
    """A graph for one frame."""
    model = core.read_model(bundle.graph(name))
    if model.is_dynamic():  # a graph for any batch; frames come one at a time
        shapes = {port.any_name: list(port.partial_shape)[1:] for port in model.inputs}
        model.reshape({port: [1, *(side.get_length() for side in sides)] for port, sides in shapes.items()})
    unsigned_after_relu(model)
    merge_upsampling(model)
    return model


def _threads(core: Any, options: dict[str, Any]) -> int:
    """How many threads OpenVINO would take, asked of a graph that does nothing."""
    from openvino import Model, opset13

    nothing = opset13.parameter([1])
    compiled = core.compile_model(Model([opset13.relu(nothing)], [nothing]), "CPU", options)
    return int(compiled.get_property("INFERENCE_NUM_THREADS"))
