"""`TritonClient`: one server asked by gRPC, in KServe's protocol, version 2; answers are checked, failures said.

The protocol's messages are those of the package `tritonclient`; the channel is our own, since what was lost and came
back has to be seen.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.checked_file import read_whole
from device.extras import missing
from runtime.arrays import UInt8Array
from runtime.engines.address import ServerAddress
from runtime.engines.triton.contract import MARK, Contract, Tensor, read_mark, shape_problem, zeros
from runtime.errors import DeadlineMissed, EngineAway, EngineError

LONGEST_S = 10.0
"""Waited for an answer where no budget says how long."""
REMEDY = "make its repository again: python -m build_engines triton BUNDLE --out REPOSITORY"
_WATCHER_S = 2.0
_MESSAGE_LIMIT = 64 * 2**20
SCORES_WITHIN = 0.02
"""Probabilities of a server and the softmax of its logits: half precision rounds both by a tenth of that."""
LARGEST_PEM = 4 << 20
"""Bytes of a file of certificates or of a key."""
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # in truth how long one attempt may take, TLS and all
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # frames of infants go to the server that was named, and nowhere else
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
)
_TYPES: Mapping[str, Any] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype(np.uint8)}


_TRITON_IS_FULL = ("Exceeds maximum queue size", "Request timeout expired")
"""What Triton says with UNAVAILABLE when a queue is full, or a frame waited too long in it."""


_TOO_LARGE = "eceived message larger than max"
"""What gRPC says of an answer over `_MESSAGE_LIMIT`."""


class ServerFull(EngineAway):
    """The server is there and has no room for this frame."""


@dataclass(frozen=True)
class Served:
    """What answers."""

    precision: str
    """Of the networks, in the words of `precision_word`."""
    server: str
    """Its name and version, as it says them itself."""
    platform: str
    """What runs the model there."""


class TritonClient:
    """Of one server, for one bundle. Connects when it is first asked. One thread at a time.

    Raises `EngineAway` for a server that cannot be asked, `EngineError` for one that cannot be what is wanted,
    `DeadlineMissed` for an answer that is late.
    """

    def __init__(self, address: ServerAddress, contract: Contract) -> None:
        self._address, self.contract = address, contract
        self._grpc, self._protocol, services = library()
        self._channel = _channel(self._grpc, address)
        self._ask = services.GRPCInferenceServiceStub(self._channel)
        self._request = self._protocol.ModelInferRequest(model_name=contract.model, model_version=contract.version)
        self._request.inputs.add(name=contract.image.name, datatype=contract.image.datatype, shape=contract.image.shape)
        for tensor in contract.outputs:
            self._request.outputs.add(name=tensor.name)
        self._asked = 0
        self._precision = ""
        """In which the server read when it was checked; "" while it is."""
        self._connected, self._dropped = threading.Event(), False
        self._channel.subscribe(self._changed, try_to_connect=True)

    def _changed(self, state: Any) -> None:
        """In a thread of gRPC's: a connection that ends may come back as another server's, without any error."""
        if state is self._grpc.ChannelConnectivity.READY:
            self._connected.set()
        elif self._connected.is_set():
            self._connected.clear()
            self._dropped = True

    @property
    def dropped(self) -> bool:
        """Whether the connection ended since `check` was last begun."""
        return self._dropped

    def check(self, reach_s: float = LONGEST_S, frame_s: float = LONGEST_S) -> Served:
        """Ask the server for all that it must be for the bundle, a frame's answer included.

        reach_s, frame_s: seconds for each question, and for the frame, which may be the server's first.
        """
        self._dropped, self._precision = False, ""
        server = self._say(self._ask.ServerMetadata, self._protocol.ServerMetadataRequest(), reach_s)
        platform = self._check_metadata(reach_s)
        stated = self._check_parameters(reach_s)
        answer = self.infer(zeros(self.contract.image), frame_s)
        _, precision = self._mark(answer)
        if stated not in ("", precision):
            raise self._wrong(f"its configuration says {stated}, its answers {precision}; {REMEDY}")
        self._precision = precision
        self._connected.wait(_WATCHER_S)  # what gRPC's thread has not seen begin yet, it would not see end
        return Served(precision, _short(f"{server.name} {server.version}"), _short(platform))

    def infer(self, image: UInt8Array, within_s: float = LONGEST_S) -> dict[str, NDArray[Any]]:
        """What the model gives for a frame, by name, each of the contract's shape and type; read-only arrays.

        image: RGB, uint8 [1, 256, 256, 3]. within_s: seconds that the answer may take.
        """
        request = self._request
        del request.raw_input_contents[:]
        request.raw_input_contents.append(image.tobytes())
        # A server that queues need not read what nobody waits for any more.
        request.parameters["timeout"].int64_param = max(1, int(within_s * 1e6))
        self._asked += 1
        request.id = str(self._asked)
        response = self._say(self._ask.ModelInfer, request, within_s, frame=True)
        if response.id != request.id:  # the protocol has it given back
            raise self._wrong(
                f"answers for another frame's question, {_short(response.id)!r}, asked for {request.id!r}; "
                "look at the server"
            )
        for what, got, wanted in (
            ("model", response.model_name, self.contract.model),
            ("version", response.model_version, self.contract.version),
        ):
            if got not in ("", wanted):
                raise self._wrong(f"answers for {what} {_short(got)!r}, asked for {wanted!r}; look at the server")
        found = self._tensors(response)
        sha256, precision = self._mark(found)
        if self._precision not in ("", precision):
            raise self._wrong(
                f"reads in {precision} now, and in {self._precision} when it was checked; look at the server"
            )
        if sha256 != self.contract.bundle_sha256:
            raise self._other_bundle(sha256)
        self._check_scores(found["probabilities"][0], found["logits"][0])
        return found

    def close(self) -> None:
        """Give the connection up, within a quarter of a second. Closing twice is fine."""
        self._channel.unsubscribe(self._changed)
        # The thread of gRPC's that watches the channel looks up five times a second, and ends with a traceback when the
        # channel is closed meanwhile.
        until = time.monotonic() + _WATCHER_S
        while getattr(getattr(self._channel, "_connectivity_state", None), "polling", True):
            if time.monotonic() > until:
                break
            time.sleep(0.01)
        self._channel.close()

    def _say(self, call: Any, request: Any, within_s: float, *, frame: bool = False) -> Any:
        """One question. `frame`: it is of a frame, whose answer can be late."""
        code = self._grpc.StatusCode
        try:
            return call(request, timeout=within_s)
        except self._grpc.RpcError as error:
            status, details = error.code(), _short(" ".join((error.details() or "").split()), 200)
            if status is code.DEADLINE_EXCEEDED and frame:
                raise DeadlineMissed(f"late: the server's answer did not come within {within_s * 1e3:.0f} ms") from None
            if status is code.DEADLINE_EXCEEDED:
                raise EngineAway(f"{self._address}: no answer in {within_s:g} s; look at the server") from None
            if _TOO_LARGE in details:  # gRPC says it by the same code as of a server that is full
                raise self._wrong(
                    f"its answer is larger than {_MESSAGE_LIMIT // 2**20} MiB, expected less than one; {REMEDY}"
                ) from None
            if status is code.RESOURCE_EXHAUSTED or any(words in details for words in _TRITON_IS_FULL):
                raise ServerFull(f"{self._address}: is full ({details}); give it more instances") from None
            if status is code.UNAVAILABLE:
                where = "whether it speaks TLS at this port, and at the server" if self._address.tls else "the server"
                raise EngineAway(f"{self._address}: cannot be asked ({details}); look at {where}") from None
            raise _Refused(
                f"{self._address}: refused the question ({status.name}: {details}); look at the server's log", status
            ) from None
        except ValueError as error:  # a channel that was closed
            raise EngineAway(f"{self._address}: {error}") from None

    def _check_metadata(self, within_s: float) -> str:
        """The model's name, version and tensors; gives its platform."""
        wanted, ask = self.contract, self._protocol.ModelMetadataRequest
        try:
            told = self._say(self._ask.ModelMetadata, ask(name=wanted.model, version=wanted.version), within_s)
        except EngineAway:
            raise
        except _Refused as refused:
            raise self._absent(refused, within_s) from None
        if told.versions and wanted.version not in told.versions:
            raise self._other_version(list(told.versions))
        for offered, needed in ((told.inputs, (wanted.image,)), (told.outputs, wanted.outputs)):
            tensors = {tensor.name: (tensor.datatype, tuple(tensor.shape)) for tensor in offered}
            if problem := next(filter(None, (shape_problem(tensors, tensor) for tensor in needed)), ""):
                raise self._wrong(f"model {wanted.model}: {problem}; {REMEDY}")
        return str(told.platform)

    def _absent(self, refused: _Refused, within_s: float) -> EngineError:
        """Why a server will not tell of the model: it has none of that name, or another version of it."""
        wanted = self.contract
        try:
            told = self._say(self._ask.ModelMetadata, self._protocol.ModelMetadataRequest(name=wanted.model), within_s)
        except EngineError:
            known = refused.status in (self._grpc.StatusCode.NOT_FOUND, self._grpc.StatusCode.INVALID_ARGUMENT)
            return self._wrong(f"has no model {wanted.model}; put it there, or {REMEDY}") if known else refused
        return self._other_version(list(told.versions))

    def _check_parameters(self, within_s: float) -> str:
        """The bundle's hash in the model's configuration; gives the precision that it names, "" where it names none.

        A server of another make has no such question; then the mark of each answer has to do.
        """
        wanted, code = self.contract, self._grpc.StatusCode
        try:
            ask = self._protocol.ModelConfigRequest(name=wanted.model, version=wanted.version)
            told = self._say(self._ask.ModelConfig, ask, within_s)
        except _Refused as refused:
            if refused.status is code.UNIMPLEMENTED:
                return ""
            raise
        said = {key: value.string_value for key, value in told.config.parameters.items()}
        if "bundle_sha256" not in said:
            raise self._wrong(f"model {wanted.model} does not say of which bundle it is; {REMEDY}")
        if said["bundle_sha256"] != wanted.bundle_sha256:
            raise self._other_bundle(said["bundle_sha256"])
        return str(said.get("precision", ""))

    def _tensors(self, response: Any) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        raw = list(response.raw_output_contents)
        if raw and len(raw) != len(response.outputs):
            raise self._wrong(f"answered with {len(raw)} contents for {len(response.outputs)} outputs")
        given = {output.name: (number, output) for number, output in enumerate(response.outputs)}
        if len(given) != len(response.outputs):
            raise self._wrong(f"answered with an output of the same name twice; {REMEDY}")
        for tensor in self.contract.outputs:
            number, output = given.get(tensor.name, (0, None))
            offered = {} if output is None else {tensor.name: (output.datatype, tuple(output.shape))}
            if problem := shape_problem(offered, tensor):
                raise self._wrong(f"answered with {problem}")
            found[tensor.name] = self._array(tensor, output, raw[number] if raw else None)
        return found

    def _array(self, tensor: Tensor, output: Any, raw: bytes | None) -> NDArray[Any]:
        """Of the bytes, or of the numbers one by one, as a server sends them."""
        kind, count = _TYPES[tensor.datatype], prod(tensor.shape)
        if raw is None:
            numbers = output.contents.fp32_contents if tensor.datatype == "FP32" else output.contents.uint_contents
            if len(numbers) != count or (tensor.datatype == "UINT8" and count and max(numbers) > 255):
                raise self._wrong(f"{tensor.name}: {len(numbers)} numbers, expected {count} of {tensor.datatype}")
            return np.array(numbers, kind).reshape(tensor.shape)
        if len(raw) != count * kind.itemsize:
            raise self._wrong(f"{tensor.name}: {len(raw)} bytes, expected {count * kind.itemsize}")
        return np.frombuffer(raw, kind).reshape(tensor.shape)

    def _mark(self, answer: Mapping[str, NDArray[Any]]) -> tuple[str, str]:
        mark = read_mark(answer[MARK])
        if mark is None:
            raise self._wrong(f"its answer does not say which bundle read; {REMEDY}")
        return mark

    def _check_scores(self, probabilities: NDArray[Any], logits: NDArray[Any]) -> None:
        """Both are of one softmax; what is not a number at all is refused for that, by whoever asked."""
        with np.errstate(all="ignore"):
            shares = np.exp(logits.astype(np.float64) - logits.max())
            apart = float(np.abs(shares / shares.sum() - probabilities).max())
        if apart > SCORES_WITHIN:
            raise self._wrong(
                f"its probabilities are not those of its logits (apart by {apart:.2f}, at most {SCORES_WITHIN}); "
                f"{REMEDY}"
            )

    def _wrong(self, problem: str) -> EngineError:
        return EngineError(f"{self._address}: {_short(problem, 400)}")

    def _other_bundle(self, sha256: str) -> EngineError:
        return self._wrong(
            f"model {self.contract.model} is of bundle {sha256[:12]}..., this cart's is "
            f"{self.contract.bundle_sha256[:12]}...; {REMEDY}"
        )

    def _other_version(self, versions: list[str]) -> EngineError:
        return self._wrong(
            f"has model {self.contract.model} in version {', '.join(versions[:9]) or 'none'}, this cart's bundle is "
            f"version {self.contract.version}; {REMEDY}"
        )


