"""The GPU through PyCUDA, which many JetPack images carry: the primary context, no CUDA graphs.

Written against PyCUDA's documentation (2020.1 or newer); it has never met a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

from runtime.cuda.base import Cuda, DeviceBuffer, DeviceFacts, Event, HostBuffer, Stream
from runtime.cuda.errors import STICKY, CudaError, end_process


class PyCuda(Cuda):
    """The GPU's primary context, retained and current in the thread that makes this; never `pycuda.autoinit`."""

    has_graphs = False

    def __init__(self, ordinal: int = 0, on_lost: Callable[[str], None] = end_process) -> None:
        """ordinal: which GPU, of those that CUDA_VISIBLE_DEVICES shows. Raises `CudaError` when there is none."""
        super().__init__(on_lost)
        try:
            package: Any = import_module("pycuda")
            self._driver: Any = import_module("pycuda.driver")
        except ImportError as error:
            raise CudaError(f"CUDA: PyCUDA cannot be imported ({error}); install cuda-bindings instead") from error
        self.library = f"PyCUDA {package.VERSION_TEXT}"
        driver = self._driver
        try:
            driver.init()
            device = driver.Device(ordinal)
            major, minor = device.compute_capability()
            version = int(driver.get_driver_version())
            self._facts = DeviceFacts(
                name=str(device.name()),
                compute_capability=(int(major), int(minor)),
                integrated=bool(device.get_attribute(driver.device_attribute.INTEGRATED)),
                driver=f"{version // 1000}.{version % 1000 // 10}",
            )
            self._context = device.retain_primary_context()
            self._context.push()
            self._opened()
        except driver.Error as error:
            raise CudaError(f"CUDA: {error}") from error

    @property
    def facts(self) -> DeviceFacts:
        """Which GPU it is."""
        return self._facts

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """PyCUDA checks each status itself and raises; its errors become ours."""
        try:
            yield
        except self._driver.Error as error:
            self._failed(error)

    def _failed(self, error: Exception) -> NoReturn:
        """PyCUDA tells a status only by the driver's words for it: `cuMemAlloc failed: out of memory`."""
        call, _, words = str(error).partition(" failed: ")
        code = next((code for code, sticky in STICKY.items() if sticky in words), None)
        if code is not None:
            self._refuse(call, code, words)
        raise CudaError(f"CUDA: {error}") from error

    def _memory(self) -> tuple[int, int]:
        with self._checked():
            free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def _new_stream(self) -> Stream:
        with self._checked():
            stream = self._driver.Stream(1)  # CU_STREAM_NON_BLOCKING, which PyCUDA has no name for
        return Stream(stream, int(stream.handle))

    def _new_event(self, timed: bool) -> Event:
        flags = self._driver.event_flags
        with self._checked():
            return Event(self._driver.Event(flags.DEFAULT if timed else flags.DISABLE_TIMING))

    def _new_device_buffer(self, size: int) -> DeviceBuffer:
        with self._checked():
            memory = self._driver.mem_alloc(size)
        return DeviceBuffer(memory, int(memory), size)

    def _new_host_buffer(self, size: int, mapped: bool) -> HostBuffer:
        with self._checked():
            flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
            array = self._driver.pagelocked_empty((size,), np.uint8, mem_flags=flags)
            device = int(array.base.get_device_pointer()) if mapped else None
        return HostBuffer(array.base, array, device)

    def _copy_in(self, address: int, buffer: HostBuffer, stream: Stream) -> None:
        with self._checked():
            self._driver.memcpy_htod_async(address, buffer.array, stream.raw)

    def _copy_out(self, buffer: HostBuffer, address: int, stream: Stream) -> None:
        with self._checked():
            self._driver.memcpy_dtoh_async(buffer.array, address, stream.raw)

    def _fill(self, address: int, size: int, byte: int, stream: Stream) -> None:
        with self._checked():
            self._driver.memset_d8_async(address, byte, size, stream.raw)

    def _record(self, event: Event, stream: Stream) -> None:
        with self._checked():
            event.raw.record(stream.raw)

    def _wait(self, stream: Stream, event: Event) -> None:
        with self._checked():
            stream.raw.wait_for_event(event.raw)

    def _finished(self, stream: Stream) -> bool:
        with self._checked():
            return bool(stream.raw.is_done())

    def _synchronize(self, stream: Stream) -> None:
        with self._checked():
            stream.raw.synchronize()

    def _elapsed_ms(self, first: Event, last: Event) -> float:
        with self._checked():
            return float(first.raw.time_till(last.raw))

    def _begin_capture(self, stream: Stream) -> None:
        raise NotImplementedError("PyCUDA has no graphs; `capture` does not come here")

    _end_capture = _abandon_capture = _launch = _free_graph = _begin_capture  # type: ignore[assignment]

    def _free_event(self, event: Event) -> None:
        """PyCUDA's own reference counting gives events and streams back."""

    def _free_stream(self, stream: Stream) -> None:
        """PyCUDA's own reference counting gives events and streams back."""

    def _free_device(self, buffer: DeviceBuffer) -> None:
        with self._checked():
            buffer.raw.free()

    def _free_host(self, buffer: HostBuffer) -> None:
        with self._checked():
            buffer.raw.free()

    def _make_current(self) -> None:
        with self._checked():
            self._context.push()

    def _release(self) -> None:
        with self._checked():
            self._context.pop()
        del self._context  # which releases it
