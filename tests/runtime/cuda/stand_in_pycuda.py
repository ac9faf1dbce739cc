"""The part of `pycuda.driver` that the provider uses, by PyCUDA's documentation, on the fake GPU."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from runtime.cuda.errors import CudaError
from runtime.cuda.fake import FakeCuda


class Error(Exception):
    """Base of PyCUDA's errors; the text is the call and the driver's words."""


def stand_in(cuda: FakeCuda) -> dict[str, types.ModuleType]:
    """Modules `pycuda` and `pycuda.driver` for sys.modules, on that GPU."""
    package, driver = types.ModuleType("pycuda"), types.ModuleType("pycuda.driver")
    package.VERSION_TEXT = "2024.1.2"  # type: ignore[attr-defined]
    package.driver = driver  # type: ignore[attr-defined]
    state = {"initialised": False, "stack": []}

    def checked(call: Any, *arguments: Any, **options: Any) -> Any:
        """The fake's refusals in PyCUDA's words: the call, then the driver's text."""
        assert state["stack"], "no context is current"
        try:
            return call(*arguments, **options)
        except CudaError as error:
            name, words = str(error).removeprefix("CUDA: ").removeprefix("GPU lost: ").split(": ", 1)
            text = "an illegal memory access was encountered" if error.code == 700 else words
            raise Error(f"{name} failed: {text}") from error

    class Context:
        def push(self) -> None:
            state["stack"].append(self)  # type: ignore[attr-defined]

        @staticmethod
        def pop() -> None:
            state["stack"].pop()  # type: ignore[attr-defined]
            cuda.close()

    class Device:
        def __init__(self, number: int) -> None:
            assert state["initialised"], "init() must come first"

        def name(self) -> str:
            return cuda.facts.name

        def compute_capability(self) -> tuple[int, int]:
            return cuda.facts.compute_capability

        def get_attribute(self, attribute: str) -> int:
            assert attribute == "integrated"
            return int(cuda.facts.integrated)

        def retain_primary_context(self) -> Context:
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            self._stream = checked(cuda.stream)
            self.handle = self._stream.handle

        def synchronize(self) -> None:
            checked(cuda.synchronize, self._stream)

        def is_done(self) -> bool:
            return bool(checked(cuda.finished, self._stream))

        def wait_for_event(self, event: Event) -> None:
            checked(cuda.wait, self._stream, event._event)

    class Event:
        def __init__(self, flags: int = 0) -> None:
            self._event = checked(cuda.event, timed=not flags)

        def record(self, stream: Stream) -> Event:
            checked(cuda.record, self._event, stream._stream)
            return self

        def time_till(self, other: Event) -> float:
            return float(checked(cuda.elapsed_ms, self._event, other._event))

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self._buffer = checked(cuda.device_buffer, size)

        def __int__(self) -> int:
            return int(self._buffer.address)

        def free(self) -> None:
            checked(cuda._free_device, self._buffer)
            cuda._held.device.remove(self._buffer)

    class PagelockedHostAllocation:
        def __init__(self, size: int, mapped: bool) -> None:
            self.buffer = checked(cuda.host_buffer, size, mapped=mapped)

        def get_device_pointer(self) -> int:
            return int(self.buffer.device_address)

        def free(self) -> None:
            checked(cuda._free_host, self.buffer)
            cuda._held.host.remove(self.buffer)

    def pagelocked_empty(shape: tuple[int], dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
        allocation = PagelockedHostAllocation(shape[0] * np.dtype(dtype).itemsize, bool(mem_flags))
        return _with_base(allocation.buffer.array, allocation)

    def copy_in(dest: int, src: np.ndarray, stream: Stream) -> None:
        checked(cuda.copy_in, dest, _owner(cuda, src), stream._stream)

    def copy_out(dest: np.ndarray, src: int, stream: Stream) -> None:
        checked(cuda.copy_out, _owner(cuda, dest), src, stream._stream)

    def init() -> None:
        state["initialised"] = True

    driver.__dict__.update(
        Error=Error,
        init=init,
        Device=Device,
        Stream=Stream,
        Event=Event,
        get_driver_version=lambda: 12060,
        mem_get_info=lambda: checked(cuda.memory),
        mem_alloc=DeviceAllocation,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=copy_in,
        memcpy_dtoh_async=copy_out,
        memset_d8_async=lambda dest, data, count, stream: checked(cuda.fill, dest, count, data, stream._stream),
        device_attribute=types.SimpleNamespace(INTEGRATED="integrated"),
        event_flags=types.SimpleNamespace(DEFAULT=0, DISABLE_TIMING=2),
        host_alloc_flags=types.SimpleNamespace(DEVICEMAP=2),
    )
    return {"pycuda": package, "pycuda.driver": driver}


class _Based(np.ndarray):
    """An array that says that another object is its base, as PyCUDA's do."""

    allocation: Any

    @property
    def base(self) -> Any:
        return self.allocation


def _with_base(array: np.ndarray, allocation: Any) -> np.ndarray:
    based = array.view(_Based)
    based.allocation = allocation
    return based


def _owner(cuda: FakeCuda, array: np.ndarray) -> Any:
    """The pinned buffer that an array is."""
    address = array.__array_interface__["data"][0]
    return next(b for b in cuda._held.host if b.array.__array_interface__["data"][0] == address)
