"""The report's page: one HTML file, and beside it the pictures of changed outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from runtime.commands.text import printable
from runtime.reread.figures import ANSWERS, PARTS
from runtime.reread.row import RereadResult
from runtime.sinks.page import STYLE

Shown = Sequence[tuple[RereadResult, str | None]]
"""Changed outcomes, with the name of the picture's file where there is one."""


def render(report: Mapping[str, Any], shown: Shown) -> str:
    """The whole page."""
    run = report["run"]
    parts = [
        "<h1>Re-reading</h1>",
        f'<p class="notice">{_safe(run["notice"])}</p>',
        _facts(report),
        "<h2>Changed outcomes</h2>",
        _changes([("all", report["changes"])]),
        *(f"<h2>By {part}</h2>{_changes([(one['value'], one) for one in report['by'][part]])}" for part in PARTS),
        _table("Outcomes then and now", ("then", "now", "frames"), _pairs(report)),
        _agreement(report["agreement"]),
        _labels(report["labels"]),
        _drift(report["drift"]),
        _table("Left out, or to know", ("what",), [(line,) for line in report["told"]]),
        _pictures(report, shown),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Re-reading</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>{_safe(run['notice'])}</footer>\n</body></html>\n"
    )


def _safe(text: object) -> str:
    return escape(printable(str(text)))


def _facts(report: Mapping[str, Any]) -> str:
    run = report["run"]
    facts = {
        "Frames": report["frames"],
        "Without a picture": report["unread"],
        "Without an earlier reading": report["without_earlier_reading"],
        "Excluded by a person": report["excluded"],
        "Bundle": f"{run['bundle']['name']} {run['bundle']['version']} (SHA-256 {run['bundle']['sha256'][:12]})",
        "Engine": f"{run['reader']['backend']}, {run['reader']['precision']}, {run['reader']['device']}",
        "Threshold": f"{run['reader']['threshold']:g}",
        "Throughput": f"{run['frames_per_second']:.1f} frames/s with {run['workers']} readers",
    }
    return "<dl>" + "".join(f"<div><dt>{k}</dt><dd>{_safe(v)}</dd></div>" for k, v in facts.items()) + "</dl>"


def _changes(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    heads = ("", "frames", "changed", "REFER lost", "REFER new")
    cells = [
        (name, one["frames"], _share(one["changed"]), _share(one["lost"]), _share(one["found"])) for name, one in rows
    ]
    return _table("", heads, cells)


def _share(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "none"
    low, high = share["low"], share["high"]
    return f"{share['count']} of {share['of']}: {share['value']:.2%} [{low:.2%}, {high:.2%}]"


def _pairs(report: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [(one["old"], one["new"], one["frames"]) for one in report["pairs"]]


def _agreement(found: Mapping[str, Any]) -> str:
    kappa = found["kappa"]
    rows: list[tuple[object, ...]] = [
        ("equal outcomes", _share(found["equal"])),
        ("Cohen's kappa", "none" if kappa is None else f"{kappa:.3f}"),
    ]
    if "probability" in found:
        rows += [(name.replace("_", " "), f"{value:.4g}") for name, value in found["probability"].items()]
    return _table("Agreement", ("measure", "value"), rows)


def _labels(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    rows = [(name, _share(found[name])) for name in ("sensitivity", "specificity")]
    return _table("Against the labels", ("measure", "value"), rows)


def _drift(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "<h2>Drift</h2><p>The bundle holds no reference to hold these frames against.</p>"
    causes = ", ".join(f"{name} {count}" for name, count in found["of"].items()) or "none"
    rows = [("windows", found["windows"]), ("windows with an alarm", found["alarms"]), ("of", causes)]
    return _table("Drift", ("measure", "value"), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_safe(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<h2>{_safe(title)}</h2>" if title else ""
    return f'{title}<div class="panel"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _pictures(report: Mapping[str, Any], shown: Shown) -> str:
    if not shown:
        return ""
    total = report["changes"]["changed"]["count"]
    figures = "".join(_figure(result, name) for result, name in shown)
    words = f"{len(shown)} of {total} changed outcomes; lost REFERs first, then new ones."
    return f'<h2>Pictures</h2><p class="faint">{words}</p><div class="sheet">{figures}</div>'


def _figure(result: RereadResult, name: str | None) -> str:
    row = result.row
    picture = '<div class="empty">no picture</div>'
    if name is not None:
        picture = f'<img loading="lazy" decoding="async" alt="{_safe(row.reading)}" src="pictures/{_safe(name)}">'
    place = " ".join(filter(None, (row.eye, row.view, row.camera, row.site)))
    lines = (f"{_outcome(row.old_outcome, row.old_probability)} then", _outcome(row.new_outcome, row.new_probability))
    said = "".join(f"<span>{_safe(line)}</span>" for line in (*lines, place, row.reading))
    return f"<figure>{picture}<figcaption>{said}</figcaption></figure>"


def _outcome(outcome: str | None, probability: float | None) -> str:
    number = "" if probability is None or outcome not in ANSWERS else f" {probability:.3f}"
    return f"{(outcome or '').replace('_', ' ')}{number}"
