"""TensorRT as a library, and one deserialized plan of it with its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

from runtime.cuda.base import Stream
from runtime.engines.tensorrt.log import Remembered
from runtime.errors import EngineError, IncompatiblePlan
from runtime.plan_key import MODULES, TARGETS, TITLES, Library, release

NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "INT8": np.dtype(np.int8),
    "INT32": np.dtype(np.int32),
    "UINT8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}

REMEDIES = {
    "OLD_CUDA_DRIVER": "its driver is too old for it: install a newer NVIDIA driver",
    "OLD_CUDA_RUNTIME": "the CUDA runtime here is too old for it: install a newer one",
    "CUDA_ERROR": "CUDA does not work here: install NVIDIA's driver again",
    "INSUFFICIENT_GPU_MEMORY": "the GPU's memory is too small or full: free some",
    "MALFORMED_ENGINE": "the file is no plan: copy the bundle again, or build the plan again",
}
"""What helps where building the plan again does not, by TensorRT-RTX's own words for why it refuses one."""


@dataclass(frozen=True)
class TensorFacts:
    """An input or output of a network."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class TensorRT:
    """The library `tensorrt` or `tensorrt_rtx` in this process, with its runtime and its logger."""

    def __init__(self, library: Library, module: Any) -> None:
        """module: what `import tensorrt` gives. The driver must have been probed: without one this may crash."""
        self.library = library
        self.title = TITLES[library]
        self.target = TARGETS[library]
        self.trt = module
        self.version = release(str(module.__version__))
        self.log = Remembered(module)
        self._runtime = module.Runtime(self.log.logger)

    def deserialize(self, name: str, plan: bytes, tensors: Mapping[str, str]) -> Network:
        """The network in a plan whose SHA-256 was checked: a plan is code.

        tensors: by the graph's names, those in the plan, where they differ. Raises `IncompatiblePlan` when TensorRT
        refuses it, with TensorRT's own reason.
        """
        self.log.clear()
        engine = self._runtime.deserialize_cuda_engine(plan)
        # None is all that it says itself; so is what create_execution_context says when memory is short.
        if engine is None:
            raise IncompatiblePlan(
                f"{self.target}: {name}.plan is refused by {self.title} {self.version}: {self.log.reason()}; "
                f"{self._remedy(plan)}"
            )
        return Network(name, self, engine, tensors)

    def _remedy(self, plan: bytes) -> str:
        """What to do about a plan that was refused, by the library's own diagnosis where it gives one."""
        rebuild = f"rebuild it: python -m build_engines BUNDLE --target {self.target}"
        if not hasattr(self._runtime, "get_engine_validity"):
            return rebuild
        _, found = self._runtime.get_engine_validity(plan)
        members = self.trt.EngineInvalidityDiagnostics.__members__
        told = [text for name, text in REMEDIES.items() if name in members and int(found) & int(members[name])]
        return "; ".join(told) or rebuild

    def close(self) -> None:
        """Drop the runtime; its networks must be gone before."""
        self._runtime = None


def import_library(library: Library) -> TensorRT:
    """The library, in this process. Raises `EngineError` when it cannot be imported or gives no runtime."""
    module = MODULES[library]
    try:
        return TensorRT(library, import_module(module))
    except (ImportError, AttributeError, OSError, RuntimeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineError(f"{TARGETS[library]}: {module} cannot be used ({first}); install one that fits") from error


class Network:
    """One network, ready to be bound and put into a stream. Its tensors bear the graph's names."""

    def __init__(self, name: str, library: TensorRT, engine: Any, tensors: Mapping[str, str]) -> None:
        self.name = name
        self._library = library
        self._engine = engine
        self._names = dict(tensors)
        graph_names = {plan_name: graph_name for graph_name, plan_name in tensors.items()}
        context = engine.create_execution_context()
        if context is None:
            raise EngineError(
                f"{library.target}: {name}: no execution context: {library.log.reason()}; is the GPU's memory full?"
            )
        self._context: Any = context
        self.inputs: dict[str, TensorFacts] = {}
        self.outputs: dict[str, TensorFacts] = {}
        # Inputs first: with a free batch, the outputs' shapes follow from theirs.
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        is_input = {name: engine.get_tensor_mode(name) == library.trt.TensorIOMode.INPUT for name in names}
        for tensor in names:
            if is_input[tensor]:
                self.inputs[graph_names.get(tensor, tensor)] = self._input(tensor)
        for tensor in names:
            if not is_input[tensor]:
                self.outputs[graph_names.get(tensor, tensor)] = self._facts(tensor, context.get_tensor_shape(tensor))

    def _input(self, tensor: str) -> TensorFacts:
        facts = self._facts(tensor, self._engine.get_tensor_shape(tensor))
        if -1 in facts.shape:
            facts = TensorFacts(tuple(1 if length == -1 else length for length in facts.shape), facts.dtype)
            if not self._context.set_input_shape(tensor, facts.shape):
                self._fail(f"{tensor} cannot be {facts}")
        return facts

    def _facts(self, tensor: str, shape: Any) -> TensorFacts:
        dtype = self._engine.get_tensor_dtype(tensor).name
        if dtype not in NUMPY_TYPES:
            self._fail(f"{tensor} is {dtype}, which this runtime does not exchange")
        return TensorFacts(tuple(int(length) for length in shape), NUMPY_TYPES[dtype])

    def bind(self, tensor: str, address: int) -> None:
        """Say where a tensor lies on the GPU."""
        if not self._context.set_tensor_address(self._names.get(tensor, tensor), address):
            self._fail(f"{tensor} cannot lie at {address:#x}: {self._library.log.reason()}")

    @property
    def module(self) -> Any:
        """The library that runs it, `tensorrt` or `tensorrt_rtx`."""
        return self._library.trt

    def profile(self, profiler: Any) -> None:
        """Have TensorRT tell an `IProfiler` what each layer took, at the end of each run by a single call."""
        self._context.enqueue_emits_profile = True
        self._context.profiler = profiler

    def enqueue(self, stream: Stream) -> None:
        """Put the network's work into the stream. Raises `EngineError` when TensorRT refuses."""
        if not self._context.execute_async_v3(stream.handle):
            self._fail(f"cannot be put into the stream: {self._library.log.reason()}")

    def _fail(self, what: str) -> NoReturn:
        self._library.log.clear()  # told; a later failure has another reason
        raise EngineError(f"{self._library.target}: {self.name}: {what}")

    def close(self) -> None:
        """Drop the context, then the engine; nothing of it may be at work."""
        self._context = None
        self._engine = None