def _short(text: str, most: int = 80) -> str:
    """What a server says, as it may be shown: one line without control characters."""
    return "".join(letter for letter in text[: 2 * most] if letter.isprintable())[:most].strip()


class _Refused(EngineError):
    """An answer of the server's that is an error of no common kind."""

    def __init__(self, words: str, status: Any) -> None:
        super().__init__(words)
        self.status = status


def library() -> tuple[Any, Any, Any]:
    """`grpc`, the protocol's messages, and its services, as modules. Raises `EngineError` where they are not there."""
    if absent := missing("triton"):
        raise EngineError(f"triton: {absent}")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is said by us, once
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    return grpc, service_pb2, service_pb2_grpc


def _channel(grpc: Any, address: ServerAddress) -> Any:
    if not address.tls:
        return grpc.insecure_channel(address.target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(*read_pem(address))
    return grpc.secure_channel(address.target, credentials, options=_OPTIONS)


def read_pem(address: ServerAddress) -> list[bytes | None]:
    """Its authority, key and certificate, None for what it does not name. Raises `EngineError`."""
    try:
        named = (address.ca, address.key, address.cert)
        return [None if path is None else read_whole(path, LARGEST_PEM) for path in named]
    except OSError as error:
        raise EngineError(f"{address}: {error.filename} cannot be read ({error.strerror}); allow it") from None
