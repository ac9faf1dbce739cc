"""The frame's way over the GPU: upload, both networks, download; once by single calls and once as a CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Deadline
from runtime.cuda.base import Cuda, Graph
from runtime.engines.base import ENCODED_FROM, GpuTimings
from runtime.engines.tensorrt.network import Network, TensorFacts
from runtime.errors import IncompatiblePlan
from runtime.preprocess import SIDE

RESULTS = ("vessels", "probabilities", "logits")
"""What comes back to the host; all else stays on the GPU."""
IMAGE = TensorFacts((1, SIDE, SIDE, 3), np.dtype(np.uint8))
ALIGNMENT = 256
"""Bytes, of each tensor: TensorRT's demand."""
NOT_A_NUMBER = 0xFF
"""A float of such bytes is none: a result that no network wrote cannot be taken for the frame before's."""
SPIN_S = 0.003
"""How long to ask without a pause whether the GPU is done; after that a pause costs less than it saves."""
PAUSE_S = 0.00005


@dataclass(frozen=True)
class Lane:
    """The networks in the order in which they run; those of `beside` run beside the first of `main`, on a stream of
    their own, and so take nothing from it."""

    main: Sequence[Network]
    beside: Sequence[Network] = ()

    @property
    def networks(self) -> tuple[Network, ...]:
        """All of them, each after what it takes its inputs from."""
        return (*self.beside, *self.main)


