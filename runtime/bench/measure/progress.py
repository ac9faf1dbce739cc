"""The live line while a run goes on: one plain write a second, as anything more would disturb what is measured."""

from __future__ import annotations

import sys

from runtime.bench.measure.samples import Sample, Samples
from runtime.bench.options import Until


class ProgressLine:
    """Shows how far a run is, on a terminal only. Call it once a second."""

    def __init__(self, until: Until) -> None:
        self._until = until
        self._terminal = sys.stderr.isatty()

    def __call__(self, samples: Samples) -> None:
        """Show the newest frame."""
        if not self._terminal:
            return
        last = Sample._make(samples.noted[-1])
        done = f"{last.number + 1}" + (f"/{self._until.frames}" if self._until.frames else "")
        left = ""
        if self._until.seconds:
            left = f", {self._until.seconds - (last.done_ns - samples.started_ns) / 1e9:.0f} s left"
        sys.stderr.write(f"\rmeasuring: frame {done}{left}, last {last.timings.total or 0:.1f} ms \x1b[K")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
