from __future__ import annotations

from dataclasses import fields

from runtime.bench.words import GPU_STAGES, STAGES
from runtime.engines.base import GpuTimings
from runtime.reading import Timings


def test_the_stages_are_those_of_a_reading_in_their_order() -> None:
    assert tuple(stage.name for stage in fields(Timings) if stage.name != "total") == STAGES


def test_the_gpus_stages_are_among_its_timings() -> None:
    assert all(hasattr(GpuTimings(1, 2, 3, 4), name) for name in GPU_STAGES.values())
