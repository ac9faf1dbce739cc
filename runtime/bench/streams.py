"""`--streams`: several cameras at once in one process, each read by an engine of its own in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from runtime.bench.errors import BenchError
from runtime.bench.judge.findings import Word
from runtime.bench.measure.benchmark import measure
from runtime.bench.measure.progress import ProgressLine
from runtime.bench.measure.sampler import Sampler
from runtime.bench.measure.samples import Samples
from runtime.bench.opened import Say
from runtime.bench.options import Streams
from runtime.bench.report.export import series_to_json
from runtime.bench.report.table import COLOURS, head_lines, latency_cells
from runtime.bench.schema import Report
from runtime.bench.session import Session, opened, opened_supply
from runtime.commands.stop import Stop
from runtime.commands.table import console_for, print_table


@dataclass(frozen=True)
class AtOnce:
    """A report for each stream, all of the same time."""

    reports: tuple[Report, ...]

    @property
    def frames_per_s(self) -> float:
        """Of all streams together."""
        return sum(report.run.frames_per_s for report in self.reports)

    @property
    def verdict(self) -> Word:
        """The worst of them."""
        order: tuple[Word, ...] = ("INVALID", "FAIL", "PASS")
        return next(word for word in order if word in {report.verdict for report in self.reports} or word == "PASS")

    def to_json(self) -> str:
        """`rop.bench-streams/1`: the rate of all, and every stream's whole report."""
        head = {"schema": "rop.bench-streams/1", "verdict": self.verdict, "frames_per_s": self.frames_per_s}
        return series_to_json(head, self.reports)


class _Together:
    """The end of all streams: when the user stops, or when the first has read its frames."""

    interruptible = contextlib.nullcontext()
    """The streams' threads get no signals; nothing of theirs waits for long."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._first_done = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether to end."""
        return self._first_done.is_set() or self._stop.requested

    def done(self) -> None:
        """One stream has read all of its frames, so that from now on fewer would be at work."""
        self._first_done.set()


def run_streams(asked: Streams, command: tuple[str, ...], stop: Stop, say: Say) -> AtOnce:
    """Read all streams until the first has its frames. Raises what `run_session` raises."""
    run = asked.run
    with contextlib.ExitStack() as stack:
        supply = stack.enter_context(opened_supply(run, stop))
        if supply.paced:
            raise BenchError(
                "--streams needs frames that several can be given; use a stored source or sim: without fps"
            )
        sessions = []
        for number in range(1, asked.count + 1):
            say(f"stream {number} of {asked.count}: loading and warming up")
            sessions.append(stack.enter_context(opened(run, stop, supply=supply)))
            sessions[-1].warm_up(stop)
        say(f"{asked.count} streams at once")
        with Sampler() as sampler:
            found = _at_once(sessions, stop)
        for session, samples in zip(sessions, found, strict=True):
            session.add(samples, sampler.log)
            session.stopped = stop.requested
        return AtOnce(tuple(session.report(command, streams=asked.count) for session in sessions))


def _at_once(sessions: Sequence[Session], stop: Stop) -> list[Samples]:
    together, start = _Together(stop), threading.Barrier(len(sessions))
    found: list[Samples | None] = [None] * len(sessions)
    failures: list[Exception] = []

    def own_ns() -> int:
        """A stream's share of the process's time: which thread of an engine works for whom cannot be told."""
        return time.process_time_ns() // len(sessions)

    def read(number: int, session: Session) -> None:
        line = ProgressLine(session.opened.run.until) if number == 0 else None
        try:
            start.wait()
            load = replace(session.load, seed=session.load.seed + number)  # cameras do not press together
            found[number] = measure(
                session.opened.screener,
                session.opened.supply,
                load,
                session.opened.run.until,
                stop=together,
                progress=line,
                cpu_ns=own_ns,
            )
        except Exception as error:  # told by the thread that started us
            failures.append(error)
        finally:
            together.done()
            if line is not None:
                line.close()

    threads = [
        threading.Thread(target=read, args=(number, session), name=f"stream-{number}", daemon=True)
        for number, session in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [samples for samples in found if samples is not None]


def print_streams(found: AtOnce, stream: TextIO) -> None:
    """A line a stream, then what they read together."""
    from rich.text import Text

    console = console_for(stream)
    for line in head_lines(found.reports[0]):
        console.print(Text(line))
    rows: list[list[str | Text]] = [
        [
            str(number),
            str(report.counts.frames_in),
            str(report.counts.dropped),
            f"{report.run.frames_per_s:.1f}",
            *latency_cells(report),
            Text(report.verdict, COLOURS[report.verdict]),
        ]
        for number, report in enumerate(found.reports, 1)
    ]
    print_table(console, ("stream", "frames", "dropped", "frames/s", "p50", "p99", "max", "verdict"), rows)
    console.print(Text(f"together {found.frames_per_s:.1f} frames/s"))
    told = dict.fromkeys(
        f"{finding.weight.upper()}: {finding.text}; {finding.advice}"
        for report in found.reports
        for finding in report.findings
        if finding.weight != "warning"
    )
    for text in told:
        console.print(Text(text))
    console.print(Text(found.verdict, COLOURS[found.verdict]))
