"""A bundle's graphs in OpenVINO as it takes them, without this runtime's changes: a peer, not a backend."""

from __future__ import annotations

from typing import Any

from runtime.bench.peers.graphs import GraphsPeer
from runtime.bundle import Bundle
from runtime.engines.load_openvino import load_openvino, open_core
from runtime.errors import EngineError


class PlainOpenVINOEngine(GraphsPeer):
    """Both graphs compiled for latency, run one after the other as its users do. Raises `EngineError`."""

    def __init__(self, bundle: Bundle, precision: dict[str, str], threads: int | None = None) -> None:
        self._core = open_core()
        super().__init__(bundle, precision, threads, f"openvino {load_openvino().__version__.split('-')[0]} plain")

    def _open(self, graph: bytes, name: str, threads: int | None) -> tuple[Any, tuple[str, ...]]:
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        options |= {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
        try:
            model = self._core.read_model(graph)
            if model.is_dynamic():
                sides = {port.any_name: list(port.partial_shape)[1:] for port in model.inputs}
                model.reshape({port: [1, *(side.get_length() for side in shape)] for port, shape in sides.items()})
            compiled = self._core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise EngineError(f"openvino: {name} is refused: {str(error).splitlines()[0]}") from error
        return compiled.create_infer_request(), tuple(port.any_name for port in compiled.inputs)

    def _call(self, opened: Any, fed: dict[str, Any], wanted: tuple[str, ...]) -> list[Any]:
        opened.infer(fed)
        return [opened.get_tensor(name).data for name in wanted]
