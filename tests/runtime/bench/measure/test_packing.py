from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.bench.measure.benchmark import measure
from runtime.bench.measure.clock import ManualClock
from runtime.bench.measure.packing import ROW, Packed
from runtime.bench.measure.samples import Sample, Samples
from runtime.bench.options import LoadPlan, Until
from runtime.engines.base import GpuTimings
from runtime.outcome import Outcome
from runtime.reading import Timings
from tests.runtime.bench.planned import PlannedReader, pool, samples_of

whole = st.integers(-(2**62), 2**62)
time_ms = st.floats(0, 1e9)
maybe_ms = st.none() | time_ms
samples = st.builds(
    Sample,
    number=st.integers(0, 2**40),
    source=st.text(max_size=9),
    due_ns=whole,
    begun_ns=whole,
    done_ns=whole,
    timings=st.builds(Timings, *[maybe_ms] * 7),
    outcome=st.sampled_from(Outcome),
    reason=st.text(max_size=9),
    cpu_ns=whole,
    jitter_ns=st.none() | whole,
    dropped_due_ns=st.lists(whole, max_size=4).map(tuple),
    gpu=st.none() | st.builds(GpuTimings, *[time_ms] * 4),
    width=st.integers(0, 65535),
    height=st.integers(0, 65535),
)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.lists(samples, max_size=4), max_size=4))
def test_what_was_put_away_comes_back_as_it_was(parts: list[list[Sample]]) -> None:
    kept = Samples(0)
    for part in parts:
        kept.noted += part
        kept.put_away()
        assert kept.noted == []
    assert kept.frames == [sample for part in parts for sample in part]


def test_a_frame_takes_what_it_is_said_to() -> None:
    packed, many = Packed(), samples_of([10.0] * 500).frames

    def fill() -> None:
        for _ in range(20):
            packed.add([sample._replace(source="sim:") for sample in many])

    fill()  # Python keeps up to 2000 tuples of each length for later; they are made now
    tracemalloc.start()
    try:
        fill()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(packed) == 20_000
    # All rows were moved, with an eighth of room that a bytearray takes beforehand.
    assert grown <= 20_000 * ROW.size * 1.13 + 100_000


def test_a_run_ends_without_taking_the_samples_out() -> None:
    """The sampler's last look at the memory comes after the run's end and must not see them."""
    clock = ManualClock()
    samples = measure(PlannedReader(clock, lambda _: 10), pool(), LoadPlan(), Until(250), clock=clock)
    assert samples._frames == []
    assert len(samples.frames) == 250
