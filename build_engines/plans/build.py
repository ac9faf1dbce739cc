"""From a graph to a serialized plan: one path through TensorRT 8.6, 10.3 to 11.4 and TensorRT-RTX.

Networks are strongly typed wherever that exists: the types stand in the graph, and no precision flag, layer precision
or calibrator is touched. Only TensorRT 8.6 is told by flags what it may use.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from build_engines.plans.errors import CannotBuild, PlanRefused
from build_engines.plans.graph import for_tensorrt, scales_in_fp32
from build_engines.plans.layers import type_word
from build_engines.plans.progress import BuildProgress
from build_engines.plans.timing_cache import keep_cache, take_cache
from runtime.engines.tensorrt.log import Remembered

OWN_TACTICS = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
"""TensorRT's own kernels; the other sources are cuBLAS and cuDNN, which TensorRT 11 no longer has."""


@dataclass(frozen=True)
class PlanSettings:
    """What may be chosen for a build."""

    optimization_level: int = 3
    """0 to 5, the library's own scale: higher tries more and takes longer."""
    workspace_mib: int | None = None
    """Most scratch memory on the GPU that a kernel may ask for; None leaves it to the library (all of it)."""
    tactics: Literal["default", "own"] = "default"
    """`own` keeps cuBLAS and cuDNN out, where they are missing or only stubs."""


@dataclass(frozen=True)
class Serialized:
    """A plan, and how it came about."""

    content: bytes
    seconds: float
    strongly_typed: bool
    flags: tuple[str, ...]
    network_layers: dict[str, int]
    """Layers of the parsed network by the type of their first output."""
    remarks: tuple[str, ...] = ()
    """What went less well, for the user."""
    tensors: dict[str, str] = field(default_factory=dict)
    """Names in the plan of the tensors that are called otherwise there than in the graphs."""


UNTYPED = "infer output types"
"""What TensorRT says of an operation between whose types it has no rule."""


