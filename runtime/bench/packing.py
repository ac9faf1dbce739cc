"""Samples in few bytes, for runs of hours: 149 bytes a frame and no object, where a `Sample` takes over a thousand."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from runtime.engines.base import GpuTimings
from runtime.outcome import Outcome
from runtime.reading import Timings

if TYPE_CHECKING:
    from runtime.bench.samples import Sample

ROW = struct.Struct(f"<6q{len(fields(Timings))}d{len(fields(GpuTimings))}dB3I")
"""Number, four times, jitter; the stages; the GPU's; outcome; source, reason (by number) and count of drops."""
OUTCOMES = tuple(Outcome)
NO_JITTER = -(2**63)
NO_GPU = (math.nan,) * len(fields(GpuTimings))


class Packed:
    """Samples that were put away, in their order. Texts are kept once, so they should repeat."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._dropped_due_ns = array("q")
        self._texts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows) // ROW.size

    def add(self, samples: Sequence[Sample]) -> None:
        """Put these away."""
        for sample in samples:
            jitter_ns = NO_JITTER if sample.jitter_ns is None else sample.jitter_ns
            times = (sample.number, sample.due_ns, sample.begun_ns, sample.done_ns, sample.cpu_ns, jitter_ns)
            stages = (math.nan if value is None else value for value in astuple(sample.timings))
            gpu = NO_GPU if sample.gpu is None else astuple(sample.gpu)
            texts = (self._texts.setdefault(text, len(self._texts)) for text in (sample.source, sample.reason))
            dropped = sample.dropped_due_ns
            self._rows += ROW.pack(*times, *stages, *gpu, OUTCOMES.index(sample.outcome), *texts, len(dropped))
            self._dropped_due_ns.extend(dropped)

    def __iter__(self) -> Iterator[Sample]:
        """The samples as they were."""
        from runtime.bench.samples import Sample

        texts, dropped = list(self._texts), iter(self._dropped_due_ns)
        stages, gpu = len(fields(Timings)), len(fields(GpuTimings))
        for row in ROW.iter_unpack(self._rows):
            number, due_ns, begun_ns, done_ns, cpu_ns, jitter_ns = row[:6]
            outcome, source, reason, drops = row[6 + stages + gpu :]
            on_gpu = row[6 + stages : 6 + stages + gpu]
            yield Sample(
                number,
                texts[source],
                due_ns,
                begun_ns,
                done_ns,
                Timings(*(None if math.isnan(value) else value for value in row[6 : 6 + stages])),
                OUTCOMES[outcome],
                texts[reason],
                cpu_ns,
                None if jitter_ns == NO_JITTER else jitter_ns,
                tuple(next(dropped) for _ in range(drops)),
                None if math.isnan(on_gpu[0]) else GpuTimings(*on_gpu),
            )
