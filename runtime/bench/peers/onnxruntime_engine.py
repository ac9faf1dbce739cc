"""A bundle's graphs in ONNX Runtime on the CPU: a peer to measure against, not a backend of the runtime."""

from __future__ import annotations

from typing import Any

from runtime.bench.measure.libraries import library
from runtime.bench.peers.graphs import GraphsPeer
from runtime.bundle import Bundle
from runtime.errors import EngineError


class OnnxRuntimeEngine(GraphsPeer):
    """Both graphs in ONNX Runtime, run one after the other as its users do.

    Raises `BenchError` when onnxruntime is not installed, `EngineError` when it refuses a graph.
    """

    def __init__(self, bundle: Bundle, precision: dict[str, str], threads: int | None = None) -> None:
        self._ort = library("onnxruntime", "onnxruntime")
        super().__init__(bundle, precision, threads, f"onnxruntime {self._ort.__version__}")

    def _open(self, graph: bytes, name: str, threads: int | None) -> tuple[Any, tuple[str, ...]]:
        options = self._ort.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings would go in between the report's lines
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            session = self._ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has exception types of its own for each status
            raise EngineError(f"onnxruntime: {name} is refused: {str(error).splitlines()[0]}") from error
        return session, tuple(port.name for port in session.get_inputs())

    def _call(self, opened: Any, fed: dict[str, Any], wanted: tuple[str, ...]) -> list[Any]:
        return list(opened.run(list(wanted), fed))
