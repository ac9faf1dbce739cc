"""The GPU through NVIDIA's `cuda-bindings` 12.9 or 13: wheels for x86-64 and aarch64, and CUDA graphs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from runtime.cuda.base import Cuda, DeviceBuffer, DeviceFacts, Event, Graph, HostBuffer, Stream
from runtime.cuda.errors import CudaError, end_process

EXTERNAL = 1
"""CU_EVENT_RECORD_EXTERNAL: a captured record becomes a mark that each launch sets, and not a mere dependency."""
NAME_BYTES = 128
_KEPT: set[int] = set()
"""GPUs whose primary context is held once more, for as long as the process lives. Between two loads it would else be
torn down, and with it what TensorRT keeps on the GPU for later."""


@cache
def _older_elapsed_time() -> Any:
    """The driver's own function of CUDA 12.7 and before, which every driver has."""
    function = ctypes.CDLL("libcuda.so.1").cuEventElapsedTime
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    return function


class BindingsCuda(Cuda):
    """The GPU's primary context, shared with every library of the process that uses the CUDA runtime.

    Only the driver's interface is used, whose calls are the same in 12.9 and 13.
    """

    has_graphs = True

    def __init__(self, ordinal: int = 0, on_lost: Callable[[str], None] = end_process) -> None:
        """ordinal: which GPU, of those that CUDA_VISIBLE_DEVICES shows. Raises `CudaError` when there is none."""
        super().__init__(on_lost)
        try:
            package: Any = import_module("cuda.bindings")
            self._driver: Any = import_module("cuda.bindings.driver")
        except ImportError as error:
            raise CudaError(
                f"CUDA: cuda-bindings cannot be imported ({error}); install it: pip install cuda-bindings"
            ) from error
        self.library = f"cuda-bindings {package.__version__}"
        try:
            self._open_call("cuInit", 0)
        except RuntimeError as error:  # how cuda-bindings says that there is no libcuda
            raise CudaError("CUDA: no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)") from error
        self._device = self._open_call("cuDeviceGet", ordinal)
        self._facts = self._read_facts()
        self._before = self._open_call("cuCtxGetCurrent")
        self._context = self._open_call("cuDevicePrimaryCtxRetain", self._device)
        if ordinal not in _KEPT:
            _KEPT.add(ordinal)
            self._open_call("cuDevicePrimaryCtxRetain", self._device)
        self._open_call("cuCtxSetCurrent", self._context)
        self._opened()

    @property
    def facts(self) -> DeviceFacts:
        """Which GPU it is."""
        return self._facts

    def _read_facts(self) -> DeviceFacts:
        attributes = self._driver.CUdevice_attribute
        major, minor, integrated = (
            int(self._open_call("cuDeviceGetAttribute", attribute, self._device))
            for attribute in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                attributes.CU_DEVICE_ATTRIBUTE_INTEGRATED,
            )
        )
        name = bytes(self._open_call("cuDeviceGetName", NAME_BYTES, self._device)).split(b"\0")[0].decode()
        version = int(self._open_call("cuDriverGetVersion"))
        return DeviceFacts(name, (major, minor), bool(integrated), f"{version // 1000}.{version % 1000 // 10}")

    def _open_call(self, name: str, *arguments: Any) -> Any:
        """A call before the context stands: nothing is lost yet when it fails."""
        status, *results = getattr(self._driver, name)(*arguments)
        if status:
            raise CudaError(f"CUDA: {name}: {self._words(status)} ({int(status)})", code=int(status))
        return results[0] if results else None

    def _call(self, name: str, *arguments: Any) -> Any:
        """A call that gives one value or none, its status checked."""
        try:
            status, *results = getattr(self._driver, name)(*arguments)
        except RuntimeError as error:  # how cuda-bindings says that the driver is too old to have the function
            raise CudaError(f"CUDA: {name}: {error}; update the driver") from error
        self._check(name, status)
        return results[0] if results else None

    def _check(self, name: str, status: Any) -> None:
        if status:
            self._refuse(name, int(status), self._words(status))

    def _words(self, status: Any) -> str:
        unknown, text = self._driver.cuGetErrorString(status)
        return str(status.name) if unknown or text is None else f"{status.name}, {text.decode()}"

    def _memory(self) -> tuple[int, int]:
        status, free, total = self._driver.cuMemGetInfo()
        self._check("cuMemGetInfo", status)
        return int(free), int(total)

    def _new_stream(self) -> Stream:
        stream = self._call("cuStreamCreate", self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING.value)
        return Stream(stream, int(stream))

    def _new_event(self, timed: bool) -> Event:
        flags = self._driver.CUevent_flags
        event = self._call("cuEventCreate", (flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING).value)
        # Whether a record within a capture is a mark or a dependency is decided by what the event is for.
        return Event((event, EXTERNAL if timed else 0))

    def _new_device_buffer(self, size: int) -> DeviceBuffer:
        address = self._call("cuMemAlloc", size)
        return DeviceBuffer(address, int(address), size)

    def _new_host_buffer(self, size: int, mapped: bool) -> HostBuffer:
        address = int(self._call("cuMemHostAlloc", size, self._driver.CU_MEMHOSTALLOC_DEVICEMAP if mapped else 0))
        array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        device = int(self._call("cuMemHostGetDevicePointer", address, 0)) if mapped else None
        return HostBuffer(address, array, device)

    def _copy_in(self, address: int, buffer: HostBuffer, stream: Stream) -> None:
        status = self._driver.cuMemcpyHtoDAsync(address, buffer.raw, buffer.size, stream.raw)[0]
        self._check("cuMemcpyHtoDAsync", status)

    def _copy_out(self, buffer: HostBuffer, address: int, stream: Stream) -> None:
        status = self._driver.cuMemcpyDtoHAsync(buffer.raw, address, buffer.size, stream.raw)[0]
        self._check("cuMemcpyDtoHAsync", status)

    def _fill(self, address: int, size: int, byte: int, stream: Stream) -> None:
        status = self._driver.cuMemsetD8Async(address, byte, size, stream.raw)[0]
        self._check("cuMemsetD8Async", status)

    def _record(self, event: Event, stream: Stream) -> None:
        mark, how = event.raw
        if how and self._capturing(stream):
            status = self._driver.cuEventRecordWithFlags(mark, stream.raw, how)[0]
        else:
            status = self._driver.cuEventRecord(mark, stream.raw)[0]
        self._check("cuEventRecord", status)

    def _capturing(self, stream: Stream) -> bool:
        status = self._call("cuStreamIsCapturing", stream.raw)
        return bool(status != self._driver.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_NONE)

    def _wait(self, stream: Stream, event: Event) -> None:
        status = self._driver.cuStreamWaitEvent(stream.raw, event.raw[0], 0)[0]
        self._check("cuStreamWaitEvent", status)

    def _finished(self, stream: Stream) -> bool:
        status = self._driver.cuStreamQuery(stream.raw)[0]
        if status == self._driver.CUresult.CUDA_ERROR_NOT_READY:
            return False
        self._check("cuStreamQuery", status)
        return True

    def _synchronize(self, stream: Stream) -> None:
        self._call("cuStreamSynchronize", stream.raw)

    def _elapsed_ms(self, first: Event, last: Event) -> float:
        try:
            status, milliseconds = self._driver.cuEventElapsedTime(first.raw[0], last.raw[0])
        except RuntimeError:  # cuda-bindings 13 ask for the function of CUDA 12.8; JetPack 6, R550 and R560 lack it
            found = ctypes.c_float()
            status = _older_elapsed_time()(ctypes.byref(found), int(first.raw[0]), int(last.raw[0]))
            status, milliseconds = self._driver.CUresult(status), found.value
        self._check("cuEventElapsedTime", status)
        return float(milliseconds)

    def _begin_capture(self, stream: Stream) -> None:
        # Thread-local: what other threads of the program do with CUDA in the meantime does not spoil the capture.
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream.raw, mode)

    def _end_capture(self, stream: Stream) -> Graph:
        captured = self._call("cuStreamEndCapture", stream.raw)
        try:
            ready = self._call("cuGraphInstantiate", captured, 0)
        finally:
            self._call("cuGraphDestroy", captured)
        try:
            self._call("cuGraphUpload", ready, stream.raw)
        except CudaError:
            self._driver.cuGraphExecDestroy(ready)
            raise
        return Graph(ready)

    def _abandon_capture(self, stream: Stream) -> None:
        status, captured = self._driver.cuStreamEndCapture(stream.raw)
        if not status and int(captured):
            self._call("cuGraphDestroy", captured)

    def _launch(self, graph: Graph, stream: Stream) -> None:
        status = self._driver.cuGraphLaunch(graph.raw, stream.raw)[0]
        self._check("cuGraphLaunch", status)

    def _free_graph(self, graph: Graph) -> None:
        self._call("cuGraphExecDestroy", graph.raw)

    def _free_event(self, event: Event) -> None:
        self._call("cuEventDestroy", event.raw[0])

    def _free_stream(self, stream: Stream) -> None:
        self._call("cuStreamDestroy", stream.raw)

    def _free_device(self, buffer: DeviceBuffer) -> None:
        self._call("cuMemFree", buffer.raw)

    def _free_host(self, buffer: HostBuffer) -> None:
        self._call("cuMemFreeHost", buffer.raw)

    def _make_current(self) -> None:
        self._call("cuCtxSetCurrent", self._context)

    def _release(self) -> None:
        self._call("cuCtxSetCurrent", self._before)
        self._call("cuDevicePrimaryCtxRelease", self._device)
