"""What the person at the terminal sees: a live line, one line a frame, and the end summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from device.frame import Frame
from runtime.commands.say import say
from runtime.commands.text import printable, word
from runtime.decide import refer_probability
from runtime.outcome import Outcome
from runtime.reading import Reading
from runtime.sinks.page import NOT_ALL
from runtime.sinks.palette import OUTCOME_COLOURS
from runtime.sinks.tally import Percentiles, Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

PLAIN_EVERY_S = 10.0
WORD_WIDTH = max(len(word(outcome)) for outcome in Outcome)


def frame_line(reading: Reading, number: int, total: int | None, refer_classes: Sequence[str]) -> str:
    """One line: number, frame, outcome, probability of the refer classes, latency, reason."""
    count = f"{number:>{len(str(total))}}/{total}" if total else f"{number:>5}"
    chance = "    -"
    if reading.probabilities is not None:
        chance = f"{refer_probability(reading.probabilities, refer_classes):5.3f}"
    latency = "       -" if reading.timings_ms.total is None else f"{reading.timings_ms.total:5.1f} ms"
    reason = reading.reason.removeprefix(f"{reading.frame.source}: ")
    parts = (count, f"{reading.frame.source:<16}", f"{word(reading.outcome):<{WORD_WIDTH}}", f"p {chance}", latency)
    return printable("  ".join((*parts, reason))).rstrip()


def end_lines(tally: Tally, files: Sequence[str], notice: str, not_read: Sequence[str] = ()) -> list[str]:
    """The summary of a run: what was not read, counts, latency, where the files are, what must be said."""
    counts = ", ".join(f"{tally.counts[outcome]} {word(outcome)}" for outcome in Outcome if tally.counts[outcome])
    lines = [NOT_ALL, *(f"  {printable(line)}" for line in not_read)] if not_read else []
    lines += [f"{tally.frames} frame{'' if tally.frames == 1 else 's'}" + (f": {counts}" if counts else "")]
    percentiles = Percentiles.of(tally.latencies_ms)
    if percentiles is not None:
        late = f", {tally.late} late" if tally.late else ""
        lines.append(f"latency {percentiles.words}{late}")
    return [*lines, f"written: {', '.join(files) or 'nothing'}", *([notice] if notice else [])]


class ConsoleSink:
    """A sink that shows readings: lines on standard output, or none there when that is kept for JSON.

    The live line stands on standard error while that is a terminal; else a plain line comes there every ten seconds.
    """

    def __init__(self, total: int | None, refer_classes: Sequence[str], *, json: bool) -> None:
        self._total = total
        self._refer_classes = refer_classes
        self._json = json
        self._number = 0
        self._counts = dict.fromkeys(Outcome, 0)
        self._start_s = self._spoken_s = time.monotonic()
        self._console: Console | None = None
        self._live: RichProgress | None = None
        if sys.stderr.isatty():
            self._console, self._live = _live_line(total, json=json)

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Show one reading."""
        self._number += 1
        self._counts[reading.outcome] += 1
        if not self._json:
            self._print_line(reading)
        if self._live is not None:
            self._live.update(self._live.task_ids[0], completed=self._number, counts=self._counted())
        elif time.monotonic() - self._spoken_s >= PLAIN_EVERY_S:
            self._spoken_s = time.monotonic()
            rate = self._number / (self._spoken_s - self._start_s)
            of = f" of {self._total}" if self._total else ""
            say(f"{self._number}{of} frames, {rate:.1f} a second; {self._counted()}", stream=sys.stderr)

    def close(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()

    def _print_line(self, reading: Reading) -> None:
        line = frame_line(reading, self._number, self._total, self._refer_classes)
        if self._console is None or self._console.stderr:
            say(line)
            return
        from rich.text import Text

        text = Text(line)
        text.highlight_words([word(reading.outcome)], style=f"bold {OUTCOME_COLOURS[reading.outcome]}")
        self._console.print(text, soft_wrap=True)

    def _counted(self) -> str:
        return ", ".join(f"{count} {word(outcome)}" for outcome, count in self._counts.items() if count)


def _live_line(total: int | None, *, json: bool) -> tuple[Console, RichProgress]:
    """A started rich progress line. On a terminal that shows both streams one console writes both, so they agree."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=json or not sys.stdout.isatty(), highlight=False)
    columns = [
        TextColumn("screening"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn() if total is None else TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    ]
    live = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    live.add_task("screening", total=total, counts="")
    live.start()
    return console, live
