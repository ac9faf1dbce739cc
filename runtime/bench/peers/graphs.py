"""What peers that run a bundle's two graphs one after the other have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle
from runtime.engines.base import ENCODED_FROM, Engine, Inference
from runtime.manifest import graph_name
from runtime.reading import EngineFacts

FEATURES = tuple(f"features_{level}" for level in range(4))
FROM_SEGMENTATION = ("vessels", *FEATURES)


class GraphsPeer(Engine):
    """The two graphs of a bundle, the second fed with what the first gave."""

    encodes = True

    def __init__(self, bundle: Bundle, precision: dict[str, str], threads: int | None, backend: str) -> None:
        """precision: of each network. Raises what `_open` raises."""
        self._opened = {}
        for network, word in precision.items():
            name = graph_name(network, word)
            self._opened[network] = self._open(bundle.graph(name), name, threads)
        self.class_count = len(bundle.class_names)
        self.facts = EngineFacts(backend, "+".join(dict.fromkeys(precision.values())), "CPU")

    @abstractmethod
    def _open(self, graph: bytes, name: str, threads: int | None) -> tuple[Any, tuple[str, ...]]:
        """A graph ready to run, and the names of its inputs. Raises `EngineError` where it is refused."""

    @abstractmethod
    def _call(self, opened: Any, fed: dict[str, Any], wanted: tuple[str, ...]) -> list[Any]:
        """Run it; the outputs of those names, [1, ...] each."""

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        start = time.perf_counter()
        outputs = self._call(self._opened["segmentation"][0], {"image": image}, FROM_SEGMENTATION)
        middle = time.perf_counter()
        given = {"image": image, **dict(zip(FROM_SEGMENTATION, outputs, strict=True))}
        classifier, wanted = self._opened["classifier"]
        fed = {name: value for name, value in given.items() if name in wanted}
        probabilities, logits = self._call(classifier, fed, ("probabilities", "logits"))
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
        """Drop the networks."""
        self._opened = {}
