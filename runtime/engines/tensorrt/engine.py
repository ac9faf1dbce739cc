"""The engine of both GPU backends: plans in TensorRT or TensorRT-RTX, in one CUDA graph where that can be had."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.cuda.base import Cuda
from runtime.cuda.errors import GPU_LOST_EXIT_CODE, CudaError, GpuLost
from runtime.engines.base import Engine, GpuTimings, Inference
from runtime.engines.tensorrt.network import Network, TensorRT
from runtime.engines.tensorrt.pipeline import Lane, Pipeline
from runtime.errors import DeadlineMissed, EngineError
from runtime.plan_key import PlanName
from runtime.plans import Plan
from runtime.preprocess import SIDE
from runtime.reading import EngineFacts

STUCK_AFTER_MS = 2000
"""Work of a frame that was given up and has not ended after this long will not end."""
WARM_FOR_S = 0.5
"""A GPU lowers its clocks when it idles; after this long `keep_warm` gives it something to do."""
AGREEMENT = 1e-3
"""Largest difference between the graph's results and those of single calls. The same kernels on the same input give the
same, but for sums whose order is left open in half precision; a graph that is wrong is wrong by far more."""
LONGEST_MS = 60_000
"""No frame takes longer, also without a budget and in the first run, in which libraries load or compile kernels."""
MEASURED_RUNS = 30
_abandoned: list[tuple[list[Pipeline], dict[PlanName, Network], TensorRT | None, Cuda]] = []
"""What belongs to a GPU that is lost or stuck. Kept, since to destroy it may crash or hang; the process is to end."""
Results: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]
"""Vessels, probabilities, logits."""


class TensorRTEngine(Engine):
    """Both networks on the GPU, one frame at a time; the frame goes up once and nothing but the results comes back.

    The thread that makes it is the only one that may use it. It is ready when two known frames gave the same results
    by single calls and by the CUDA graph. `facts.why` says which plan runs, and how.
    """

    idle_every_s = WARM_FOR_S / 2

    def __init__(
        self,
        plan: Plan,
        class_count: int,
        open_library: Callable[[], TensorRT],
        open_gpu: Callable[[], Cuda],
        *,
        encodes: bool = False,
    ) -> None:
        """encodes: bring back what `Inference.encoded` needs, a few hundred kB a frame.

        Raises `IncompatiblePlan`, `BundleError` for an altered plan, `EngineError`; nothing is then left behind."""
        self.class_count = class_count
        self._wants_encoded = encodes
        contents = {name: plan.read(name) for name in plan.names}  # checked before the GPU is touched
        self._cuda = open_gpu()
        self._library: TensorRT | None = None
        self._networks: dict[PlanName, Network] = {}
        self._pipelines: list[Pipeline] = []
        self._behind = False
        """Whether the work of a frame that was given up may still be going on."""
        try:
            self._library = open_library()
            names = {entry.name: entry.tensors for entry in plan.manifest.plans}
            for name, content in contents.items():
                self._networks[name] = self._library.deserialize(name, content, names[name])
            self._pipeline, way = self._choose()
        except BaseException:
            self.close()
            raise
        self.encodes = self._pipeline.encodes
        self._last_s = time.monotonic()
        self.facts = EngineFacts(
            backend=self._library.target,
            precision=plan.key.precision,
            device=self._cuda.facts.name,
            why=f"plan {plan.key}; {way}; by {self._cuda.library}, driver {self._cuda.facts.driver}",
            plan_sha256=plan.sha256,
        )

    def _choose(self) -> tuple[Pipeline, str]:
        """Of the ways that the plans allow, the one that is faster here; what only the other needs is dropped."""
        lanes = self._lanes()
        ways: dict[str, Pipeline] = {}
        times: dict[str, float] = {}
        wrong: dict[str, EngineError] = {}
        for title, lane in lanes.items():
            try:
                ways[title] = pipeline = Pipeline(self._cuda, lane, self.class_count, encodes=self._wants_encoded)
                self._pipelines.append(pipeline)
                how = self._make_ready(pipeline)
                if len(lanes) == 1:
                    return pipeline, f"{title}, {how}"
                times[title] = self._median_ms(pipeline)
            except GpuLost:
                raise
            except EngineError as error:  # the other way may do: memory for both classifiers can be short
                wrong[title] = error
        if not times:
            raise next(iter(wrong.values()))
        best = min(times, key=times.__getitem__)
        for pipeline in self._pipelines:
            pipeline.drop_graph()
        for name in [name for name, network in self._networks.items() if network not in ways[best].networks]:
            self._networks.pop(name).close()
        measured = ", ".join(f"{title} {median_ms:.3f} ms" for title, median_ms in times.items())
        # Once more: the other one's turn has bound the networks that they share to its own memory.
        told = f"{best}, {self._make_ready(ways[best])} (measured: {measured})"
        return ways[best], "; ".join((told, *(f"{title} cannot be used: {error}" for title, error in wrong.items())))

    def _lanes(self) -> dict[str, Lane]:
        held, lanes = self._networks, {}
        if "classifier" in held:
            lanes["two engines"] = Lane((held["segmentation"], held["classifier"]))
        if "raw" in held and "guided" in held:
            lanes["three engines"] = Lane((held["segmentation"], held["guided"]), beside=(held["raw"],))
        return lanes

    def _make_ready(self, pipeline: Pipeline) -> str:
        """Run the known frames, capture, and see that both ways give the same. Says which way is used from then on."""
        pipeline.bind()
        frames = known_frames()
        expected = [self._results(pipeline, frame) for frame in frames]
        try:
            pipeline.capture()
            self._agree(pipeline, frames, expected)
        except GpuLost:
            raise
        except EngineError as error:
            pipeline.bind()
            # Whatever the capture did to the stream: the way that is used is seen to work.
            self._agree(pipeline, frames, expected)
            return f"single calls (no CUDA graph: {error})"
        return "CUDA graph"

    def _results(self, pipeline: Pipeline, frame: UInt8Array) -> Results:
        np.copyto(pipeline.image, frame)
        pipeline.start()
        if not pipeline.wait(Deadline.after_ms(LONGEST_MS)):
            raise EngineError(f"{self._name}: a known frame took longer than {LONGEST_MS} ms; is the GPU well?")
        results = (pipeline.vessels.copy(), pipeline.probabilities.copy(), pipeline.logits.copy())
        pipeline.gpu_ms()  # that the time can be told belongs to what must work
        if not all(np.isfinite(result).all() for result in results):
            raise EngineError(f"{self._name}: a known frame gives numbers that are not finite; rebuild the plan")
        return results

    def _agree(self, pipeline: Pipeline, frames: tuple[UInt8Array, ...], expected: list[Results]) -> None:
        """More than one frame, in turn: a graph that kept the first one's input would give itself away."""
        for frame, wanted in zip(frames, expected, strict=True):
            got = self._results(pipeline, frame)
            worst = max(float(np.abs(a - b).max()) for a, b in zip(got[:2], wanted[:2], strict=True))
            if worst > AGREEMENT:
                raise EngineError(f"{self._name}: a known frame's results differ by {worst:.2g}, at most {AGREEMENT:g}")

    def _median_ms(self, pipeline: Pipeline) -> float:
        """Of a frame, from its start to its results on the host."""
        times = []
        for _ in range(MEASURED_RUNS):
            start = time.perf_counter()
            pipeline.start()
            pipeline.wait(Deadline.after_ms(STUCK_AFTER_MS))
            times.append((time.perf_counter() - start) * 1e3)
        return float(np.median(times))

    @property
    def _name(self) -> str:
        return self._library.target if self._library else "tensorrt"

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        if self._cuda.lost:
            # The frame at which it was lost has its reading; there is none to be had for any other.
            raise SystemExit(GPU_LOST_EXIT_CODE)
        if not self._pipelines:
            raise EngineError(f"{self._name}: the engine was closed; load it again")
        self._catch_up()
        limit = _both(budget).sooner(deadline).sooner(Deadline.after_ms(LONGEST_MS))
        limit.check("segment")
        pipeline = self._pipeline
        start = time.perf_counter()
        np.copyto(pipeline.image, image)
        self._behind = True
        pipeline.start()
        if not pipeline.wait(limit):
            raise DeadlineMissed("late: the networks did not end inside the budget")
        self._behind = False
        total_ms = (time.perf_counter() - start) * 1e3
        self._last_s = time.monotonic()
        segment_ms = min(pipeline.segmented_ms(), total_ms)
        classify_ms = total_ms - segment_ms
        for stage, took_ms, allowed_ms in (
            ("segment", segment_ms, budget.segment),
            ("classify", classify_ms, budget.classify),
        ):
            if allowed_ms is not None and took_ms > allowed_ms:
                raise DeadlineMissed(f"late: the budget was used up at {stage}")
        limit.check("classify")
        found = pipeline.vessels, pipeline.probabilities, pipeline.logits
        return Inference(*found, segment_ms, classify_ms, pipeline.encoded())

    def by_single_calls(self) -> tuple[Network, ...]:
        """Put every network into the stream by itself from now on, for who wants to look at each; gives them."""
        self._pipeline.bind()
        return self._pipeline.networks

    def _catch_up(self) -> None:
        """Let a given-up frame's work end before its memory is used again: it cannot be taken for another's then."""
        if self._behind and not self._pipeline.wait(Deadline.after_ms(STUCK_AFTER_MS)):
            raise EngineError(f"{self._name}: the GPU is stuck; restart the program")
        self._behind = False

    def gpu_ms(self) -> GpuTimings:
        """The stages of the frame before, by the GPU's clock."""
        return self._pipeline.gpu_ms()

    def keep_warm(self) -> None:
        """Run the frame before once more when the last work is half a second ago; see `Engine.keep_warm`."""
        if self._cuda.lost or not self._pipelines or time.monotonic() - self._last_s < WARM_FOR_S:
            return
        with contextlib.suppress(EngineError):  # what fails now will fail, and be told, at the next frame
            self._catch_up()
            self._behind = True
            self._pipeline.start()
            self._behind = not self._pipeline.wait(Deadline.after_ms(STUCK_AFTER_MS))
        self._last_s = time.monotonic()

    def close(self) -> None:
        """Wait for what is at work, then give everything back. Closing twice is fine.

        The arrays of earlier results must not be read any more: their memory is given back too. What belongs to a lost
        or stuck GPU is kept: to give it back could crash or hang.
        """
        pipelines, self._pipelines = self._pipelines, []
        networks, self._networks = self._networks, {}
        if not self._idle(pipelines):
            _abandoned.append((pipelines, networks, self._library, self._cuda))
            return
        for pipeline in pipelines:
            pipeline.drop_graph()
        for network in networks.values():
            network.close()
        if self._library is not None:
            self._library.close()
        self._cuda.close()

    def _idle(self, pipelines: list[Pipeline]) -> bool:
        try:
            return not self._cuda.lost and all(p.wait(Deadline.after_ms(STUCK_AFTER_MS)) for p in pipelines)
        except CudaError:  # whatever it is, nothing says that its memory may be given back
            return False


def _both(budget: Budget) -> Deadline:
    """The networks run as one: together they have what both are allowed."""
    if budget.segment is None or budget.classify is None:
        return Deadline()
    return Deadline.after_ms(budget.segment + budget.classify)


def known_frames() -> tuple[UInt8Array, UInt8Array]:
    """Two frames that are the same everywhere, uint8 [1, 256, 256, 3]: a bright disc with dark lines, and it mirrored.

    Made by whole numbers alone, so that no library's version changes them.
    """
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.int64)
    from_middle = (x - SIDE // 2) ** 2 + (y - SIDE // 2) ** 2
    light = np.where(from_middle < 120**2, 200 - from_middle // 120, 0)
    light = np.where((x * 3 + y) % 64 < 4, light // 2, light)
    frame = np.stack((light, light * 5 // 8, light // 3), axis=-1).astype(np.uint8)[np.newaxis]
    return frame, np.ascontiguousarray(frame[:, :, ::-1])
