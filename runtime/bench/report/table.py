"""The terminal output of a run: the table of stages, the figures around it, the verdict with its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from runtime.bench.judge.compare import Comparison
from runtime.bench.report.comparison import head, words
from runtime.bench.schema import PeerPart, Report, RowPart
from runtime.commands.table import console_for, print_table
from runtime.commands.text import printable
from runtime.percentiles import samples_needed

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"PASS": "bold green", "FAIL": "bold red", "INVALID": "bold yellow"}
PEER_AGREES = 0.95
"""Share of frames with the same outcome, below which a peer's speed is that of something else."""
MOST_LAYERS = 12
"""That are printed."""
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
"""Of a row, by its field."""
HEADINGS = ("n", "mean", "p50", "p90", "p95", "p99", "p99.9", "max", "over")


def print_report(report: Report, stream: TextIO) -> None:
    """Print a report for people."""
    from rich.text import Text

    console = console_for(stream)
    for line in head_lines(report):
        console.print(Text(line))
    _print_rows(console, report)
    for line in foot_lines(report):
        console.print(Text(line))
    console.print()
    console.print(Text.assemble((report.verdict, COLOURS[report.verdict]), Text(_why(report))))
    for finding in report.findings:
        mark = {"invalid": "INVALID", "fail": "FAIL", "warning": "note"}[finding.weight]
        console.print(Text(printable(f"  {mark}: {finding.text}; {finding.advice}")))


def print_comparison(comparison: Comparison, stream: TextIO) -> None:
    """Print a comparison for people."""
    from rich.text import Text

    console = console_for(stream)
    rows = [
        (
            f"{line.stage} p{line.percentile:g}",
            figure(line.a_ms),
            figure(line.b_ms),
            f"{line.change:+.1%}",
            f"{line.low:+.1%} to {line.high:+.1%}",
            line.result,
        )
        for line in comparison.lines
    ]
    colours = {"slower": "bold red", "faster": "bold green"}
    for text in head(comparison):
        console.print(Text(printable(text)))
    styles = [colours.get(line.result, "") for line in comparison.lines]
    heads = ("stage", "A, ms", "B, ms", "B against A", "interval", "result")
    print_table(console, heads, rows, left=("result",), styles=styles)
    for text in words(comparison):
        console.print(Text(printable(text)))


def head_lines(report: Report) -> list[str]:
    """What was run, on what."""
    engine, plan, fed = report.engine, report.plan, report.input
    load: str = plan.load
    if plan.load in ("camera", "burst", "poisson") and plan.rate_hz:
        load += f" {plan.rate_hz:g} frames/s"
    if plan.idle_s is not None:
        load += f", one frame after {plan.idle_s:g} s"
    size = f", {fed.width} x {fed.height}" if fed.width else ""
    size = f", {len(fed.sizes)} sizes" if len(fed.sizes) > 1 else size
    return [
        printable(f"bundle {report.bundle.name} {report.bundle.version}; {engine.backend} {engine.precision} graphs"),
        printable(f"computed on {engine.device}, {cores_line(report)}"),
        printable(f"load {load}; source {fed.source}{size}; latencies in milliseconds"),
    ]


def cores_line(report: Report) -> str:
    """How many of the machine's cores the run might use."""
    made = report.environment
    allowed = made.cores if made.affinity is None else len(made.affinity)
    line = f"{made.cores} cores" if allowed == made.cores else f"{allowed} of {made.cores} cores"
    return line if made.quota_cores is None else f"{line}, a quota of {made.quota_cores:g}"


def shown_rows(report: Report) -> dict[str, RowPart]:
    """The rows worth a line: age is the same as camera to result where nothing was dropped."""
    same = report.counts.dropped == 0 and report.counts.failed == 0
    return {name: row for name, row in report.rows.items() if not (name == "age" and same)}


def _print_rows(console: Console, report: Report) -> None:
    rows = []
    for name, row in shown_rows(report).items():
        figures = [row.mean, row.p50, row.p90, row.p95, row.p99, row.p99_9, row.max]
        over = "" if row.over_budget is None else f"{row.over_budget} > {row.budget_ms:g}"
        rows.append([name.replace("_", " "), str(row.n), *map(figure, figures), over])
    styles = ["bold" if name == "camera_to_result" else "" for name in shown_rows(report)]
    print_table(console, ("stage", *HEADINGS), rows, styles=styles)


def figure(value: float | None) -> str:
    """Milliseconds with three digits or more; a dash where there were too few samples."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def latency_cells(report: Report) -> list[str]:
    """Median, p99 and largest of the whole frames' latencies; dashes where none was timed."""
    row = report.rows.get("camera_to_result")
    return ["-"] * 3 if row is None else [figure(row.p50), figure(row.p99), figure(row.max)]


def foot_lines(report: Report) -> list[str]:
    """The figures that are no latencies of stages."""
    counts, run, machine = report.counts, report.run, report.machine
    lines = [
        f"frames: {counts.frames_in} in, {counts.timed} timed, {counts.dropped} dropped, {counts.stale} stale, "
        f"{counts.late} late, {counts.missed} missed, {counts.refused} refused by the gate, {counts.failed} failed"
    ]
    line = f"{run.frames_per_s:.1f} frames/s; CPU {run.cpu_ms_per_frame:.1f} ms a frame"
    if machine.memory_peak_mb is not None:
        line += f"; memory {machine.memory_peak_mb:.0f} MB at most"
    if run.jitter_p99_ms is not None:
        line += f"; frames begun within {run.jitter_p99_ms:.2f} ms of their time (p99)"
    lines.append(line)
    lines.append(_warmed(report))
    lines += _note_of_dashes(report)
    lines.append(f"the benchmark's own work: {run.overhead_us:.0f} us a frame (at most 50 is meant)")
    asked = report.percentile
    if asked.upper_bound_ms is not None:
        lines.append(
            f"camera to result p{asked.p:g} {figure(asked.value_ms)} ms, at most {figure(asked.upper_bound_ms)} ms "
            "with 99 % confidence"
        )
    parts = (_size_lines, _energy_lines, _cold_lines, _accuracy_lines, _peer_lines, _layer_lines)
    return [*lines, *(line for part in parts for line in part(report))]


