"""The engine contract: a loaded pair of networks that answers `infer`, and the backend that loads it.

All checking of what an engine gives is done here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.errors import EngineError
from runtime.preprocess import SIDE
from runtime.reading import EngineFacts

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.address import ServerAddress


ENCODED_FROM = ("features_2", "features_3")
"""The maps whose means over the picture are `Inference.encoded`."""
CANNOT_ENCODE = (
    "gives no encoder features, by which this bundle tells what is no fundus; read with --engine openvino, or let the "
    "engine give Inference.encoded"
)
CANNOT_EXPLAIN = "hands out no gates; for them read with --engine openvino, which runs the same networks on the CPU"


@dataclass(frozen=True, eq=False)
class Inference:
    """What the two networks gave for one frame.

    Arrays may be overwritten by the next `infer` or `keep_warm`, and must not be read after the engine's `close`.
    """

    vessels: FloatArray
    """Vessel probability, float32 [256, 256]."""
    probabilities: FloatArray
    """Of the classes, float32 [C]."""
    logits: FloatArray
    """float32 [C]."""
    segment_ms: float
    classify_ms: float
    encoded: FloatArray | None = None
    """Means over the picture of the encoder's two deepest maps (`features_2`, `features_3`), float32 [F]; None where
    the engine hands them out to nobody (`Engine.encodes`)."""


@dataclass(frozen=True, eq=False)
class Account:
    """What an engine tells of the frame before: its gates, and its logits without one branch or the other."""

    gates: tuple[FloatArray, ...]
    """From the finest on, float32 [h, w] each: mean over the channels."""
    both: FloatArray
    """Logits as they were given, float32 [C]."""
    raw: FloatArray
    """With zeros in the place of the guided branch's features."""
    guided: FloatArray
    """With zeros in the place of the raw branch's features."""
    neither: FloatArray
    """With zeros in the place of both."""


@dataclass(frozen=True)
class LayerTime:
    """What one layer of a network took, by the backend's own clock."""

    network: str
    name: str
    kind: str
    """In the backend's own words, "" where it has none."""
    ms: float


@dataclass(frozen=True)
class GpuTimings:
    """Milliseconds by the GPU's own clock, of the frame before."""

    upload: float
    segment: float
    classify: float
    download: float

    @property
    def compute(self) -> float:
        """Both networks."""
        return self.segment + self.classify


Self = TypeVar("Self", bound="Engine")


class Engine(ABC):
    """A loaded pair of networks. Used by one thread at a time; a context manager.

    Backends implement `_infer` and `close`; what goes in and comes out is checked by `infer`.
    """

    facts: EngineFacts
    class_count: int
    idle_every_s: float | None = None
    """How often `keep_warm` wants to be called while nothing else is asked; None: it has nothing to do."""
    encodes: bool = False
    """Whether `infer` gives `Inference.encoded`, which a bundle's test of familiarity (`runtime.familiar`) needs."""
    explains: bool = False
    """Whether `explain` can tell anything."""
    own: bool = True
    """Whether the networks run on this machine, by the same arithmetic each time. A server may answer from another GPU
    than a moment ago, or together with the frames of others; it is held to the bundle's answers, not to its own."""
    untested: bool = False
    """Whether what runs the networks may be another than what was tested last: a server that was lost. `infer` then
    raises `EngineAway`, until `testing` ends without an error."""

    def infer(self, image: UInt8Array, budget: Budget = Budget(), deadline: Deadline = Deadline()) -> Inference:  # noqa: B008
        """Run both networks.

        image: RGB, uint8 [1, 256, 256, 3]. Raises `DeadlineMissed` when a stage is late, `EngineError` when the
        backend fails or what it gives cannot be a result (not finite, not probabilities, another shape).
        """
        if image.dtype != np.uint8 or image.shape != (1, SIDE, SIDE, 3):
            raise EngineError(f"image: got {image.dtype} {list(image.shape)}, expected uint8 [1, {SIDE}, {SIDE}, 3]")
        inference = self._infer(image, budget, deadline)
        _check("vessels", inference.vessels, (SIDE, SIDE))
        _check("probabilities", inference.probabilities, (self.class_count,))
        total = float(inference.probabilities.sum())
        if abs(total - 1.0) > 0.01:
            raise EngineError(f"probabilities: add up to {total:.4f}, expected 1; the engine's output is not usable")
        if inference.logits.shape != (self.class_count,) or not np.isfinite(inference.logits).all():
            raise EngineError(f"logits: expected {self.class_count} finite numbers; the engine's output is not usable")
        if self.encodes and (inference.encoded is None or not np.isfinite(inference.encoded).all()):
            raise EngineError("encoded: not finite numbers; the engine's output is not usable")
        return inference

    @abstractmethod
    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        """Run both networks; stages keep to `budget` and to `deadline`, whichever is sooner."""

    def gpu_ms(self) -> GpuTimings | None:
        """The stages of the frame before by the GPU's own clock; None where no GPU runs the networks."""
        return None

    @contextmanager
    def testing(self) -> Iterator[None]:
        """For the self-test, which asks an engine that is `untested`, too."""
        yield

    def explain(self) -> Account:
        """Tell of the last frame that `infer` read whole. Costs nothing where it is not asked.

        What `infer` gave stays as it is. Raises `EngineError` where the engine cannot tell, in one line.
        """
        raise EngineError(f"{self.facts.backend}: {CANNOT_EXPLAIN}")

    def keep_warm(self) -> None:  # noqa: B027 (nothing is what most hardware needs)
        """Keep idle hardware ready, for whoever waits for the next frame while an exam is open. Never raises.

        To be called several times a second, from the thread that calls `infer`; it costs next to nothing when there
        was work a moment ago. A backend whose hardware does not slow down when it idles does nothing.
        """

    @abstractmethod
    def close(self) -> None:
        """Give everything back. Closing twice is fine."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nothing_missing(bundle: Bundle) -> str:
    return ""


def _nothing_there(bundle: Bundle) -> None:
    return None


@dataclass(frozen=True)
class Backend:
    """How a pair of networks is loaded; registered by name, see `runtime.engines`."""

    load: Callable[[Bundle, Mapping[str, str], int | None], Engine]
    """Gets the bundle, the precision of each network, and the CPU threads (None: as it likes). Raises `EngineError`,
    with its own name before it, for what is missing or fails, `BundleError` for what the bundle lacks."""
    missing: Callable[[Bundle], str] = _nothing_missing
    """Why the bundle cannot run by it here, as far as it can be told at no cost; "" when it may well."""
    auto: bool = False
    """Whether `--engine auto` may take it, where nothing is missing."""
    there: Callable[[Bundle], Mapping[str, str] | None] = _nothing_there
    """The precisions that `auto` takes where the bundle names no default for the backend; None leaves it fp32."""
    layers: Callable[[Bundle, Mapping[str, str], int | None, Sequence[UInt8Array]], list[list[LayerTime]]] | None = None
    """The time of each layer for each image, by an engine of its own; None where the backend tells none."""
    at: Callable[[ServerAddress], Backend] | None = None
    """For networks on another machine: the backend for a server, asked for as `NAME://ADDRESS`."""


def _check(name: str, values: FloatArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise EngineError(f"{name}: got shape {list(values.shape)}, expected {list(shape)}")
    low, high = float(values.min()), float(values.max())
    # A NaN fails both comparisons, so it cannot pass as a probability.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise EngineError(f"{name}: values from {low} to {high}, expected 0 to 1; the engine's output is not usable")
