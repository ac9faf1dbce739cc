"""A GPU without a GPU, for tests and demonstrations of what uses one. Public API.

It keeps the real one's contracts, in the way that is hardest on its user: work in a stream is done only when somebody
waits for it or asks after it, other streams stand still unless something waits for them, memory begins as not-a-number
and freed memory is never given out again. What a real GPU would answer with garbage or a crash is an error here, noted
in `violations`; `check` raises them, and everything that was not given back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeAlias
from weakref import WeakSet

import numpy as np

from runtime.arrays import UInt8Array
from runtime.cuda.base import ALIGNMENT, Cuda, DeviceBuffer, DeviceFacts, Event, Graph, HostBuffer, Stream
from runtime.cuda.fake_capture import FakeEvent, FakeGraph, FakeStream, StreamCapture, Work

INVALID_CONTEXT = 201
ILLEGAL_ADDRESS, INVALID_VALUE, OUT_OF_MEMORY, INVALID_HANDLE, NOT_READY = 700, 1, 2, 400, 600
CAPTURE_UNSUPPORTED, CAPTURE_ISOLATION = 900, 905
FIRST_ADDRESS, FIRST_HANDLE = 0x7F00_0000_0000, 0x5500_0000_0000
HANDLE_STEP = 0x100
Span: TypeAlias = tuple[int, int]
"""Address and size in bytes."""


class ContractBroken(AssertionError):
    """What used the fake GPU did what a real one would not forgive."""


class _Current(threading.local):
    """Which GPU's context is this thread's; without one the driver refuses every call."""

    gpu: FakeCuda | None = None


_CURRENT = _Current()


@dataclass
class _Block:
    memory: UInt8Array
    freed: bool = False


class FakeCuda(Cuda):
    """A GPU whose memory is the host's and whose work is Python.

    on_lost is called after a sticky error; by default nothing happens, since a test's process is not to end.
    """

    library = "fake"

    def __init__(
        self,
        facts: DeviceFacts = DeviceFacts("Fake GPU", (8, 6), False, "12.6"),  # noqa: B008 (frozen)
        *,
        memory_bytes: int = 2**30,
        graphs: bool = True,
        on_lost: Callable[[str], None] = lambda reason: None,
    ) -> None:
        super().__init__(on_lost)
        self.has_graphs = graphs
        self.violations: list[str] = []
        self.allocations = 0
        """How many times memory was asked for."""
        self.launches = 0
        """How many graphs were launched."""
        self.stalled = False
        """While true, no work gets done: a GPU that hangs."""
        self._device_facts = facts
        self._limit = memory_bytes
        self._blocks: dict[int, _Block] = {}
        self._handles: dict[int, FakeStream] = {}
        self._next_address, self._next_handle = FIRST_ADDRESS, FIRST_HANDLE
        self._alive: set[int] = set()
        self._capture: StreamCapture | None = None
        self._faults: dict[str, deque[int]] = {}
        self._released = False
        self._make_current()
        self._opened()
        self.dependents: WeakSet[object] = WeakSet()
        """What must be gone before the context is: execution contexts of a library that runs on this GPU."""

    @property
    def facts(self) -> DeviceFacts:
        """Which GPU it plays."""
        return self._device_facts

    def fail(self, call: str, code: int) -> None:
        """Let the next call of that name (`cuGraphLaunch`) give this CUresult."""
        self._faults.setdefault(call, deque()).append(code)

    def check(self) -> None:
        """Raise `ContractBroken` for what was done wrong, or not given back."""
        wrong = list(self.violations)
        if blocks := [hex(address) for address, block in self._blocks.items() if not block.freed]:
            wrong.append(f"memory not given back: {', '.join(blocks)}")
        if self._alive:
            wrong.append(f"{len(self._alive)} streams, events or graphs not given back")
        if not self._released and not self.lost:
            wrong.append("the context was not given back")
        if wrong:
            raise ContractBroken("; ".join(wrong))

    def outstanding(self) -> int:
        """Bytes of memory that are given out."""
        return sum(block.memory.nbytes for block in self._blocks.values() if not block.freed)

    # What a library that runs on this GPU needs.

    def view(self, span: Span, purpose: str) -> UInt8Array:
        """The memory at an address, for work that is being done. A wrong span is a sticky error, as on a real GPU."""
        address, size = span
        inside = (start for start, block in self._blocks.items() if 0 <= address - start <= block.memory.nbytes - size)
        start = next(inside, None)
        if start is None:
            self._violation(f"{purpose}: {size} bytes at {address:#x} are not memory of this GPU")
        if self._blocks[start].freed:
            self._violation(f"{purpose}: memory at {address:#x} is used after it was freed")
        return self._blocks[start].memory[address - start : address - start + size]

    def enqueue(self, handle: int, name: str, run: Callable[[], None], owner: object = None) -> None:
        """Put work into the stream with that handle. owner: what must not go before a graph that holds the work."""
        stream = self._handles.get(handle)
        if stream is None:
            self._violation(f"{name}: stream {handle:#x} does not exist")
        self._put(stream, Work(name, run, owner=owner))

    def holds(self, owner: object) -> bool:
        """Whether a graph that was not given back holds work of that owner."""
        return any(node.work.owner is owner for graph in self._held.graphs for node in graph.raw.nodes)

    def is_captured(self, handle: int) -> bool:
        """Whether the stream with that handle is being captured."""
        return handle in self._handles and self._handles[handle].capture is not None

    def forbid_in_capture(self, call: str) -> None:
        """Refuse what may not be done while a stream is captured; the capture is then spoilt."""
        if self._capture is not None:
            self._capture.spoilt = True
            self._refuse(call, CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing")

    # The provider's side of the contract.

    def _violation(self, text: str) -> NoReturn:
        self.violations.append(text)
        self._refuse("fake GPU", ILLEGAL_ADDRESS, text)

    def _fault(self, call: str) -> None:
        if _CURRENT.gpu is None:
            self._refuse(call, INVALID_CONTEXT, "invalid device context")
        if self._faults.get(call):
            self._refuse(call, self._faults[call].popleft(), "as it was told to fail")

    def _memory(self) -> tuple[int, int]:
        return self._limit - self.outstanding(), self._limit

    def _new_stream(self) -> Stream:
        self._fault("cuStreamCreate")
        self._next_handle += HANDLE_STEP
        stream = self._handles[self._next_handle] = FakeStream(self._next_handle)
        self._alive.add(id(stream))
        return Stream(stream, stream.handle)

    def _new_event(self, timed: bool) -> Event:
        self._fault("cuEventCreate")
        event = FakeEvent(timed)
        self._alive.add(id(event))
        return Event(event)

    def _allocate(self, call: str, size: int) -> tuple[int, UInt8Array]:
        self.forbid_in_capture(call)
        self._fault(call)
        if size <= 0:
            self._refuse(call, INVALID_VALUE, "invalid argument")
        if self.outstanding() + size > self._limit:
            self._refuse(call, OUT_OF_MEMORY, "out of memory")
        address = self._next_address
        # A gap behind each block: what runs over its end meets no memory.
        self._next_address += (size // ALIGNMENT + 2) * ALIGNMENT
        memory = np.full(size, 0xFF, np.uint8)
        self._blocks[address] = _Block(memory)
        self.allocations += 1
        return address, memory

    def _new_device_buffer(self, size: int) -> DeviceBuffer:
        address, _ = self._allocate("cuMemAlloc", size)
        return DeviceBuffer(address, address, size)

    def _new_host_buffer(self, size: int, mapped: bool) -> HostBuffer:
        address, memory = self._allocate("cuMemHostAlloc", size)
        return HostBuffer(address, memory, address if mapped else None)

    def _pinned(self, buffer: HostBuffer, purpose: str) -> UInt8Array:
        block = self._blocks.get(buffer.raw)
        if block is None or block.freed:
            self._violation(f"{purpose}: the host's memory was freed before the work on it was done")
        return buffer.array

    def _copy_in(self, address: int, buffer: HostBuffer, stream: Stream) -> None:
        self._fault("cuMemcpyHtoDAsync")

        def run() -> None:
            self.view((address, buffer.size), "copy in")[:] = self._pinned(buffer, "copy in")

        self._put(stream.raw, Work("copy in", run))

    def _copy_out(self, buffer: HostBuffer, address: int, stream: Stream) -> None:
        self._fault("cuMemcpyDtoHAsync")

        def run() -> None:
            self._pinned(buffer, "copy out")[:] = self.view((address, buffer.size), "copy out")

        self._put(stream.raw, Work("copy out", run))

    def _fill(self, address: int, size: int, byte: int, stream: Stream) -> None:
        self._fault("cuMemsetD8Async")
        self._put(stream.raw, Work("fill", lambda: self.view((address, size), "fill").fill(byte)))

    def _put(self, stream: FakeStream, work: Work) -> None:
        if stream.capture is not None:
            stream.capture.add(stream, work)
        else:
            stream.queue.append(work)

    def _record(self, event: Event, stream: Stream) -> None:
        self._fault("cuEventRecord")
        mark: FakeEvent = event.raw
        queue: FakeStream = stream.raw
        if queue.capture is not None and not mark.timed:
            queue.capture.mark(queue, mark)
            return
        mark.captured = None

        def run() -> None:
            mark.passed_s = time.perf_counter()

        if queue.capture is None:
            mark.passed_s, mark.stream = None, queue
        self._put(queue, Work("record", run))

    def _wait(self, stream: Stream, event: Event) -> None:
        self._fault("cuStreamWaitEvent")
        mark: FakeEvent = event.raw
        queue: FakeStream = stream.raw
        if mark.captured is not None:
            mark.captured[0].join(queue, mark)
        elif queue.capture is not None:
            queue.capture.spoilt = True
            self._refuse("cuStreamWaitEvent", CAPTURE_ISOLATION, "dependency created on uncaptured work")
        elif mark.stream is not None:
            queue.queue.append(Work("wait", lambda: None, waits_for=mark))

    def _step(self, stream: FakeStream) -> None:
        """Do one piece of the stream's work, and of another stream's only if this one waits for it."""
        work = stream.queue[0]
        if work.waits_for is not None and work.waits_for.passed_s is None:
            assert work.waits_for.stream is not None
            self._step(work.waits_for.stream)
            return
        stream.queue.popleft()
        work.run()

    def _finished(self, stream: Stream) -> bool:
        if stream.raw.capture is not None:
            self.forbid_in_capture("cuStreamQuery")
        self._fault("cuStreamQuery")
        if stream.raw.queue and not self.stalled:
            self._step(stream.raw)
        return not stream.raw.queue

    def _synchronize(self, stream: Stream) -> None:
        self.forbid_in_capture("cuStreamSynchronize")
        self._fault("cuStreamSynchronize")
        if self.stalled and stream.raw.queue:
            raise ContractBroken("synchronize: waits for a GPU that hangs, and would never return")
        while stream.raw.queue:
            self._step(stream.raw)

    def _elapsed_ms(self, first: Event, last: Event) -> float:
        self.forbid_in_capture("cuEventElapsedTime")
        self._fault("cuEventElapsedTime")
        if not (first.raw.timed and last.raw.timed):
            self._refuse("cuEventElapsedTime", INVALID_HANDLE, "invalid resource handle")
        if first.raw.passed_s is None or last.raw.passed_s is None:
            self._refuse("cuEventElapsedTime", NOT_READY, "device not ready")
        return float((last.raw.passed_s - first.raw.passed_s) * 1e3)

    def _begin_capture(self, stream: Stream) -> None:
        self._fault("cuStreamBeginCapture")
        self._capture = StreamCapture(stream.raw)

    def _end_capture(self, stream: Stream) -> Graph:
        capture, self._capture = self._capture, None
        assert capture is not None
        nodes, code, words = capture.end()
        if code:
            self._refuse("cuStreamEndCapture", code, words)
        self._fault("cuStreamEndCapture")
        self._fault("cuGraphInstantiate")
        graph = FakeGraph(nodes)
        self._alive.add(id(graph))
        return Graph(graph)

    def _abandon_capture(self, stream: Stream) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.end()

    def _launch(self, graph: Graph, stream: Stream) -> None:
        self._fault("cuGraphLaunch")
        if id(graph.raw) not in self._alive:
            self._violation("launch: the graph was destroyed")
        self.launches += 1
        for work in graph.raw.order():
            self._put(stream.raw, work)

    def _free(self, thing: object, what: str) -> None:
        if id(thing) not in self._alive:
            self._violation(f"{what} is given back twice")
        self._alive.discard(id(thing))

    def _free_graph(self, graph: Graph) -> None:
        self._free(graph.raw, "a graph")

    def _free_event(self, event: Event) -> None:
        self._free(event.raw, "an event")

    def _free_stream(self, stream: Stream) -> None:
        # A real one finishes its work first; work that is left here was never waited for.
        while stream.raw.queue and not self.stalled:
            self._step(stream.raw)
        del self._handles[stream.handle]
        self._free(stream.raw, "a stream")

    def _free_block(self, address: int, call: str) -> None:
        self.forbid_in_capture(call)
        block = self._blocks[address]
        if block.freed:
            self._violation(f"{call}: memory at {address:#x} is freed twice")
        block.freed = True
        block.memory.fill(0xFF)

    def _free_device(self, buffer: DeviceBuffer) -> None:
        self._free_block(buffer.raw, "cuMemFree")

    def _free_host(self, buffer: HostBuffer) -> None:
        self._free_block(buffer.raw, "cuMemFreeHost")

    def _make_current(self) -> None:
        _CURRENT.gpu = self

    def _release(self) -> None:
        self._released = True
        _CURRENT.gpu = None
        if self.dependents:
            self.violations.append(f"{len(self.dependents)} execution contexts outlive the GPU's context")
