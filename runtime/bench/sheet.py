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
from runtime.bench.judge.findings import Kind, Word
from runtime.bench.judge.sides import mixed
from runtime.bench.judge.stats import Interval, drift, runs_interval
from runtime.bench.judge.verdict import DRIFT_LIMIT, beside_limit
from runtime.bench.opened import Say
from runtime.bench.report.export import read_report, series_to_json
from runtime.bench.report.table import cores_line, figure, head_lines, latency_cells
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
    notes: tuple[str, ...] = ()
    """What does not keep the line from being made."""

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
            f"{engine.backend} {engine.precision} graphs on {engine.device}; {made.processor}, "
            f"{cores_line(first)}; "
            f"bundle {bundle.name} {bundle.version}, SHA-256 {bundle.sha256}{self._unless_passed}"
        )

    @property
    def _unless_passed(self) -> str:
        """The line goes where the verdict beside it does not."""
        if self.verdict == "PASS":
            return ""
        kinds = dict.fromkeys(f.kind for report in self.reports for f in report.findings if f.weight == "fail")
        return f"; {self.verdict}: {', '.join(kinds)}"

    @property
    def measured(self) -> tuple[str, ...]:
        """What was measured, where it makes no line: each process's figures, as they are."""
        return tuple(
            f"INVALID together; process {number} of {len(self.reports)}, {report.verdict} by itself: "
            f"{of_process(report)}"
            for number, report in enumerate(self.reports, 1)
        )

    def to_json(self) -> str:
        """`rop.bench-sheet/1`: the line, its figures, and every run's whole report."""
        head = {
            "schema": "rop.bench-sheet/1",
            "verdict": self.verdict,
            "reasons": self.reasons,
            "notes": self.notes,
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
            say(f"process {number} of {asked.processes}: {of_process(reports[-1])}")
    return sheet_of(reports)


def sheet_of(reports: Sequence[Report]) -> Sheet:
    """The line of these runs. Each process counts as one value: frames of one are alike, processes are not."""
    reasons = [f"the runs are not of one thing: {text}" for text in mixed(reports)]
    invalid = [(n, f) for n, report in enumerate(reports, 1) for f in report.findings if f.weight == "invalid"]
    reasons += [f"process {n}: {f.text}; {f.advice}" for n, f in invalid if f.kind != Kind.DRIFT.name]
    notes = []
    if drifted := [f"process {n}: {f.text}" for n, f in invalid if f.kind == Kind.DRIFT.name]:
        together = _drift_of(reports)
        low, high = together.low - 1, together.high - 1
        told = [beside_limit(change) for change in (together.value - 1, low, high)]
        words = f"over all processes together {told[0]} ({told[1]} to {told[2]})"
        if abs(together.value - 1) > DRIFT_LIMIT and not low <= 0 <= high:
            reasons += [f"{'; '.join(drifted)}; {words}; {Kind.DRIFT.advice}"]
        elif max(-low, high) > DRIFT_LIMIT:
            reasons += [
                f"{'; '.join(drifted)}; {words}: whether they drift by more than {DRIFT_LIMIT:.0%} cannot be told; "
                f"measure more processes, or longer ones with --frames"
            ]
        else:
            notes = [f"{'; '.join(drifted)}; {words}: no drift, and what a process wanders by is in the intervals"]
    rows = [report.rows.get("camera_to_result") for report in reports]
    p50 = [row.p50 for row in rows if row is not None and row.p50 is not None]
    p99 = [row.p99 for row in rows if row is not None and row.p99 is not None]
    if not reasons and len(p99) < len(reports):
        reasons.append(f"a p99 needs {samples_needed(99)} frames read; measure more with --frames")
    if reasons:
        return Sheet(tuple(reports), None, None, "INVALID", tuple(reasons), tuple(notes))
    failed = [
        f"process {number}: {f.text}; {f.advice}"
        for number, report in enumerate(reports, 1)
        for f in report.findings
        if f.weight == "fail"
    ]
    verdict: Word = "FAIL" if failed else "PASS"
    return Sheet(tuple(reports), _over(p50), _over(p99), verdict, tuple(failed), tuple(notes))


def _drift_of(reports: Sequence[Report]) -> Interval:
    """Last third's median total over the first's, over processes: whether they drift alike is seen from them."""
    totals = [[value for value in report.frames.columns["total"] if value is not None] for report in reports]
    return _over([1 + drift(values) for values in totals])


def of_process(report: Report) -> str:
    """A run's figures in words, and what is said of them."""
    p50, p99, most = latency_cells(report)
    found = ", ".join(dict.fromkeys(f.kind for f in report.findings if f.weight != "warning"))
    words = f"camera to result p50 {p50} ms, p99 {p99} ms, max {most} ms, {report.counts.timed} frames"
    return printable(f"{words}; {found}" if found else words)


def _over(values: Sequence[float]) -> Interval:
    """Geometric mean over processes with Student's interval."""
    return runs_interval([1.0] * len(values), values, CONFIDENCE, in_turns=True)


def _told(interval: Interval) -> str:
    return f"{figure(interval.value)} ms [{figure(interval.low)}, {figure(interval.high)}]"


def _start(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "runtime.bench", *arguments], capture_output=True, text=True)
