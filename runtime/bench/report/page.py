"""The report as one self-contained HTML page, for light and dark screens and for paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np

from runtime.bench.judge.compare import Comparison
from runtime.bench.measure.samples import Column
from runtime.bench.report.charts import Curve, density, distribution, sensor_name, stage_bars, time_series
from runtime.bench.report.comparison import head, words
from runtime.bench.report.table import figure, foot_lines, head_lines, shown_rows
from runtime.bench.schema import Report
from runtime.commands.text import printable
from runtime.sinks.page import STYLE

MARKED = (50.0, 90.0, 99.0, 99.9)
"""Percentiles that are marked on a curve."""
BENCH_STYLE = """
.verdict { display: inline-block; margin: .8rem 0 0; padding: .25rem 1rem; border-radius: 8px; font-size: 1.5rem;
  font-weight: 700; color: #14181d; print-color-adjust: exact; }
.PASS { background: #56b4e9; } .FAIL { background: #f5793a; } .INVALID { background: #f0e442; }
ul { margin: .6rem 0; padding-left: 1.2rem; } li { margin: .25rem 0; }
svg line.grid { stroke: var(--rule); stroke-width: .6; }
svg .trace { fill: none; stroke: var(--bar); stroke-width: 1.6; }
svg .trace.before { stroke: var(--mark); stroke-dasharray: 5 3; }
svg .filled { fill: var(--bar); fill-opacity: .25; } svg .filled.before { fill: var(--mark); }
svg .dot { fill: var(--bar); } svg .dot.over { fill: var(--mark); }
svg text.strong { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
svg line.tail { stroke: var(--ink); stroke-width: 1.3; }
.number { white-space: nowrap; } td { overflow-wrap: break-word; }
code { overflow-wrap: anywhere; font-size: .9em; } .panel + .panel { margin-top: .8rem; }
"""


def render(report: Report) -> str:
    """The whole page."""
    sections = (_head, _findings, _charts, _stages, _slowest, _layers, _environment)
    body = "\n".join(part for section in sections for part in section(report))
    return _page(f"Latency report: {report.verdict}", body, report.bundle.notice)


def render_comparison(comparison: Comparison, a: Sequence[Report], b: Sequence[Report]) -> str:
    """The page of a comparison: before and after over one another, and each stage's line."""
    return _page(f"Latency compared: {comparison.answer}", "\n".join(_compared(comparison, a, b)), b[0].bundle.notice)


def _page(title: str, body: str, notice: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{STYLE}{BENCH_STYLE}</style></head>\n<body>\n"
        f"{body}\n<footer>{_safe(notice)}</footer>\n</body></html>\n"
    )


def _compared(comparison: Comparison, a: Sequence[Report], b: Sequence[Report]) -> Iterator[str]:
    colour = {"faster": "PASS", "alike": "PASS", "slower": "FAIL", "undecided": "INVALID"}[comparison.answer]
    yield "<h1>Latency compared</h1>"
    yield f'<p class="faint">{"<br>".join(map(_safe, head(comparison)))}</p>'
    yield f'<p class="verdict {colour}">{comparison.answer.upper()}</p>'
    yield f"<p>{'<br>'.join(map(_safe, words(comparison)))}</p>"
    before, after = waited_ms(*a), waited_ms(*b)
    if before.size and after.size:
        curves = [Curve.of(before, "A, before", "trace before"), Curve.of(after, "B, after")]
        yield "<h2>Distribution</h2>"
        yield f'<div class="panel">{density(curves, None)}</div>'
        yield f'<div class="panel">{distribution(curves, None, MARKED)}</div>'
    rows = "".join(
        f"<tr><td>{line.stage.replace('_', ' ')} p{line.percentile:g}</td>"
        + "".join(f'<td class="number">{cell}</td>' for cell in (figure(line.a_ms), figure(line.b_ms)))
        + f'<td class="number">{line.change:+.1%}</td><td class="number">{line.low:+.1%} to {line.high:+.1%}</td>'
        f"<td>{line.result}</td></tr>"
        for line in comparison.lines
    )
    titles = "".join(f'<th class="number">{name}</th>' for name in ("A, ms", "B, ms", "B against A", "interval"))
    yield f'<h2>Stages</h2><div class="panel"><table><thead><tr><th>Stage</th>{titles}<th>Result</th></tr></thead>'
    yield f"<tbody>{rows}</tbody></table></div>"


def _safe(words: object) -> str:
    return escape(printable(str(words)))


def _head(report: Report) -> Iterator[str]:
    yield "<h1>Latency report</h1>"
    yield f'<p class="faint">{"<br>".join(map(_safe, head_lines(report)))}</p>'
    mark = " (stopped by hand)" if report.interrupted else ""
    yield f'<p class="verdict {report.verdict}">{report.verdict}{mark}</p>'
    asked, budget_ms = report.percentile, report.plan.budget_ms
    budget = "no budget" if budget_ms is None else f"budget {budget_ms:g} ms"
    if asked.value_ms is not None:
        yield (
            f"<p>Camera to result p{asked.p:g}: <b>{figure(asked.value_ms)} ms</b>, at most "
            f"{figure(asked.upper_bound_ms)} ms with 99 % confidence; {budget}.</p>"
        )


def _findings(report: Report) -> Iterator[str]:
    if report.findings:
        items = (
            f"<li><b>{'Note' if f.weight == 'warning' else f.weight.upper()}</b>: {_safe(f.text)}. "
            f'<span class="faint">{_safe(f.advice[:1].upper() + f.advice[1:])}.</span></li>'
            for f in report.findings
        )
        yield f"<h2>What was found</h2><ul>{''.join(items)}</ul>"


def _charts(report: Report) -> Iterator[str]:
    at_s, latencies = _timed(report)
    if not latencies.size or "camera_to_result" not in report.rows:
        yield "<p>No frame was timed.</p>"
        return
    budget_ms, machine = report.plan.budget_ms, report.machine
    yield "<h2>Over time</h2>"
    yield f'<div class="panel">{time_series(at_s, latencies, budget_ms, machine.at_s, dict(machine.values))}</div>'
    curves = [Curve.of(waited_ms(report))]
    yield "<h2>Distribution</h2>"
    yield f'<div class="panel">{density(curves, budget_ms)}</div>'
    yield f'<div class="panel">{distribution(curves, budget_ms, MARKED)}</div>'
    bars = {
        name: (part.p50 if part.p50 is not None else part.mean, _tail(report, name), part.budget_ms)
        for name, part in shown_rows(report).items()
    }
    yield '<h2>Stages</h2><p class="faint">Median and slowest percentile that the number of frames allows.</p>'
    yield f'<div class="panel">{stage_bars(bars)}</div>'


def _tail(report: Report, name: str) -> float:
    part = report.rows[name]
    stated = [value for value in (part.p99_9, part.p99, part.p95, part.p90) if value is not None]
    return stated[0] if stated else part.max


def waited_ms(*reports: Report) -> Column:
    """Camera to result of every frame that came in, [n]."""
    return np.concatenate([np.array(report.frames.camera_to_result_ms, np.float64) for report in reports])


def _timed(report: Report) -> tuple[Column, Column]:
    """Capture time and age of the frames that both networks read, [n] each."""
    columns = report.frames.columns
    rows = zip(report.frames.at_s, columns["age"], columns["classify"], strict=True)
    kept = [(at_s, age) for at_s, age, classify in rows if classify is not None and age is not None]
    return np.array([row[0] for row in kept], np.float64), np.array([row[1] for row in kept], np.float64)


def _stages(report: Report) -> Iterator[str]:
    headings = ("n", "mean", "p50", "p90", "p95", "p99", "p99.9", "max", "over budget")
    head = "".join(f'<th class="number">{name}</th>' for name in headings)
    rows = []
    for name, part in shown_rows(report).items():
        cells = [figure(v) for v in (part.mean, part.p50, part.p90, part.p95, part.p99, part.p99_9, part.max)]
        over = "" if part.over_budget is None else f"{part.over_budget} (of {part.budget_ms:g} ms)"
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in (part.n, *cells, over))
        rows.append(f"<tr><td>{name.replace('_', ' ')}</td>{numbers}</tr>")
    yield f'<div class="panel"><table><thead><tr><th>Stage, ms</th>{head}</tr></thead>'
    yield f"<tbody>{''.join(rows)}</tbody></table></div>"
    yield f'<p class="faint">Percentiles: {_safe(report.percentile.method)}.</p>'
    yield f"<p>{'<br>'.join(map(_safe, foot_lines(report)))}</p>"


def _slowest(report: Report) -> Iterator[str]:
    if not report.slowest:
        return
    sensors = list(report.slowest[0].machine)
    head = "".join(f'<th class="number">{_safe(sensor_name(name))}</th>' for name in sensors)
    rows = "".join(
        f'<tr><td class="number">{slow.number}</td><td>{_safe(slow.source)}</td><td class="number">{slow.at_s:.2f}</td>'
        f'<td class="number">{figure(slow.total_ms)}</td><td>{slow.slowest_stage}</td>'
        + "".join(f'<td class="number">{slow.machine.get(name, "")}</td>' for name in sensors)
        + "</tr>"
        for slow in report.slowest
    )
    yield "<h2>Slowest frames, and the machine at that moment</h2>"
    yield (
        '<div class="panel"><table><thead><tr><th class="number">Frame</th><th>Source</th><th class="number">At, s</th>'
        f'<th class="number">Total, ms</th><th>Slowest stage</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _layers(report: Report) -> Iterator[str]:
    if not report.layers:
        return
    rows = "".join(
        f"<tr><td>{_safe(layer.network)}</td><td>{_safe(layer.name)}</td><td>{_safe(layer.kind)}</td>"
        f'<td class="number">{layer.median_ms:.3f}</td><td class="number">{layer.share:.1%}</td></tr>'
        for layer in report.layers
    )
    yield "<h2>Layers</h2>"
    yield (
        '<div class="panel"><table><thead><tr><th>Network</th><th>Layer</th><th>Kind</th><th class="number">Median, ms'
        f'</th><th class="number">Share of all</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _environment(report: Report) -> Iterator[str]:
    made, engine, fed = report.environment, report.engine, report.input
    facts: Mapping[str, object] = {
        "Created": report.created,
        "Command": " ".join(report.command),
        "Software": f"{report.version}; Python {made.python}; "
        + ", ".join(f"{name} {version}" for name, version in made.libraries.items()),
        "Machine": f"{made.processor}, {made.cores} cores, {made.memory_mb} MB; id {made.machine_id}",
        "GPU and driver": f"{made.gpu or 'none seen'} {made.driver or ''}",
        "System": made.system,
        "Power mode, governor": f"{made.power_mode or 'not told'}, {made.governor or 'not told'}",
        "Engine": f"{engine.backend} {engine.precision}, threads {engine.threads or 'chosen by the engine'}",
        "Bundle": f"{report.bundle.name} {report.bundle.version}, SHA-256 {report.bundle.sha256}",
        **{f"SHA-256 of {path}": digest for path, digest in report.bundle.files.items()},
        "Input": f"{fed.source}, {fed.distinct_frames or 'live'} distinct frames, SHA-256 {fed.sha256 or 'none'}",
        "Seeds": ", ".join(f"{name} {seed}" for name, seed in report.seeds.items()),
    }
    rows = "".join(f"<tr><td>{_safe(k)}</td><td><code>{_safe(v)}</code></td></tr>" for k, v in facts.items())
    yield f'<h2>Environment</h2><div class="panel"><table><tbody>{rows}</tbody></table></div>'
