"""A bundle's graphs in ONNX Runtime on the CPU: a peer to measure against, not a backend of the runtime."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.bench.measure.libraries import library
from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle
from runtime.engines.base import ENCODED_FROM, Engine, Inference
from runtime.engines.openvino.graph import FEATURES
from runtime.errors import EngineError
from runtime.manifest import graph_name
from runtime.reading import EngineFacts


class OnnxRuntimeEngine(Engine):
    """Both graphs in ONNX Runtime, run one after the other as its users do.

    Raises `BenchError` when onnxruntime is not installed, `EngineError` when it refuses a graph.
    """

    encodes = True

    def __init__(self, bundle: Bundle, precision: dict[str, str], threads: int | None = None) -> None:
        self._ort = library("onnxruntime", "onnxruntime")
        self._sessions = {network: self._session(bundle, network, precision[network], threads) for network in precision}
        self.class_count = len(bundle.class_names)
        self.facts = EngineFacts(
            f"onnxruntime {self._ort.__version__}", "+".join(dict.fromkeys(precision.values())), "CPU"
        )

    def _session(self, bundle: Bundle, network: str, precision: str, threads: int | None) -> Any:
        options = self._ort.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings would go in between the report's lines
        if threads is not None:
            options.intra_op_num_threads = threads
        name = graph_name(network, precision)
        try:
            return self._ort.InferenceSession(bundle.graph(name), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has exception types of its own for each status
            raise EngineError(f"onnxruntime: {name} is refused: {str(error).splitlines()[0]}") from error

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        names = ("vessels", *FEATURES)
        start = time.perf_counter()
        outputs = self._sessions["segmentation"].run(list(names), {"image": image})
        middle = time.perf_counter()
        given = {"image": image, **dict(zip(names, outputs, strict=True))}
        wanted = {given_input.name for given_input in self._sessions["classifier"].get_inputs()}
        fed = {name: value for name, value in given.items() if name in wanted}
        probabilities, logits = self._sessions["classifier"].run(["probabilities", "logits"], fed)
        end = time.perf_counter()
        return Inference(
            np.asarray(outputs[0][0, 0], np.float32),
            np.asarray(probabilities[0], np.float32),
            np.asarray(logits[0], np.float32),
            (middle - start) * 1e3,
            (end - middle) * 1e3,
            np.concatenate([np.mean(given[name][0], axis=(1, 2), dtype=np.float32) for name in ENCODED_FROM]),
        )

    def close(self) -> None:
        """Drop the sessions."""
        self._sessions = {}
