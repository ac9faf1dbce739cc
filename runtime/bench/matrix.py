"""The matrix: every backend and precision that works here, and what runs by default, measured by turns in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TextIO

from runtime.bench.judge.stats import Interval
from runtime.bench.opened import Say
from runtime.bench.options import Matrix, Run
from runtime.bench.report.export import series_to_json
from runtime.bench.report.table import COLOURS, head_lines, latency_cells
from runtime.bench.schema import Report
from runtime.bench.turns import Measured, run_by_turns
from runtime.bundle import Bundle, open_bundle
from runtime.commands.stop import Stop
from runtime.commands.table import console_for, print_table
from runtime.engines import PRECISIONS, backend_names
from runtime.errors import BundleError
from runtime.manifest import NETWORKS

SCHEMA = "rop.bench-matrix/1"
HEADS = ("run", "p50", "p99", "max", "x (95 %)", "CPU ms", "frames/s", "MB", "Dice", "AUC", "as fp32", "verdict")


@dataclass(frozen=True)
class MatrixTable:
    """Runs by turns, by name, and the one that the others are held against."""

    measured: Measured
    against: str | None
    schema: str = SCHEMA

    @property
    def reports(self) -> tuple[Report, ...]:
        """In the order in which they were asked for."""
        return tuple(self.measured.reports.values())

    def to_json(self) -> str:
        """Names, ratios and the reports as they are, one after the other."""
        head = {
            "schema": self.schema,
            "names": list(self.measured.reports),
            "against": self.against,
            "ratios": {name: vars(found) for name, found in self.ratios().items()},
            "left_out": self.measured.left_out,
        }
        return series_to_json(head, self.reports)

    def ratios(self) -> dict[str, Interval]:
        """How many times as long each takes as the one that they are held against, where that can be said."""
        if self.against is None:
            return {}
        found = {name: self.measured.ratio(name, self.against) for name in self.measured.reports}
        return {name: interval for name, interval in found.items() if interval is not None}


def combinations(bundle: Bundle, engine: str, precision: str) -> Iterator[tuple[str, str]]:
    """Backends and precisions that the bundle holds both graphs for, as far as the options let them.

    Where a backend's default is no single precision (`fp16+int8`), it is one of them, as `auto`.
    """
    for backend in backend_names() if engine == "auto" else (engine,):
        for one in PRECISIONS if precision == "auto" else (precision,):
            if one != "auto" and all(one in bundle.precisions(network) for network in NETWORKS):
                yield backend, one
        if precision == "auto" and len(set(_default(bundle, backend).values())) > 1:
            yield backend, "auto"


def _default(bundle: Bundle, backend: str) -> Mapping[str, str]:
    try:
        return bundle.resolve_precision(backend, "auto")
    except BundleError:  # a default that the bundle does not hold is nobody's
        return {}


def named(bundle: Bundle, backend: str, precision: str) -> str:
    """`openvino int8`; the default for the backend bears a mark."""
    default = "+".join(dict.fromkeys(_default(bundle, backend).values()))
    word = default if precision == "auto" else precision
    return f"{backend} {word}{' (default)' if word == default else ''}"


def run_matrix(asked: Matrix, command: tuple[str, ...], stop: Stop, say: Say) -> MatrixTable:
    """Measure all by turns.

    A backend that cannot load is left out with its reason. Raises `BenchError`, `BundleError` and `CameraError` as
    `run_session` does, and `BundleError` when nothing is left.
    """
    model = asked.run.model
    bundle = open_bundle(model.bundle)
    runs: dict[str, Run] = {}
    for backend, precision in combinations(bundle, model.engine, model.precision):
        one = replace(model, engine=backend, precision=precision)
        runs[named(bundle, backend, precision)] = replace(asked.run, model=one)
    measured = run_by_turns(runs, asked.turns, command, stop, say)
    if not measured.reports and not stop.requested:
        raise BundleError("; ".join(measured.left_out) or f"bundle {bundle.path}: no graphs for {model.precision}")
    default = next((name for name in measured.reports if name.endswith("(default)")), None)
    return MatrixTable(measured, default)


def print_matrix(table: MatrixTable, stream: TextIO) -> None:
    """One line a combination, the fastest first."""
    from rich.text import Text

    console = console_for(stream)
    reports = table.measured.reports
    for line in head_lines(table.reports[0])[1:] if reports else []:
        console.print(Text(line))
    against, ratios = table.against, table.ratios()
    rows: list[list[str | Text]] = []
    for name, report in sorted(reports.items(), key=lambda item: _median(item[1])):
        found = ratios.get(name)
        ratio = (
            "1"
            if name == against
            else "-"
            if found is None
            else f"{found.value:.2f} ({found.low:.2f}-{found.high:.2f})"
        )
        rows.append([name, *_cells(report, ratio), Text(report.verdict, COLOURS[report.verdict])])
    print_table(console, HEADS, rows)
    if against is not None:
        console.print(Text(f"x: times as long as {against}, from the turns' medians side by side"))
    for name, report in reports.items():
        for finding in report.findings:
            if finding.weight != "warning":
                console.print(Text(f"{name}: {finding.weight.upper()}: {finding.text}"))
    for reason in table.measured.left_out:
        console.print(Text(f"left out: {reason}"))


def _median(report: Report) -> float:
    row = report.rows.get("camera_to_result")
    return float("inf") if row is None else row.p50 if row.p50 is not None else row.mean


def _cells(report: Report, ratio: str) -> list[str]:
    found, memory = report.accuracy, report.run.engine_mb
    return [
        *latency_cells(report),
        ratio,
        f"{report.run.cpu_ms_per_frame:.1f}",
        f"{report.run.frames_per_s:.1f}",
        "-" if memory is None else f"{memory:.0f}",
        _share(None if found is None else found.dice),
        _share(None if found is None else found.auc),
        _share(None if found is None else found.same_outcome),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
