"""`--sheet`: one line for a data sheet, from runs in fresh processes, whose scatter is what a buyer will see."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.bench import options
from runtime.bench.errors import BenchError
from runtime.bench.judge.findings import Word
from runtime.bench.judge.sides import mixed
from runtime.bench.judge.stats import Interval, runs_interval
from runtime.bench.opened import Say
from runtime.bench.report.export import read_report, series_to_json
from runtime.bench.report.table import cores_line, figure, head_lines
from runtime.bench.schema import Report
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import printable
from runtime.percentiles import samples_needed

CONFIDENCE = 0.95
"""Of each interval, two-sided."""

Start = Callable[[list[str]], "subprocess.CompletedProcess[str]"]
"""Runs the benchmark with these arguments in a process of its own."""


@dataclass(frozen=True)
class Sheet:
    """The runs, and the line they make; no line when they cannot be relied on."""

    reports: tuple[Report, ...]
    p50: Interval | None
    p99: Interval | None
    verdict: Word
    reasons: tuple[str, ...]

    @property
    def line(self) -> str | None:
        """`p50 A ms [low, high], p99 ...` and what it was measured of and on."""
        if self.p50 is None or self.p99 is None:
            return None
        first = self.reports[0]
        engine, made, bundle = first.engine, first.environment, first.bundle
        load = head_lines(first)[2].removesuffix("; latencies in milliseconds")
        return printable(
            f"camera to result p50 {_told(self.p50)}, p99 {_told(self.p99)} ({CONFIDENCE:.0%} intervals over "
            f"{len(self.reports)} processes of {first.counts.timed} frames); {load}; "
            f"{engine.backend} {engine.precision} on {engine.device}; {made.processor}, {cores_line(first)}; "
            f"bundle {bundle.name} {bundle.version}, SHA-256 {bundle.sha256}"
        )

    def to_json(self) -> str:
        """`rop.bench-sheet/1`: the line, its figures, and every run's whole report."""
        head = {
            "schema": "rop.bench-sheet/1",
            "verdict": self.verdict,
            "reasons": self.reasons,
            "line": self.line,
            "confidence": CONFIDENCE,
            "p50_ms": None if self.p50 is None else vars(self.p50),
            "p99_ms": None if self.p99 is None else vars(self.p99),
        }
        return series_to_json(head, self.reports)


def run_sheet(asked: options.SheetOptions, stop: Stop, say: Say, start: Start | None = None) -> Sheet:
    """Run the benchmark so often with the user's own arguments, and make the line.

    Raises `BenchError` when a process ends without a report, `Interrupted` when it was stopped.
    """
    reports = []
    with tempfile.TemporaryDirectory(prefix="rop-bench-") as folder:
        for number in range(1, asked.processes + 1):
            say(f"process {number} of {asked.processes}")
            path = Path(folder) / f"{number}.json"
            # What is said last counts, so that the user's own options need not be taken apart.
            words = [*asked.arguments, "--no-sheet", "--no-cold-start", "--no-accuracy", "--json", str(path)]
            with stop.interruptible:
                done = (start or _start)(words)
            if stop.requested:
                raise Interrupted
            if not path.is_file():
                told = (done.stderr or "").strip().splitlines()
                said = told[-1].removeprefix("runtime.bench: ") if told else "no message"
                raise BenchError(f"process {number} ended with code {done.returncode} and no report: {said}")
            reports.append(read_report(path))
    return sheet_of(reports)


def sheet_of(reports: Sequence[Report]) -> Sheet:
    """The line of these runs. Each process counts as one value: frames of one are alike, processes are not."""
    reasons = [f"the runs are not of one thing: {text}" for text in mixed(reports)]
    for number, report in enumerate(reports, 1):
        reasons += [f"process {number}: {f.text}; {f.advice}" for f in report.findings if f.weight == "invalid"]
    rows = [report.rows.get("camera_to_result") for report in reports]
    p50 = [row.p50 for row in rows if row is not None and row.p50 is not None]
    p99 = [row.p99 for row in rows if row is not None and row.p99 is not None]
    if not reasons and len(p99) < len(reports):
        reasons.append(f"a p99 needs {samples_needed(99)} frames read; measure more with --frames")
    if reasons:
        return Sheet(tuple(reports), None, None, "INVALID", tuple(reasons))
    failed = [
        f"process {number}: {f.text}; {f.advice}"
        for number, report in enumerate(reports, 1)
        for f in report.findings
        if f.weight == "fail"
    ]
    return Sheet(tuple(reports), _over(p50), _over(p99), "FAIL" if failed else "PASS", tuple(failed))


def _over(values: Sequence[float]) -> Interval:
    """Geometric mean over processes with Student's interval."""
    return runs_interval([1.0] * len(values), values, CONFIDENCE, in_turns=True)


def _told(interval: Interval) -> str:
    return f"{figure(interval.value)} ms [{figure(interval.low)}, {figure(interval.high)}]"


def _start(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "runtime.bench", *arguments], capture_output=True, text=True)
