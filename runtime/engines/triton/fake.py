"""`FakeServer`: a server of KServe's protocol on this machine, for tests and demonstrations. Public API.

It keeps the contract of a model that `build_engines triton` writes, answers with an engine of this process, and can be
told to fail in each way that a real one can. Needs the extra `triton`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.engines.triton.contract import ENCODED, MARK, Contract, contract_of, mark_of, parameters_of
from runtime.familiar import open_familiar

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine, Inference


class ServerFault(Enum):
    """A way to fail on purpose."""

    FULL = "refuses frames, its queue is full"
    GONE = "refuses frames as a server that ends"
    ERROR = "an error inside of the model"
    NOT_A_NUMBER = "not-a-number in the probabilities"
    VESSELS = "not-a-number in the vessel map"
    TWICE = "the probabilities twice, once of its own"
    HUGE = "an answer of 65 MiB"
    UNPRINTABLE = "an error that would write on a terminal"
    SHORT = "half of the bytes of the vessel map"
    MISSING = "no vessel map"
    OTHER_SHAPE = "a vessel map of another shape"
    OTHER_VERSION = "frames answered by another version of the model"
    OTHER_BUNDLE = "frames read by another bundle, whatever the configuration says"
    NO_MARK = "answers that do not say which bundle read"
    OTHER_FRAME = "the answer to another frame"
    NO_FRAME = "answers that do not say to which frame"
    OTHER_PRECISION = "frames read in another precision than it said when it was checked"
    UNLIKE = "probabilities that are not those of the logits"
    SWAPPED = "the classes exchanged, probabilities and logits"


class FakeServer:
    """Serves an engine for a bundle; a context manager.

    engine: asked by one frame at a time; the server does not close it. model, version, parameters: what it says of
    itself, as a right server by default; parameters None for a server of another make, which tells no configuration.
    numbers: send tensors as numbers one by one, as some servers do, and not as bytes. tls: files of its certificate and
    key, PEM, and of the authority that the clients' must be of, or None where they need none. `fault`, `delay_ms` and
    what it says of itself may be changed at any time; `stop` and `start` are a server that is lost and comes back.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        *,
        precision: str = "",
        numbers: bool = False,
        tls: tuple[Path, Path, Path | None] | None = None,
    ) -> None:
        known = open_familiar(bundle)
        self.contract: Contract = contract_of(bundle, encoded=None if known is None else known.mean.size)
        self.engine = engine
        self.precision = precision or engine.facts.precision
        self.parameters: dict[str, str] | None = parameters_of(bundle, self.precision)
        self.fault: ServerFault | None = None
        self.delay_ms = 0.0
        self.frames = 0
        """How many frames it was asked to read."""
        self.port = 0
        self.numbers = numbers
        self._tls = tls
        self._server: Any = None
        self._one = Lock()
        self._stopping = Event()

    @property
    def address(self) -> str:
        """For `--engine`."""
        return f"triton://127.0.0.1:{self.port}"

    def start(self) -> FakeServer:
        """Listen; at the port of before where it was started before."""
        from runtime.engines.triton.client import library

        grpc, self._protocol, service_pb2_grpc = library()
        self._code = grpc.StatusCode
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self._service(service_pb2_grpc), server)
        at = f"127.0.0.1:{self.port}"
        if self._tls is None:
            self.port = server.add_insecure_port(at)
        else:
            cert, key, authority = (None if path is None else path.read_bytes() for path in self._tls)
            credentials = grpc.ssl_server_credentials([(key, cert)], authority, require_client_auth=bool(authority))
            self.port = server.add_secure_port(at, credentials)
        self._stopping.clear()
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Break off whatever is under way. Stopping twice is fine."""
        if self._server is not None:
            self._stopping.set()
            self._server.stop(0).wait()
            self._server = None

    def __enter__(self) -> FakeServer:
        return self if self._server is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _service(self, services: Any) -> Any:
        """The questions of the protocol, each answered by a method of this class."""
        answers: dict[str, Callable[[Any, Any], Any]] = {
            "ServerMetadata": lambda request, context: self._protocol.ServerMetadataResponse(
                name="fake", version="1", extensions=[]
            ),
            "ModelMetadata": self._metadata,
            "ModelInfer": self._infer,
        }
        if self.parameters is not None:
            answers["ModelConfig"] = self._configuration
        return type("Service", (services.GRPCInferenceServiceServicer,), {n: _method(f) for n, f in answers.items()})()

    def _known(self, request: Any, context: Any) -> None:
        if request.name != self.contract.model or request.version not in ("", self.contract.version):
            context.abort(self._code.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")

    def _metadata(self, request: Any, context: Any) -> Any:
        self._known(request, context)
        told = self._protocol.ModelMetadataResponse(
            name=self.contract.model, versions=[self.contract.version], platform="fake"
        )
        for kept, tensors in ((told.inputs, (self.contract.image,)), (told.outputs, self.contract.outputs)):
            for tensor in tensors:
                kept.add(name=tensor.name, datatype=tensor.datatype, shape=(-1, *tensor.shape[1:]))
        return told

    def _configuration(self, request: Any, context: Any) -> Any:
        self._known(request, context)
        told = self._protocol.ModelConfigResponse()
        for key, value in (self.parameters or {}).items():
            told.config.parameters[key].string_value = value
        return told

    def _infer(self, request: Any, context: Any) -> Any:
        self.frames += 1
        if self.fault is ServerFault.FULL:
            context.abort(self._code.RESOURCE_EXHAUSTED, "Exceeds maximum queue size")
        if self.fault is ServerFault.GONE:
            context.abort(self._code.UNAVAILABLE, "Socket closed")
        if self.fault is ServerFault.ERROR:
            context.abort(self._code.INTERNAL, "as it was told to")
        if self.fault is ServerFault.UNPRINTABLE:
            context.abort(self._code.INTERNAL, "\x1b[2J\x07no referral findings")
        self._stopping.wait(self.delay_ms / 1e3)
        image = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(self.contract.image.shape)
        with self._one:
            found = self._tensors(self.engine.infer(image))
        other = self.fault is ServerFault.OTHER_VERSION
        answer = self._protocol.ModelInferResponse(
            id=request.id
            if self.fault is None
            else {"OTHER_FRAME": "0", "NO_FRAME": ""}.get(self.fault.name, request.id),
            model_name=self.contract.model,
            model_version="999" if other else self.contract.version,
        )
        for tensor in self.contract.outputs:
            if tensor.name == "vessels" and self.fault is ServerFault.MISSING:
                continue
            self._add(answer, tensor.name, tensor.datatype, found[tensor.name])
        if self.fault is ServerFault.TWICE:
            self._add(answer, "probabilities", "FP32", found["probabilities"][:, ::-1])
        if self.fault is ServerFault.HUGE:
            self._add(answer, "more", "UINT8", np.zeros(65 * 2**20, np.uint8))
        return answer

    def _tensors(self, inference: Inference) -> dict[str, Any]:
        """By name, as the fault wants them."""
        probabilities, logits = inference.probabilities.copy(), inference.logits
        if self.fault is ServerFault.NOT_A_NUMBER:
            probabilities[:] = np.nan
        elif self.fault in (ServerFault.UNLIKE, ServerFault.SWAPPED):
            probabilities = probabilities[::-1]
        if self.fault is ServerFault.SWAPPED:
            logits = logits[::-1]
        vessels = inference.vessels[np.newaxis, np.newaxis]
        if self.fault is ServerFault.VESSELS:
            vessels = np.full_like(vessels, np.nan)
        return {
            "vessels": vessels[..., :-1] if self.fault is ServerFault.OTHER_SHAPE else vessels,
            "probabilities": probabilities[np.newaxis],
            "logits": logits[np.newaxis],
            ENCODED: None if inference.encoded is None else inference.encoded[np.newaxis],
            MARK: self._mark(),
        }

    def _mark(self) -> UInt8Array:
        mark = mark_of(self.contract.bundle_sha256, self.precision)
        if self.fault is ServerFault.OTHER_BUNDLE:
            return mark_of("0" * 64, self.precision)
        if self.fault is ServerFault.OTHER_PRECISION:
            return mark_of(self.contract.bundle_sha256, "fp16" if self.precision != "fp16" else "int8")
        return np.zeros_like(mark) if self.fault is ServerFault.NO_MARK else mark

    def _add(self, answer: Any, name: str, datatype: str, values: Any) -> None:
        output = answer.outputs.add(name=name, datatype=datatype, shape=values.shape)
        if self.numbers:
            into = output.contents.fp32_contents if datatype == "FP32" else output.contents.uint_contents
            into.extend(values.ravel().tolist())
            return
        content = np.ascontiguousarray(values).tobytes()
        short = name == "vessels" and self.fault is ServerFault.SHORT
        answer.raw_output_contents.append(content[: len(content) // 2] if short else content)

    def named(self, *, model: str = "", version: str = "") -> FakeServer:
        """The same server with its model under another name or version."""
        self.contract = replace(
            self.contract, model=model or self.contract.model, version=version or self.contract.version
        )
        return self


def _method(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda self, request, context: answer(request, context)