def typed_by_graph(trt: Any) -> bool:
    """Whether the library takes a network's types from the graph. TensorRT 8.6 does not."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def serialize(
    trt: Any,
    graph: bytes,
    precision: str,
    *,
    title: str,
    architecture: str | None = None,
    settings: PlanSettings = PlanSettings(),
    cache: Path | None = None,
) -> Serialized:
    """Build a plan.

    trt: the module `tensorrt` or `tensorrt_rtx`; graph: an ONNX file's bytes; architecture: build for another GPU than
    this machine's, TensorRT-RTX only; cache: file of the timing cache, None for none. A graph that is refused for the
    types around its FP16 scales is tried once more with fp32 ones (`scales_in_fp32`), which a remark then says. Raises
    `PlanRefused` with the first line of TensorRT's reason, `CannotBuild` for an architecture that the library does not
    know.
    """
    build = partial(
        _serialize, trt, precision=precision, title=title, architecture=architecture, settings=settings, cache=cache
    )
    try:
        return build(graph)
    except PlanRefused as refused:
        lifted = scales_in_fp32(graph) if UNTYPED in str(refused) else graph
        if lifted is graph:
            raise
        made = build(lifted)
        remark = f"{title}: with FP16 scales it was refused ({refused}); built with fp32 scales"
        return replace(made, remarks=(*made.remarks, remark))


def _serialize(
    trt: Any,
    graph: bytes,
    *,
    precision: str,
    title: str,
    architecture: str | None,
    settings: PlanSettings,
    cache: Path | None,
) -> Serialized:
    begun = time.monotonic()
    log = Remembered(trt)
    prepared = for_tensorrt(graph, typed=typed_by_graph(trt))
    with BuildProgress(trt, title) as progress:
        try:
            builder = trt.Builder(log.logger)
        except TypeError as error:  # how the bindings report a null pointer
            raise CannotBuild(f"{title}: {trt.__name__} gives no builder: {log.reason()}") from error
        network = builder.create_network(_network_flags(trt))
        parser = trt.OnnxParser(network, log.logger)
        if not parser.parse(prepared):
            raise PlanRefused(f"{title}: {_name(trt)}'s parser refuses the graph: {log.reason()}")
        layers = _layer_types(network)
        config = builder.create_builder_config()
        flags = _configure(trt, config, precision, settings)
        _one_frame(builder, network, config)
        if architecture is not None:
            _aim(trt, config, architecture)
        if cache is not None:
            take_cache(config, cache)
        log.clear()
        if progress.monitor is not None and hasattr(config, "progress_monitor"):
            config.progress_monitor = progress.monitor
        plan = builder.build_serialized_network(network, config)
    if progress.cancelled:
        raise KeyboardInterrupt
    if plan is None:
        raise PlanRefused(f"{title}: {_name(trt)} {trt.__version__} builds no plan of the graph: {log.reason()}")
    remark = keep_cache(config, cache) if cache is not None else ""
    return Serialized(
        content=bytes(memoryview(plan)),
        seconds=round(time.monotonic() - begun, 3),
        strongly_typed=typed_by_graph(trt),
        flags=flags,
        network_layers=layers,
        remarks=(remark,) if remark else (),
    )


def known_architectures(trt: Any) -> dict[str, Any]:
    """Architectures that the library can build for without the GPU, as it calls them; none for TensorRT itself."""
    if not hasattr(trt, "ComputeCapability"):
        return {}
    return {name.lower(): value for name, value in trt.ComputeCapability.__members__.items() if name.startswith("SM")}


def check_architecture(trt: Any, architecture: str) -> None:
    """Raises `CannotBuild` for an architecture that the library cannot build for without its GPU."""
    known = known_architectures(trt)
    if architecture not in known:
        choice = f"{', '.join(known)}; choose one of these" if known else "the GPU of this machine only; leave it out"
        raise CannotBuild(f"--arch {architecture}: {_name(trt)} {trt.__version__} builds for {choice}")


def _name(trt: Any) -> str:
    return "TensorRT-RTX" if trt.__name__ == "tensorrt_rtx" else "TensorRT"


def _network_flags(trt: Any) -> int:
    kinds = trt.NetworkDefinitionCreationFlag
    if hasattr(kinds, "STRONGLY_TYPED"):
        return 1 << int(kinds.STRONGLY_TYPED)
    return 1 << int(kinds.EXPLICIT_BATCH) if hasattr(kinds, "EXPLICIT_BATCH") else 0


def _configure(trt: Any, config: Any, precision: str, settings: PlanSettings) -> tuple[str, ...]:
    """Set what was chosen. Returns the names of the builder's flags that stand."""
    config.builder_optimization_level = settings.optimization_level
    # Types of layers, not their names alone: what `layers by precision` is counted from.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if settings.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib * 2**20)
    if settings.tactics == "own":
        sources = [getattr(trt.TacticSource, name) for name in OWN_TACTICS if hasattr(trt.TacticSource, name)]
        if not config.set_tactic_sources(sum(1 << int(source) for source in sources)):
            raise CannotBuild(f"--tactics own: {_name(trt)} {trt.__version__} does not take it; leave it out")
    if precision == "fp32":
        # With TF32 the multiplications of an fp32 network keep 10 bits of 23: no longer the reference that it is.
        config.clear_flag(trt.BuilderFlag.TF32)
    if not typed_by_graph(trt):
        for name in {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}[precision]:
            if hasattr(trt.BuilderFlag, name):
                config.set_flag(getattr(trt.BuilderFlag, name))
    return tuple(name for name, flag in trt.BuilderFlag.__members__.items() if config.get_flag(flag))


def _one_frame(builder: Any, network: Any, config: Any) -> None:
    """For inputs with a free batch, the one profile that there is: frames come one at a time."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    free = [given for given in inputs if -1 in tuple(given.shape)]
    if not free:
        return
    profile = builder.create_optimization_profile()
    for given in free:
        one = tuple(1 if side == -1 else side for side in given.shape)
        profile.set_shape(given.name, one, one, one)
    config.add_optimization_profile(profile)


def _aim(trt: Any, config: Any, architecture: str) -> None:
    """Build for another GPU than this machine's."""
    check_architecture(trt, architecture)
    if hasattr(config, "set_compute_capability") and hasattr(config, "num_compute_capabilities"):
        config.num_compute_capabilities = 1
        config.set_compute_capability(known_architectures(trt)[architecture], 0)


def _layer_types(network: Any) -> dict[str, int]:
    """Layers of a network by the type of their first output, the most frequent first."""
    counts: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.num_outputs:
            counts[type_word(layer.get_output_type(0).name)] += 1
    return dict(counts.most_common())
