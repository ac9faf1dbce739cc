"""What was measured of each frame, raw, and the columns that statistics and reports are made of."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.bench.measure.packing import ROW, Note, Packed
from runtime.bench.words import GPU_STAGES
from runtime.engines.base import GpuTimings
from runtime.outcome import Outcome
from runtime.reading import Timings

Column = NDArray[np.float64]


class Sample(NamedTuple):
    """One frame that was read."""

    number: int
    source: str
    due_ns: int
    begun_ns: int
    """When the Screener was given it."""
    done_ns: int
    timings: Timings
    outcome: Outcome
    reason: str
    cpu_ns: int
    """CPU time of this process, all threads, since the result before."""
    jitter_ns: int | None
    dropped_due_ns: tuple[int, ...]
    gpu: GpuTimings | None = None
    width: int = 0
    height: int = 0

    @property
    def size(self) -> str:
        """`640x480`."""
        return f"{self.width}x{self.height}"

    def gpu_ms(self, row: str) -> float | None:
        """Of a row of `GPU_STAGES`; None where no GPU ran the networks."""
        return None if self.gpu is None else float(getattr(self.gpu, GPU_STAGES[row]))

    @property
    def wait_ms(self) -> float:
        """From capture to reading, less the copy or transfer of the frame, which is no waiting."""
        return max(0.0, (self.begun_ns - self.due_ns) / 1e6 - (self.timings.capture or 0.0))

    @property
    def complete(self) -> bool:
        """Whether both networks read it; a frame that the gate refuses is quick and would flatter the figures."""
        return self.timings.classify is not None

    @property
    def failed(self) -> bool:
        """Whether it gave no result, for another reason than its own poor quality."""
        return self.outcome is Outcome.NO_RESULT


@dataclass
class Samples:
    """All of a run, in the order of reading."""

    started_ns: int
    ended_ns: int = 0
    lost: str | None = None
    """Why the camera gave no more frames, where it was lost."""
    noted: list[Note] = field(default_factory=list)
    """During a run those since the last `put_away`."""
    own_ns: array[int] = field(default_factory=lambda: array("q"))
    """Time of the benchmark's own steps before each frame, from when the one before was read."""
    tidying_ns: int = 0
    """CPU time of what it does once a second, which is no part of `own_ns`."""
    _packed: Packed = field(default_factory=Packed)
    _frames: list[Sample] = field(default_factory=list)

    @property
    def frames(self) -> list[Sample]:
        """All of them, when the run is over: they take ten times the memory, which is not to show as the run's."""
        if self.noted or len(self._packed):
            self.put_away()
            self._frames += (Sample._make(note) for note in self._packed)
            self._packed = Packed()
        return self._frames

    def put_away(self) -> None:
        """Keep what was noted so far in few bytes, so that a run of hours is not taken for one that leaks."""
        self._packed.add(self.noted)
        self.noted.clear()

    def own_mb(self, at_ns: Sequence[int]) -> Column:
        """Memory that the samples themselves took at these times of the run."""
        done_ns = np.array([sample.done_ns for sample in self.frames], np.int64)
        a_frame = ROW.size + self.own_ns.itemsize
        return np.searchsorted(done_ns, np.asarray(at_ns, np.int64), side="right") * a_frame / 1e6

    @property
    def complete(self) -> list[Sample]:
        """Frames that both networks read: those that latencies are stated of."""
        return [sample for sample in self.frames if sample.complete]

    @property
    def dropped(self) -> int:
        """Frames that were displaced by a newer one before anyone read them."""
        return sum(len(sample.dropped_due_ns) for sample in self.frames)

    @property
    def frames_in(self) -> int:
        """Frames that came, read or dropped."""
        return len(self.frames) + self.dropped

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return max(0, self.ended_ns - self.started_ns) / 1e9

    def row_ms(self, row: str) -> Column:
        """The latencies of a row of `ROWS` in milliseconds, of the frames that have one, in order of reading."""
        if row == "wait":
            return np.array([s.wait_ms for s in self.complete], np.float64)
        if row == "age":
            return np.array([(s.done_ns - s.due_ns) / 1e6 for s in self.complete], np.float64)
        if row == "camera_to_result":
            return self.camera_to_result_ms()
        if row in GPU_STAGES:
            values = [s.gpu_ms(row) for s in self.complete]
        else:
            values = [getattr(s.timings, row) for s in self.complete]
        return np.array([value for value in values if value is not None], np.float64)

    def camera_to_result_ms(self) -> Column:
        """For every frame that came in, the time from its capture to the first result at least as new.

        A dropped or failed frame has none of its own: what the person at the cart waits for is the next one's. Leaving
        these out would let one stall of two seconds count once in place of sixty times.
        """
        return np.array([latency_ms for latency_ms, _ in self._charges() if latency_ms is not None], np.float64)

    def _charges(self) -> Iterator[tuple[float | None, bool]]:
        """Of each frame in: its camera-to-result time, None when no result came after it, and whether it failed.

        A frame that the gate refused is answered, which ends the waiting of those before it, but its own time is not
        counted: it is short because the networks did not run.
        """
        waiting: list[tuple[int, bool]] = []
        for sample in self.frames:
            waiting += [(due_ns, False) for due_ns in sample.dropped_due_ns]
            if sample.complete or sample.failed:
                waiting.append((sample.due_ns, not sample.complete))
            if sample.complete or not sample.failed:
                yield from (((sample.done_ns - due_ns) / 1e6, failed) for due_ns, failed in waiting)
                waiting = []
        yield from ((None, failed) for _, failed in waiting)

    def stale(self, period_ms: float | None) -> int:
        """Frames already older than one period of the camera when their reading began."""
        if period_ms is None:
            return 0
        return sum(sample.wait_ms > period_ms for sample in self.frames)

    def missed(self, budget_ms: float) -> int:
        """Frames without a result inside the budget: late, dropped until too late, or failed."""
        return sum(failed or latency is None or latency > budget_ms for latency, failed in self._charges())


def joined_samples(turns: Sequence[Samples]) -> Samples:
    """Turns put end to end, as one run would have been: the pauses between them are cut out of every time.

    turns: at least one; a single one is given back as it is. Frames are numbered on.
    """
    if len(turns) == 1:
        return turns[0]
    joined = Samples(turns[0].started_ns, turns[0].started_ns)
    count = 0
    for turn in turns:
        shift = joined.ended_ns - turn.started_ns
        for sample in turn.frames:
            joined._frames.append(
                sample._replace(
                    number=sample.number + count,
                    due_ns=sample.due_ns + shift,
                    begun_ns=sample.begun_ns + shift,
                    done_ns=sample.done_ns + shift,
                    dropped_due_ns=tuple(due_ns + shift for due_ns in sample.dropped_due_ns),
                )
            )
        count += turn.frames_in
        joined.own_ns.extend(turn.own_ns)
        joined.tidying_ns += turn.tidying_ns
        joined.lost = joined.lost or turn.lost
        joined.ended_ns = turn.ended_ns + shift
    return joined
