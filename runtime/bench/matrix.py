"""The matrix: every backend and precision that works here, measured alike, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TextIO

from runtime.bench.arguments import Options
from runtime.bench.report.table import COLOURS, console_for, figure, head_lines
from runtime.bench.schema import Report
from runtime.bench.session import Say, run_session
from runtime.bundle import Bundle, open_bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.engines import PRECISIONS, backend_names
from runtime.errors import BundleError, EngineError
from runtime.manifest import NETWORKS


@dataclass(frozen=True)
class Matrix:
    """The reports of all that works, and why the rest does not."""

    reports: tuple[Report, ...]
    left_out: tuple[str, ...]

    def to_json(self) -> str:
        """`rop.bench-matrix/1`: the reports as they are, one after the other."""
        reports = ",".join(report.model_dump_json(by_alias=True) for report in self.reports)
        return f'{{"schema":"rop.bench-matrix/1","reports":[{reports}]}}\n'


def combinations(bundle: Bundle, engine: str, precision: str) -> Iterator[tuple[str, str]]:
    """Backends and precisions that the bundle holds both graphs for, as far as the options let them."""
    for backend in backend_names() if engine == "auto" else (engine,):
        for one in PRECISIONS if precision == "auto" else (precision,):
            if one != "auto" and all(one in bundle.precisions(network) for network in NETWORKS):
                yield backend, one


def run_matrix(options: Options, command: tuple[str, ...], stop: Stop, say: Say) -> Matrix:
    """Measure each in turn, and stop early when asked to.

    A backend that cannot load is left out with its reason. Raises `BenchError`, `BundleError` and `CameraError` as
    `run_session` does, and `BundleError` when nothing is left.
    """
    bundle = open_bundle(options.bundle)
    reports: list[Report] = []
    left_out: list[str] = []
    for backend, precision in combinations(bundle, options.engine, options.precision):
        if stop.requested:
            break
        say(f"{backend} {precision}:")
        one = replace(options, engine=backend, precision=precision, matrix=False, cold_start=False)
        try:
            reports.append(run_session(one, command, stop, say))
        except EngineError as error:
            left_out.append(f"{backend} {precision}: {error}")
        except Interrupted:
            if not reports:
                raise
            break
    if not reports and not stop.requested:
        raise BundleError("; ".join(left_out) or f"bundle {bundle.path}: no graphs for {options.precision}")
    return Matrix(tuple(reports), tuple(left_out))


def print_matrix(matrix: Matrix, stream: TextIO) -> None:
    """One line a combination, the fastest first."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console = console_for(stream)
    if matrix.reports:
        for line in head_lines(matrix.reports[0])[1:]:
            console.print(Text(line))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("backend", "precision"):
        table.add_column(heading, no_wrap=True)
    for heading in ("p50", "p99", "max", "CPU ms", "frames/s", "MB", "Dice", "AUC", "as fp32", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in sorted(matrix.reports, key=_median):
        table.add_row(*_cells(report), Text(report.verdict, COLOURS[report.verdict]))
    console.print(table)
    for report in matrix.reports:
        for finding in report.findings:
            if finding.weight != "warning":
                which = f"{report.engine.backend} {report.engine.precision}"
                console.print(Text(f"{which}: {finding.weight.upper()}: {finding.text}"))
    for reason in matrix.left_out:
        console.print(Text(f"left out: {reason}"))


def _median(report: Report) -> float:
    row = report.rows.get("camera_to_result")
    return float("inf") if row is None else row.p50 if row.p50 is not None else row.mean


def _cells(report: Report) -> list[str]:
    row, found = report.rows.get("camera_to_result"), report.accuracy
    latencies = ["-"] * 3 if row is None else [figure(row.p50), figure(row.p99), figure(row.max)]
    memory = report.machine.memory_peak_mb
    return [
        report.engine.backend,
        report.engine.precision,
        *latencies,
        f"{report.run.cpu_ms_per_frame:.1f}",
        f"{report.run.frames_per_s:.1f}",
        "-" if memory is None else f"{memory:.0f}",
        _share(None if found is None else found.dice),
        _share(None if found is None else found.auc),
        _share(None if found is None else found.same_outcome),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
