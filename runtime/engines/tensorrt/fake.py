"""TensorRT without a GPU: a module's worth of its contract on the fake GPU, with OpenVINO for the sums. Public API.

A plan of it is a few lines of JSON that name the graph, the architecture and the version. What TensorRT forbids is
refused as TensorRT does it: None or False, and the reason goes to the logger and nowhere else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from enum import Enum
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from runtime.cuda.errors import CudaError
from runtime.cuda.fake import FakeCuda
from runtime.plan_key import architecture_name

ALIGNMENT = 256
"""Bytes."""


def fake_plan(graph: Path, architecture: str = "sm86", version: str = "10.3.0") -> bytes:
    """A plan of an ONNX graph, which must stay where it is."""
    content = {"fake_plan": 1, "graph": str(graph.resolve()), "architecture": architecture, "version": version}
    return json.dumps(content).encode()


class _Severity(Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class _ILogger:
    Severity = _Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = tuple(_Severity)

    def log(self, severity: _Severity, message: str) -> None:
        raise NotImplementedError


class _Logger(_ILogger):
    def __init__(self, min_severity: _Severity = _Severity.WARNING) -> None:
        self.min_severity = min_severity

    def log(self, severity: _Severity, message: str) -> None:
        """Nobody listens."""


class _IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class _TensorIOMode(Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class _DataType(Enum):
    FLOAT = np.dtype(np.float32)
    HALF = np.dtype(np.float16)
    INT8 = np.dtype(np.int8)
    INT32 = np.dtype(np.int32)
    BOOL = np.dtype(np.bool_)
    UINT8 = np.dtype(np.uint8)
    INT64 = np.dtype(np.int64)


class FakeTensorRT:
    """What `import tensorrt` would give, on a fake GPU.

    `refuses_capture` and `wrong_in_graphs` make it fail in ways that real plans fail.
    """

    ILogger, Logger, TensorIOMode, DataType = _ILogger, _Logger, _TensorIOMode, _DataType
    IProfiler = _IProfiler

    def __init__(self, cuda: FakeCuda, version: str = "10.3.0") -> None:
        self.__version__ = version
        self.cuda = cuda
        self.refuses_capture = False
        """A plan with work that no graph can hold."""
        self.wrong_in_graphs = 0.0
        """Added to all that captured work gives."""
        self.forgets: str | None = None
        """An output that is not written."""
        self.Runtime: Callable[[_ILogger], _Runtime] = partial(_Runtime, self)


class _Runtime:
    def __init__(self, trt: FakeTensorRT, logger: _ILogger) -> None:
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        """The engine, or None with the reason in the log."""
        try:
            content = json.loads(plan)
            architecture, version, graph = content["architecture"], content["version"], content["graph"]
        except (ValueError, KeyError, TypeError):
            self._refuse("Serialization assertion magicTagRead == kMAGIC_TAG failed. Magic tag does not match")
            return None
        if version != self._trt.__version__:
            self._refuse(f"The engine plan file is not compatible with this version of TensorRT: {version}")
            return None
        here = architecture_name(*self._trt.cuda.facts.compute_capability)
        if architecture != here:
            self._refuse(f"The engine plan file was generated for {architecture}, this device is {here}")
            return None
        return _Engine(self._trt, self._logger, _compiled(Path(graph).read_bytes()))

    def _refuse(self, reason: str) -> None:
        self._logger.log(_Severity.ERROR, f"IRuntime::deserializeCudaEngine: {reason}")
        self._logger.log(_Severity.ERROR, "[runtime.cpp::deserialize] Engine deserialization failed.")


@lru_cache(maxsize=8)
def _compiled(graph: bytes) -> Any:
    """The graph in OpenVINO, as the OpenVINO backend runs it in fp32."""
    from runtime.engines.load_openvino import open_core

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    core = open_core()
    return core.compile_model(core.read_model(graph), "CPU", options)


class _Engine:
    def __init__(self, trt: FakeTensorRT, logger: _ILogger, compiled: Any) -> None:
        self._trt, self._logger, self._compiled = trt, logger, compiled
        self.inputs = {port.get_any_name(): port for port in compiled.inputs}
        self.outputs = {port.get_any_name(): port for port in compiled.outputs}
        self.names: tuple[str, ...] = (*self.inputs, *self.outputs)
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> _TensorIOMode:
        if name not in self.names:
            return _TensorIOMode.NONE
        return _TensorIOMode.INPUT if name in self.inputs else _TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(dim.get_length() if dim.is_static else -1 for dim in self._port(name).partial_shape)

    def get_tensor_dtype(self, name: str) -> _DataType:
        return _DataType(np.dtype(self._port(name).element_type.to_dtype()))

    def _port(self, name: str) -> Any:
        return self.inputs.get(name) or self.outputs[name]

    def create_execution_context(self) -> _Context | None:
        try:
            self._trt.cuda.forbid_in_capture("cuMemAlloc")
        except CudaError:
            return None
        return _Context(self._trt, self._logger, self, self._compiled.create_infer_request())


class _Execution:
    """What work that was put into a stream still needs, also when the context is dropped too early."""

    def __init__(self, trt: FakeTensorRT, engine: _Engine, request: Any) -> None:
        self._trt, self._engine, self._request = trt, engine, request
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.pending = 0
        self.profiler: _IProfiler | None = None

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self.shapes.get(name, self._engine.get_tensor_shape(name))
        if name not in self._engine.inputs and self.shapes:  # with a free batch the outputs follow the inputs
            batch = next(iter(self.shapes.values()))[0]
            shape = tuple(batch if length == -1 else length for length in shape)
        return shape

    def once(self, addresses: dict[str, int]) -> None:
        """The work of a single call."""
        self.pending -= 1
        began = time.perf_counter()
        self.work(addresses, 0.0)
        if self.profiler is not None:  # as if each output had a layer of its own
            for name in self._engine.outputs:
                took_ms = (time.perf_counter() - began) * 1e3
                self.profiler.report_layer_time(f"layer of {name}", took_ms / len(self._engine.outputs))

    def work(self, addresses: dict[str, int], wrong: float) -> None:
        """Read the inputs where they lie by now, and write the outputs."""
        inputs = {name: self._array(name, addresses[name]).copy() for name in self._engine.inputs}
        results = self._request.infer(inputs)
        for name, port in self._engine.outputs.items():
            if name != self._trt.forgets:
                self._array(name, addresses[name])[...] = results[port] + wrong

    def _array(self, name: str, address: int) -> np.ndarray[Any, Any]:
        shape, dtype = self.shape(name), self._engine.get_tensor_dtype(name).value
        span = (address, int(np.prod(shape)) * dtype.itemsize)
        memory: np.ndarray[Any, Any] = self._trt.cuda.view(span, f"network, {name}").view(dtype)
        return memory.reshape(shape)


class _Context:
    def __init__(self, trt: FakeTensorRT, logger: _ILogger, engine: _Engine, request: Any) -> None:
        self._trt, self._logger, self._engine = trt, logger, engine
        self._execution = _Execution(trt, engine, request)
        self._addresses: dict[str, int] = {}
        self.enqueue_emits_profile = False
        self._ran = False
        trt.cuda.dependents.add(self)

    def __del__(self) -> None:
        if self._execution.pending:
            self._trt.cuda.violations.append("an execution context was dropped while its work was not done")
        if self._trt.cuda.holds(self._execution):
            self._trt.cuda.violations.append("an execution context was dropped while a graph holds its work")

    @property
    def profiler(self) -> _IProfiler | None:
        return self._execution.profiler

    @profiler.setter
    def profiler(self, profiler: _IProfiler) -> None:
        self._execution.profiler = profiler

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        known = self._engine.get_tensor_shape(name)
        if len(shape) != len(known) or any(k not in (-1, given) for k, given in zip(known, shape, strict=True)):
            self._log(f"setInputShape: {name}: {shape} does not fit {known}")
            return False
        self._execution.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._execution.shape(name)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._engine.names or address % ALIGNMENT or not address:
            self._log(f"setTensorAddress: {name}: no such tensor, or {address:#x} is no address for it")
            return False
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        unbound = [name for name in self._engine.names if name not in self._addresses]
        if unbound:
            self._log(f"enqueueV3: Address is not set for tensor {unbound[0]}. Call setTensorAddress before enqueue.")
            return False
        unshaped = [name for name in self._engine.inputs if -1 in self.get_tensor_shape(name)]
        if unshaped:
            self._log(f"enqueueV3: input {unshaped[0]} has no shape yet. Call setInputShape before enqueue.")
            return False
        cuda, addresses = self._trt.cuda, dict(self._addresses)
        capturing = cuda.is_captured(stream_handle)
        try:
            if not self._ran or (capturing and self._trt.refuses_capture):
                cuda.forbid_in_capture("cuMemAlloc")  # the first run still allocates
            if capturing:
                run = partial(self._execution.work, addresses, self._trt.wrong_in_graphs)
            else:
                run = partial(self._execution.once, addresses)
            cuda.enqueue(stream_handle, "network", run, owner=self._execution)
        except CudaError as error:
            self._log(f"enqueueV3: {error}")
            return False
        self._ran = True
        self._execution.pending += not capturing
        return True

    def _log(self, message: str) -> None:
        self._logger.log(_Severity.ERROR, f"IExecutionContext::{message}")