def _warmed(report: Report) -> str:
    plan = report.plan
    ended = {True: ", until the speed was steady", False: ", and the speed was not steady after it", None: ""}
    line = f"warm-up: {plan.warmup} frames{ended[plan.warmup_steady]}"
    line += f"; {plan.turns} turns" if plan.turns > 1 else ""
    return line + (f"; one of {plan.streams} streams at once" if plan.streams > 1 else "")


def _note_of_dashes(report: Report) -> list[str]:
    """Why percentiles of the table are dashes."""
    lacking = [p for name, p in PERCENTILES.items() if any(getattr(row, name) is None for row in report.rows.values())]
    if not lacking:
        return []
    return ["-: n too small; stated from " + ", ".join(f"p{p:g} {samples_needed(p)}" for p in lacking) + " frames on"]


def _size_lines(report: Report) -> list[str]:
    """The total of each size of frame, where there are several."""
    return [
        f"total of {size.replace('x', ' x ')}: n {row.n}, mean {figure(row.mean)}, p50 {figure(row.p50)}, "
        f"p95 {figure(row.p95)}, p99 {figure(row.p99)}, max {figure(row.max)} ms"
        for size, row in report.by_size.items()
    ]


def _energy_lines(report: Report) -> list[str]:
    energy = report.energy
    if energy is None:
        return []
    if energy.why_none:
        return [f"energy: cannot be told: {energy.why_none}"]
    told = ", ".join(f"{name} {joules:.3g} J" for name, joules in energy.joules_per_frame.items())
    return [printable(f"energy a frame, the machine's idling in it: {told}")]


def _layer_lines(report: Report) -> list[str]:
    """The slowest layers; all are in the JSON and on the page."""
    if not report.layers:
        return []
    lines = [f"layers: {len(report.layers)}, the slowest (median ms, share of all):"]
    return lines + [
        printable(f"  {layer.median_ms:8.3f} {layer.share:6.1%}  {layer.network}: {layer.name} {layer.kind}".rstrip())
        for layer in report.layers[:MOST_LAYERS]
    ]


def _cold_lines(report: Report) -> list[str]:
    cold = report.cold_start
    if cold is None:
        return []
    return [
        f"cold start: interpreter {cold.interpreter:.0f}, import {cold.import_runtime:.0f}, bundle "
        f"{cold.open_bundle:.0f}, load {cold.load:.0f} (the first time: {cold.compile:.0f}), first result "
        f"{cold.first_result:.1f}, second {cold.second_result:.1f}, after {cold.idle_s:g} s idle "
        f"{cold.first_after_idle:.1f} ms"
    ]


def _accuracy_lines(report: Report) -> list[str]:
    found = report.accuracy
    if found is None:
        return []
    parts = []
    if found.dice is not None:
        parts.append(f"Dice {found.dice:.3f} ({found.dice_frames} frames)")
    if found.auc is not None:
        parts.append(f"AUC {found.auc:.3f} ({found.auc_frames} frames)")
    elif found.truth != "none":
        parts.append("no AUC (needs frames with and without referral)")
    if found.reference is not None and found.same_outcome is not None:
        parts.append(
            f"same outcome as {found.reference} in {found.same_outcome:.1%}, probabilities within "
            f"{found.largest_probability_difference or 0:.3f}, "
            f"vessel maps agree to Dice {found.vessel_agreement or 0:.3f}"
        )
    elif found.reference is None:
        parts.append("this is the bundle's fp32")
    truth = {"labels": "labels", "simulated": "the simulation's truth", "none": "no truth given"}[found.truth]
    return [f"accuracy against {truth}: " + "; ".join(parts)]


def _peer_lines(report: Report) -> list[str]:
    return [line for peer in peers_of(report) for line in _peer_line(peer)]


def peers_of(report: Report) -> tuple[PeerPart, ...]:
    """Those of a report of any version."""
    return report.peers or (() if report.peer is None else (report.peer,))


def _peer_line(peer: PeerPart) -> list[str]:
    times = f"p50 {figure(peer.peer_p50_ms)} ms, ours {figure(peer.ours_p50_ms)} ms"
    ratio = f"{peer.ratio:.2f} x as fast ({peer.ratio_low:.2f} to {peer.ratio_high:.2f}, 95 %)"
    turns = f"{peer.rounds} rounds in turns, same outcome in {peer.same_outcome:.1%}"
    lines = [f"peer {peer.name} ({peer.backend} {peer.precision}): {times}: {ratio}; {turns}"]
    if peer.same_outcome < PEER_AGREES:
        lines.append(
            f"peer {peer.name} does not read the frames as this does: its speed is not that of the same result"
        )
    return [printable(line) for line in lines]


def _why(report: Report) -> str:
    if report.verdict != "PASS":
        return ""
    asked = report.percentile
    budget = report.plan.budget_ms
    return (
        "" if budget is None else f"  camera to result p{asked.p:g} {figure(asked.value_ms)} ms, budget {budget:g} ms"
    )
