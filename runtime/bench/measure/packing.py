"""Samples in few bytes, for runs of hours: 157 bytes a frame and no object, where a note takes over a thousand."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import fields
from operator import attrgetter

from runtime.engines.base import GpuTimings
from runtime.outcome import Outcome
from runtime.reading import Timings

Note = tuple[
    int, str, int, int, int, Timings, Outcome, str, int, int | None, tuple[int, ...], GpuTimings | None, int, int
]
"""A frame that was read as it is noted: the fields of a `Sample` in their order."""

ROW = struct.Struct(f"<6q{len(fields(Timings))}d{len(fields(GpuTimings))}dB5I")
"""Number, four times, jitter; the stages; the GPU's; outcome; source, reason (by number), count of drops; the sides."""
OUTCOMES = tuple(Outcome)
NUMBER_OF = {outcome: number for number, outcome in enumerate(OUTCOMES)}
NO_JITTER = -(2**63)
NO_GPU = (math.nan,) * len(fields(GpuTimings))
_stage_times = attrgetter(*(field.name for field in fields(Timings)))
_gpu_times = attrgetter(*(field.name for field in fields(GpuTimings)))


class Packed:
    """Samples that were put away, in their order. Texts are kept once, so they should repeat."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._dropped_due_ns = array("q")
        self._texts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows) // ROW.size

    def add(self, notes: Sequence[Note]) -> None:
        """Put these away."""
        rows, texts, pack = self._rows, self._texts, ROW.pack
        for (
            number,
            source,
            due_ns,
            begun_ns,
            done_ns,
            timings,
            outcome,
            reason,
            cpu_ns,
            jitter_ns,
            dropped,
            gpu,
            width,
            height,
        ) in notes:
            stages = _stage_times(timings)
            if None in stages:
                stages = tuple(math.nan if value is None else value for value in stages)
            rows += pack(
                number,
                due_ns,
                begun_ns,
                done_ns,
                cpu_ns,
                NO_JITTER if jitter_ns is None else jitter_ns,
                *stages,
                *(NO_GPU if gpu is None else _gpu_times(gpu)),
                NUMBER_OF[outcome],
                texts.setdefault(source, len(texts)),
                texts.setdefault(reason, len(texts)),
                len(dropped),
                width,
                height,
            )
            if dropped:
                self._dropped_due_ns.extend(dropped)

    def __iter__(self) -> Iterator[Note]:
        """The samples as they were."""
        texts, dropped = list(self._texts), iter(self._dropped_due_ns)
        stages, gpu = len(fields(Timings)), len(fields(GpuTimings))
        for row in ROW.iter_unpack(self._rows):
            number, due_ns, begun_ns, done_ns, cpu_ns, jitter_ns = row[:6]
            outcome, source, reason, drops, width, height = row[6 + stages + gpu :]
            on_gpu = row[6 + stages : 6 + stages + gpu]
            yield (
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
                width,
                height,
            )
