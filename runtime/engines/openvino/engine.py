"""The CPU backend: both graphs in OpenVINO, the segmentation's outputs bound as the classifier's inputs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines.base import Account, Backend, Engine, Inference, LayerTime
from runtime.engines.load_openvino import load_openvino, open_core
from runtime.engines.openvino.explain import Explainer
from runtime.engines.openvino.graph import ENCODED, CompiledGraph, compile_pair, last_line
from runtime.errors import DeadlineMissed, EngineError
from runtime.manifest import NETWORKS
from runtime.preprocess import SIDE
from runtime.reading import EngineFacts

if TYPE_CHECKING:
    from runtime.bundle import Bundle

STUCK_AFTER_MS = 2000
"""A cancelled request that has not ended after this long will not end."""


class OpenVINOEngine(Engine):
    """Both networks on the CPU, one frame at a time, for the least latency.

    threads: CPU threads, None leaves the number to OpenVINO. `fp32` pins f32 arithmetic; `fp16` is the CPU's half
    precision (f16 or bf16), `int8` the Q/DQ graph with half precision between. A CPU without half precision runs f32
    in its place: `facts.device` names what really runs. Raises `EngineError` when OpenVINO is missing or refuses a
    graph.
    """

    explains = True

    def __init__(
        self, bundle: Bundle, precision: Mapping[str, str], threads: int | None = None, *, core: Any = None
    ) -> None:
        """core: an `openvino.Core` of the caller's, with properties of its own."""
        openvino = load_openvino()
        core = core or open_core()
        self._ov = openvino
        compiled = dict(zip(NETWORKS, compile_pair(core, bundle, precision, threads), strict=True))
        self.class_count = len(bundle.class_names)
        self.facts = EngineFacts(
            backend="openvino",
            precision="+".join(dict.fromkeys(precision.values())),
            device=str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip() + _runs(bundle, precision, compiled),
        )
        self._compiled = compiled
        self._explainer: Explainer | None = None
        self._make_explainer = partial(Explainer, core, bundle, dict(precision))
        self._read = False
        """Whether the tensors hold a frame that was read whole."""
        self._bind()
        if self._probabilities.shape != (self.class_count,):
            raise EngineError(
                f"bundle {bundle.path}: the classifier has {self._probabilities.size} classes, the manifest names "
                f"{self.class_count}; build the bundle again"
            )

    def _bind(self) -> None:
        """Make one request a network, and let them share the tensors between them."""
        self._segmentation = self._compiled["segmentation"].request()
        self._classifier = self._compiled["classifier"].request()
        self._image = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        image = self._ov.Tensor(self._image, shared_memory=True)
        self._segmentation.set_tensor("image", image)
        self._classifier.set_tensor("image", image)
        for name in self._compiled["classifier"].inputs:
            if name != "image":
                self._classifier.set_tensor(name, self._segmentation.get_tensor(name))
        self._vessels = self._segmentation.get_tensor("vessels").data[0, 0]
        self.encodes = ENCODED in self._compiled["segmentation"].outputs
        self._encoded = self._segmentation.get_tensor(ENCODED).data[0] if self.encodes else None
        self._probabilities = self._classifier.get_tensor("probabilities").data[0]
        self._logits = self._classifier.get_tensor("logits").data[0]
        self._explainer = None  # it looks at the requests before

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        self._read = False
        np.copyto(self._image, image)
        # A network that did not write its output must not leave the frame before's standing there.
        self._vessels.fill(np.nan)
        self._probabilities.fill(np.nan)
        if self._encoded is not None:
            self._encoded.fill(np.nan)
        start = time.perf_counter()
        self._run(self._segmentation, "segment", Deadline.after_ms(budget.segment).sooner(deadline))
        middle = time.perf_counter()
        self._run(self._classifier, "classify", Deadline.after_ms(budget.classify).sooner(deadline))
        end = time.perf_counter()
        self._read = True
        times = (middle - start) * 1e3, (end - middle) * 1e3
        return Inference(self._vessels, self._probabilities, self._logits, *times, self._encoded)

    def explain(self) -> Account:
        """Of the frame before, see `Engine.explain`; what it needs further is compiled when it is first asked."""
        if not self._read:
            raise EngineError("openvino: no frame was read whole; there is nothing to tell of")
        if self._explainer is None:
            self._explainer = self._make_explainer(self._segmentation, self._classifier)
        return self._explainer.account()

    def layer_times(self) -> list[LayerTime]:
        """Of each layer that the last frame ran; for a core that counts them."""
        return [
            LayerTime(
                network, info.node_name, f"{info.node_type} {info.exec_type}", info.real_time.total_seconds() * 1e3
            )
            for network, request in (("segmentation", self._segmentation), ("classifier", self._classifier))
            for info in request.get_profiling_info()
            if info.status == info.EXECUTED
        ]

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
        self._explainer, self._read = None, False
        self._compiled = {}


def _runs(bundle: Bundle, precision: Mapping[str, str], compiled: dict[str, CompiledGraph]) -> str:
    """What really runs, network by network; nothing where all of it is plain fp32."""
    if set(precision.values()) == {"fp32"}:
        return ""
    in_8_bits = [network for network in NETWORKS if precision[network] == "int8"]
    said = [
        f"{network} {'i8 and ' if network in in_8_bits else ''}{compiled[network].arithmetic}" for network in NETWORKS
    ]
    if in_8_bits:  # counted together: the classifier's gates may run in the segmentation's graph
        known = {str(network): facts.layers for network, facts in bundle.manifest.quantization.items()}
        of = f" of {sum(known[network] for network in in_8_bits)}" if known.keys() >= set(in_8_bits) else ""
        said.append(f"{sum(graph.int8_layers for graph in compiled.values())}{of} layers in 8 bits")
    return f" ({', '.join(said)})"


def layer_times(
    bundle: Bundle, precision: Mapping[str, str], threads: int | None, images: Sequence[UInt8Array]
) -> list[list[LayerTime]]:
    """Of each image the layers in the order in which they run, by an engine that is compiled to count.

    images: uint8 [1, 256, 256, 3] each. Layers that run side by side add up to more than the frame took. Raises
    `EngineError`.
    """
    core = open_core()
    core.set_property("CPU", {"PERF_COUNT": True})
    times = []
    engine = OpenVINOEngine(bundle, precision, threads, core=core)
    with engine:
        engine.infer(images[0])  # the first one still allocates
        for image in images:
            engine.infer(image)
            times.append(engine.layer_times())
    return times


OPENVINO = Backend(OpenVINOEngine, auto=True, layers=layer_times)
