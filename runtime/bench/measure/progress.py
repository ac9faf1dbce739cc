"""How far a run is: a live line on a terminal, elsewhere a line now and then; more would disturb what is measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from runtime.bench.measure.samples import Sample, Samples
from runtime.bench.options import Until
from runtime.commands.say import aside

PLAIN_S = 15.0
"""Between two lines where there is no terminal, as in a log."""


class ProgressLine:
    """Shows how far a run is. Call it once a second."""

    def __init__(
        self, until: Until, say: Callable[[str], None] = aside, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """say: takes a line where there is no terminal."""
        self._until, self._say, self._now_s = until, say, now_s
        self._terminal = sys.stderr.isatty()
        self._said_s = now_s()

    def __call__(self, samples: Samples) -> None:
        """Show the newest frame."""
        if not self._terminal and self._now_s() - self._said_s < PLAIN_S:
            return
        last = Sample._make(samples.noted[-1])
        done = f"{last.number + 1}" + (f"/{self._until.frames}" if self._until.frames else "")
        left = ""
        if self._until.seconds:
            left = f", {self._until.seconds - (last.done_ns - samples.started_ns) / 1e9:.0f} s left"
        text = f"measuring: frame {done}{left}, last {last.timings.total or 0:.1f} ms"
        if not self._terminal:
            self._said_s = self._now_s()
            self._say(text)
            return
        sys.stderr.write(f"\r{text} \x1b[K")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
