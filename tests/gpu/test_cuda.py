"""CUDA alone on a real GPU, without TensorRT: where this fails, what fails above it says nothing. Takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from runtime.cuda import open_cuda
from runtime.cuda.base import Cuda, Graph
from runtime.cuda.errors import CudaError
from runtime.cuda.probe import has_driver

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_driver(), reason="no NVIDIA driver on this machine")]
SIZE = 2**20
"""Bytes."""


@pytest.fixture
def cuda() -> Iterator[Cuda]:
    with open_cuda() as opened:
        yield opened


class _Way:
    """As a frame goes: up, work on a side stream beside the main one, down, with marks between."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda, self.main, self.side = cuda, cuda.stream(), cuda.stream()
        self.fork, self.join = cuda.event(timed=False), cuda.event(timed=False)
        self.first, self.last = cuda.event(), cuda.event()
        self.up, self.down = cuda.host_buffer(SIZE), cuda.host_buffer(SIZE)
        self.device = cuda.device_buffer(SIZE)

    def enqueue(self) -> None:
        cuda = self.cuda
        cuda.record(self.first, self.main)
        cuda.copy_in(self.device.address, self.up, self.main)
        cuda.record(self.fork, self.main)
        cuda.wait(self.side, self.fork)
        cuda.fill(self.device.address, SIZE // 2, 3, self.side)
        cuda.record(self.join, self.side)
        cuda.wait(self.main, self.join)
        cuda.copy_out(self.down, self.device.address, self.main)
        cuda.record(self.last, self.main)

    def came_down(self, value: int) -> bool:
        self.cuda.synchronize(self.main)
        half = SIZE // 2
        return bool((self.down.array[:half] == 3).all() and (self.down.array[half:] == value).all())

    def run(self, value: int, graph: Graph | None = None) -> float:
        """Milliseconds by the GPU's clock."""
        self.up.array[:] = value
        if graph is None:
            self.enqueue()
        else:
            self.cuda.launch(graph, self.main)
        assert self.came_down(value)
        return self.cuda.elapsed_ms(self.first, self.last)


def test_facts_and_memory_are_told(cuda: Cuda) -> None:
    free, total = cuda.memory()
    assert 0 < free <= total
    assert cuda.facts.name
    assert cuda.facts.compute_capability >= (5, 0)
    print(cuda.library, cuda.facts)  # noqa: T201 (for the report: pytest -s)


def test_single_calls_and_a_graph_do_the_same_and_tell_their_time(cuda: Cuda) -> None:
    way = _Way(cuda)
    assert way.run(7) > 0
    if not cuda.has_graphs:
        return
    graph = cuda.capture(way.main, way.enqueue)
    times = [way.run(value, graph) for value in range(8, 40)]
    assert min(times) > 0
    assert len(set(times)) > 1, "the marks in the graph are not set anew by each launch"
    assert way.run(41) > 0  # single calls once more, with the events that the graph has
    cuda.drop(graph)


def test_finished_is_told_without_waiting(cuda: Cuda) -> None:
    way = _Way(cuda)
    for value in range(20):
        way.up.array[:] = value
        way.enqueue()
        while not cuda.finished(way.main):
            pass
        assert way.came_down(value)


def test_what_a_capture_forbids_leaves_the_stream_usable(cuda: Cuda) -> None:
    if not cuda.has_graphs:
        pytest.skip(f"{cuda.library} has no graphs")
    way = _Way(cuda)

    def forbidden() -> None:
        cuda.copy_in(way.device.address, way.up, way.main)
        cuda.synchronize(way.main)

    with pytest.raises(CudaError, match="900"):
        cuda.capture(way.main, forbidden)
    assert way.run(5) > 0
    assert way.run(6, cuda.capture(way.main, way.enqueue)) > 0


def test_the_gpu_sees_mapped_memory_of_the_host(cuda: Cuda) -> None:
    stream, mapped = cuda.stream(), cuda.host_buffer(SIZE, mapped=True)
    assert mapped.device_address is not None
    cuda.fill(mapped.device_address, SIZE, 9, stream)
    cuda.synchronize(stream)
    assert (mapped.array == 9).all()


def test_a_buffer_filled_with_ones_holds_no_number(cuda: Cuda) -> None:
    stream, down, device = cuda.stream(), cuda.host_buffer(SIZE), cuda.device_buffer(SIZE)
    cuda.fill(device.address, SIZE, 0xFF, stream)
    cuda.copy_out(down, device.address, stream)
    cuda.synchronize(stream)
    assert np.isnan(down.array.view(np.float32)).all()


def test_opened_and_closed_again_and_again_it_takes_no_more_memory() -> None:
    free = []
    for _ in range(5):
        with open_cuda() as cuda:
            _Way(cuda).run(1)
        with open_cuda() as cuda:
            free.append(cuda.memory()[0])
    assert free[1] - free[-1] < 8 * 2**20