class Pipeline:
    """Buffers, bindings, stream and graph for one frame at a time.

    `image` uint8 [1, 256, 256, 3] is the host's side of the input; `vessels` float32 [256, 256], `probabilities` and
    `logits` float32 [C] are the host's side of the results, valid when `wait` has returned True.
    """

    def __init__(self, cuda: Cuda, lane: Lane, class_count: int, *, encodes: bool = False) -> None:
        """encodes: bring the maps of `ENCODED_FROM` back as well, for `encoded`.

        Raises `IncompatiblePlan` when the networks do not fit together, `CudaError` when memory is short."""
        tensors = _tensors(lane, class_count)
        self._cuda = cuda
        self._lane = lane
        back = ENCODED_FROM if encodes and all(_numbers(tensors.get(name)) for name in ENCODED_FROM) else ()
        self.encodes = bool(back)
        """Whether `encoded` gives anything."""
        self._stream = cuda.stream()
        self._marks = [cuda.event() for _ in range(5)]
        # On an integrated GPU the host's memory is the GPU's too: the networks read the frame where it was written.
        mapped = cuda.facts.integrated
        self._upload = cuda.host_buffer(IMAGE.size, mapped=mapped)
        self.image: UInt8Array = self._upload.array.reshape(IMAGE.shape)
        self._image_address: int | None = None
        if self._upload.device_address is None:
            self._image_address = cuda.device_buffer(IMAGE.size).address
        addresses = {"image": self._upload.device_address or self._image_address or 0}
        self._results_address = self._place_results(tensors, addresses, back)
        for name, facts in tensors.items():
            if name not in addresses:
                addresses[name] = cuda.device_buffer(facts.size).address
        self._addresses = addresses
        if lane.beside:
            self._side = cuda.stream()
            self._fork, self._join = cuda.event(timed=False), cuda.event(timed=False)
        self._graph: Graph | None = None
        self.bind()

    def bind(self) -> None:
        """Let the networks work on this pipeline's memory; single calls from then on."""
        self.drop_graph()
        for network in self._lane.networks:
            for name in (*network.inputs, *network.outputs):
                network.bind(name, self._addresses[name])

    def _place_results(self, tensors: Mapping[str, TensorFacts], addresses: dict[str, int], back: Sequence[str]) -> int:
        """Lay the results side by side, so that one copy brings them all back."""
        offsets, size = {}, 0
        for name in (*RESULTS, *back):
            offsets[name] = size
            size += -(-tensors[name].size // ALIGNMENT) * ALIGNMENT
        self._download = self._cuda.host_buffer(size)
        start = self._cuda.device_buffer(size).address
        views: dict[str, FloatArray] = {}
        for name, offset in offsets.items():
            addresses[name] = start + offset
            content = self._download.array[offset : offset + tensors[name].size]
            views[name] = content.view(tensors[name].dtype).reshape(tensors[name].shape)
        self.vessels = views["vessels"][0, 0]
        self.probabilities = views["probabilities"][0]
        self.logits = views["logits"][0]
        self._maps = [views[name][0] for name in back]
        return start

    def encoded(self) -> FloatArray | None:
        """`Inference.encoded` of the frame whose way came to its end; None where the maps stay on the GPU."""
        if not self._maps:
            return None
        means = [each.reshape(each.shape[0], -1).mean(axis=1, dtype=np.float32) for each in self._maps]
        return np.concatenate(means)

    @property
    def networks(self) -> tuple[Network, ...]:
        """That it runs."""
        return self._lane.networks

    def capture(self) -> None:
        """Make the frame's way a graph, which `start` launches from then on.

        Everything must have run once before: libraries still allocate in their first run, which a capture forbids.
        """
        self._graph = self._cuda.capture(self._stream, self._enqueue)

    def drop_graph(self) -> None:
        """Single calls from then on. The graph holds the networks' kernels, so it goes before a network does."""
        graph, self._graph = self._graph, None
        if graph is not None:
            self._cuda.drop(graph)

    def start(self) -> None:
        """Put the frame in `image` onto its way; returns at once."""
        self.probabilities.fill(np.nan)
        self.logits.fill(np.nan)
        self.vessels[0, 0] = np.nan
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.launch(self._graph, self._stream)

    def wait(self, deadline: Deadline) -> bool:
        """Whether the frame's way came to its end before the deadline; it goes on where it did not."""
        finished, stream = self._cuda.finished, self._stream
        pause_from = time.monotonic() + SPIN_S
        while not finished(stream):
            now = time.monotonic()
            if deadline.at is not None and now > deadline.at:
                return False
            if now > pause_from:
                time.sleep(PAUSE_S)
        return True

    def segmented_ms(self) -> float:
        """From the frame's start to the vessel map, by the GPU's clock."""
        return self._cuda.elapsed_ms(self._marks[0], self._marks[2])

    def gpu_ms(self) -> GpuTimings:
        """The stages of the frame before, by the GPU's clock."""
        return GpuTimings(*(self._cuda.elapsed_ms(a, b) for a, b in zip(self._marks, self._marks[1:], strict=False)))

    def _enqueue(self) -> None:
        cuda, stream, marks = self._cuda, self._stream, self._marks
        cuda.record(marks[0], stream)
        if self._image_address is not None:
            cuda.copy_in(self._image_address, self._upload, stream)
        cuda.fill(self._results_address, self._download.size, NOT_A_NUMBER, stream)
        cuda.record(marks[1], stream)
        if self._lane.beside:
            cuda.record(self._fork, stream)
            cuda.wait(self._side, self._fork)
            for network in self._lane.beside:
                network.enqueue(self._side)
            cuda.record(self._join, self._side)
        first, *rest = self._lane.main
        first.enqueue(stream)
        cuda.record(marks[2], stream)
        if self._lane.beside:
            cuda.wait(stream, self._join)
        for network in rest:
            network.enqueue(stream)
        cuda.record(marks[3], stream)
        cuda.copy_out(self._download, self._results_address, stream)
        cuda.record(marks[4], stream)


def _numbers(facts: TensorFacts | None) -> bool:
    """Whether it is a map [1, C, H, W] whose bytes NumPy reads as numbers."""
    return facts is not None and len(facts.shape) == 4 and facts.dtype in (np.float32, np.float16)


def _tensors(lane: Lane, class_count: int) -> dict[str, TensorFacts]:
    """All tensors by name, each of one kind wherever it appears, and each written before it is read."""
    known = {"image": IMAGE}
    for network in lane.networks:
        for name, facts in network.inputs.items():
            if name not in known:
                raise IncompatiblePlan(f"{network.name}.plan takes {name}, which nothing gives; build both plans again")
            if known[name] != facts:
                raise IncompatiblePlan(
                    f"{network.name}.plan takes {name} as {facts}, it is {known[name]}; build both plans again"
                )
        for name, facts in network.outputs.items():
            if name in known:
                raise IncompatiblePlan(f"{network.name}.plan gives {name}, which is there already; build both again")
            known[name] = facts
    wanted = {"vessels": (1, 1, SIDE, SIDE), "probabilities": (1, class_count), "logits": (1, class_count)}
    for name in RESULTS:
        expected = TensorFacts(wanted[name], np.dtype(np.float32))
        if known.get(name) != expected:
            got = known.get(name, "nothing of that name")
            raise IncompatiblePlan(f"{name}: the plans give {got}, expected {expected}; build the bundle and its plans")
    return known
