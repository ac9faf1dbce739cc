"""The CUDA contract: one GPU, used by the one thread that opened it. All checking is done here, once."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from runtime.arrays import UInt8Array
from runtime.cuda.errors import STICKY, CudaError, GpuLost, end_process

ALIGNMENT = 256
"""Bytes: every device buffer begins at a multiple of it. TensorRT asks for as much, and CUDA promises no more."""


@dataclass(frozen=True)
class DeviceFacts:
    """Which GPU it is."""

    name: str
    compute_capability: tuple[int, int]
    integrated: bool
    """Shares its memory with the CPU, as on a Jetson: mapped memory then needs no copy."""
    driver: str
    """CUDA version of the driver, `12.6`."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A queue of work on the GPU, done in order."""

    raw: Any
    handle: int
    """The address that other libraries take."""


@dataclass(frozen=True, eq=False)
class Event:
    """A mark in a stream; between two of them the GPU's own time can be told."""

    raw: Any


@dataclass(frozen=True, eq=False)
class Graph:
    """Captured work, instantiated and ready to launch."""

    raw: Any


@dataclass(frozen=True, eq=False)
class DeviceBuffer:
    """Memory of the GPU."""

    raw: Any
    address: int
    size: int
    """Bytes."""


@dataclass(frozen=True, eq=False)
class HostBuffer:
    """Pinned memory of the host; only such memory is copied without the driver's own detours."""

    raw: Any
    array: UInt8Array
    """uint8 [size], the memory itself."""
    device_address: int | None
    """Where the GPU sees it, for a mapped buffer; else None."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.array.nbytes


class _Open(threading.local):
    """The GPUs that this thread has open, the newest last."""

    def __init__(self) -> None:
        self.gpus: list[Cuda] = []


_OPEN = _Open()


@dataclass
class _Held:
    """What was given out and must be given back, in that order."""

    graphs: list[Graph] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    device: list[DeviceBuffer] = field(default_factory=list)
    host: list[HostBuffer] = field(default_factory=list)


Self = TypeVar("Self", bound="Cuda")


class Cuda(ABC):
    """A GPU. Providers implement the methods that begin with an underscore, and check the status of each call.

    Everything that it gives out is given back by `close`. Every method raises `CudaError` when the driver refuses,
    `GpuLost` after a sticky error, and `CudaError` when another thread calls than the one that opened it.
    """

    library: str
    """Which provider, with its version, `cuda-bindings 13.5.0`."""
    has_graphs: bool

    def __init__(self, on_lost: Callable[[str], None] = end_process) -> None:
        """on_lost: called with a sentence after a sticky error, before it is raised; ends the process as it stands."""
        self._thread = threading.get_ident()
        self._on_lost = on_lost
        self._held = _Held()
        self._open = True
        self.lost = False
        """Whether a sticky error came; every call then fails."""

    @property
    @abstractmethod
    def facts(self) -> DeviceFacts:
        """Which GPU it is."""

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the GPU's memory."""
        self._mine()
        return self._memory()

    def stream(self) -> Stream:
        """A stream that does not wait for the default stream."""
        self._mine()
        self._held.streams.append(stream := self._new_stream())
        return stream

    def event(self, *, timed: bool = True) -> Event:
        """An event; only a timed one can be asked for the time."""
        self._mine()
        self._held.events.append(event := self._new_event(timed))
        return event

    def device_buffer(self, size: int) -> DeviceBuffer:
        """`size` bytes of the GPU's memory, at a multiple of `ALIGNMENT`."""
        self._mine()
        buffer = self._new_device_buffer(size)
        self._held.device.append(buffer)
        if buffer.address % ALIGNMENT:
            raise CudaError(f"CUDA: memory at {buffer.address:#x}, expected a multiple of {ALIGNMENT}")
        return buffer

    def host_buffer(self, size: int, *, mapped: bool = False) -> HostBuffer:
        """`size` bytes of pinned memory, filled with zeros; `mapped` ones have an address on the GPU too."""
        self._mine()
        buffer = self._new_host_buffer(size, mapped)
        self._held.host.append(buffer)
        buffer.array.fill(0)
        return buffer

    def copy_in(self, address: int, buffer: HostBuffer, stream: Stream) -> None:
        """Copy the whole buffer to the GPU at `address`, in the stream's order."""
        self._mine()
        self._copy_in(address, buffer, stream)

    def copy_out(self, buffer: HostBuffer, address: int, stream: Stream) -> None:
        """Fill the whole buffer from the GPU's memory at `address`, in the stream's order."""
        self._mine()
        self._copy_out(buffer, address, stream)

    def fill(self, address: int, size: int, byte: int, stream: Stream) -> None:
        """Set `size` bytes of the GPU's memory to `byte`, in the stream's order."""
        self._mine()
        self._fill(address, size, byte, stream)

    def record(self, event: Event, stream: Stream) -> None:
        """Set the mark. Within a capture a timed event is marked at each launch of the graph."""
        self._mine()
        self._record(event, stream)

    def wait(self, stream: Stream, event: Event) -> None:
        """Let what comes next in the stream wait for the mark."""
        self._mine()
        self._wait(stream, event)

    def finished(self, stream: Stream) -> bool:
        """Whether all that was put into the stream is done; does not wait."""
        self._mine()
        return self._finished(stream)

    def synchronize(self, stream: Stream) -> None:
        """Wait until all that was put into the stream is done."""
        self._mine()
        self._synchronize(stream)

    def elapsed_ms(self, first: Event, last: Event) -> float:
        """The GPU's time between two marks that were passed."""
        self._mine()
        return self._elapsed_ms(first, last)

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Graph:
        """What `enqueue` puts into the stream, as a graph; nothing of it is run.

        When `enqueue` or the driver raises, the capture is ended and the stream is usable again.
        """
        self._mine()
        if not self.has_graphs:
            raise CudaError(f"CUDA: {self.library} has no graphs")
        self._begin_capture(stream)
        try:
            enqueue()
        except BaseException:
            with contextlib.suppress(CudaError):  # the first error says more than what it led to
                self._abandon_capture(stream)
            raise
        self._held.graphs.append(graph := self._end_capture(stream))
        return graph

    def launch(self, graph: Graph, stream: Stream) -> None:
        """Put the graph's work into the stream."""
        self._mine()
        self._launch(graph, stream)

    def drop(self, graph: Graph) -> None:
        """Give a graph back, whose work must be done: before the kernels in it are, which go with their library."""
        self._mine()
        self._held.graphs.remove(graph)
        self._free_graph(graph)

    def close(self) -> None:
        """Give everything back, the GPU's context last. Closing twice is fine.

        Where this thread has another one open, as when a model is loaded while the one before still runs, that one's
        context is current afterwards: a thread without a current context can do nothing.

        After a sticky error nothing is given back: no call would succeed, and the process is about to end.
        """
        if not self._open or self.lost:
            return
        self._mine()
        self._open = False
        with contextlib.ExitStack() as stack:  # what fails does not keep the rest from being given back
            stack.callback(self._make_another_current)
            stack.callback(self._release)
            held, self._held = self._held, _Held()
            for host in held.host:
                stack.callback(self._free_host, host)
            for device in held.device:
                stack.callback(self._free_device, device)
            for stream in held.streams:
                stack.callback(self._free_stream, stream)
            for event in held.events:
                stack.callback(self._free_event, event)
            for graph in held.graphs:
                stack.callback(self._free_graph, graph)

    def _opened(self) -> None:
        """Providers call it when their context stands and is current."""
        _OPEN.gpus.append(self)

    def _make_another_current(self) -> None:
        _OPEN.gpus = [gpu for gpu in _OPEN.gpus if gpu is not self and gpu._open and not gpu.lost]
        if _OPEN.gpus:
            _OPEN.gpus[-1]._make_current()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _mine(self) -> None:
        """Contexts belong to threads: a call from another one fails far from its cause, or not at all."""
        if threading.get_ident() != self._thread:
            raise CudaError("CUDA: called from another thread; load the engine in the thread that uses it")
        if self.lost:
            raise GpuLost("GPU lost: an earlier CUDA error left it unusable; start this program again")
        if not self._open:
            raise CudaError("CUDA: the GPU was closed; load the engine again")

    def _refuse(self, call: str, code: int, words: str) -> NoReturn:
        """Raise what stands for a status that is not success."""
        if code in STICKY:
            self.lost = True
            reason = f"GPU lost: {call}: {words} ({code})"
            self._on_lost(reason)
            raise GpuLost(reason, code=code)
        raise CudaError(f"CUDA: {call}: {words} ({code})", code=code)

    @abstractmethod
    def _memory(self) -> tuple[int, int]: ...

    @abstractmethod
    def _new_stream(self) -> Stream: ...

    @abstractmethod
    def _new_event(self, timed: bool) -> Event: ...

    @abstractmethod
    def _new_device_buffer(self, size: int) -> DeviceBuffer: ...

    @abstractmethod
    def _new_host_buffer(self, size: int, mapped: bool) -> HostBuffer: ...

    @abstractmethod
    def _copy_in(self, address: int, buffer: HostBuffer, stream: Stream) -> None: ...

    @abstractmethod
    def _copy_out(self, buffer: HostBuffer, address: int, stream: Stream) -> None: ...

    @abstractmethod
    def _fill(self, address: int, size: int, byte: int, stream: Stream) -> None: ...

    @abstractmethod
    def _record(self, event: Event, stream: Stream) -> None: ...

    @abstractmethod
    def _wait(self, stream: Stream, event: Event) -> None: ...

    @abstractmethod
    def _finished(self, stream: Stream) -> bool: ...

    @abstractmethod
    def _synchronize(self, stream: Stream) -> None: ...

    @abstractmethod
    def _elapsed_ms(self, first: Event, last: Event) -> float: ...

    @abstractmethod
    def _begin_capture(self, stream: Stream) -> None: ...

    @abstractmethod
    def _end_capture(self, stream: Stream) -> Graph: ...

    @abstractmethod
    def _abandon_capture(self, stream: Stream) -> None: ...

    @abstractmethod
    def _launch(self, graph: Graph, stream: Stream) -> None: ...

    @abstractmethod
    def _free_graph(self, graph: Graph) -> None: ...

    @abstractmethod
    def _free_event(self, event: Event) -> None: ...

    @abstractmethod
    def _free_stream(self, stream: Stream) -> None: ...

    @abstractmethod
    def _free_device(self, buffer: DeviceBuffer) -> None: ...

    @abstractmethod
    def _free_host(self, buffer: HostBuffer) -> None: ...

    @abstractmethod
    def _make_current(self) -> None:
        """Make the GPU's context this thread's."""

    @abstractmethod
    def _release(self) -> None:
        """Give the GPU's context back; none of it is current afterwards."""
