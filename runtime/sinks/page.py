"""The summary page: one HTML file with nothing outside it, for light and dark screens and for paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from runtime.commands.text import printable, word
from runtime.outcome import Outcome, picture_banner
from runtime.reading import BundleFacts, EngineFacts
from runtime.sinks.contact_sheet import Card
from runtime.sinks.histogram import histogram_svg
from runtime.sinks.palette import DARK_TEXT, OUTCOME_COLOURS
from runtime.sinks.tally import Percentiles, Tally

NOT_ALL = "Not everything was read. No outcome here speaks for:"
"""Before what was not read; said wherever there is any."""
STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #ffffff; --ink: #14181d; --faint: #59636e; --rule: #d9dee4;
  --bar: #3f6f9f; --mark: #b3400c; }
@media (prefers-color-scheme: dark) { :root { --paper: #101418; --card: #191f25; --ink: #e9edf1; --faint: #9aa5b1;
  --rule: #2d363f; --bar: #6ea6da; --mark: #f5793a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 3rem; max-width: 84rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2.2rem 0 .8rem; font-size: 1.1rem; }
p { margin: .3rem 0; }
.faint, figcaption span, dt { color: var(--faint); }
.notice { margin: 1rem 0; padding: .6rem .9rem; border: 1px solid var(--rule); border-left: 5px solid var(--mark);
  border-radius: 6px; background: var(--card); font-weight: 600; }
.unread { border: 3px solid var(--mark); font-size: 1.15rem; } .unread ul { margin: .3rem 0; }
dl { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 1rem 0 0; }
dt { font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere; }
.outcomes { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; }
.outcome { padding: .8rem 1rem; border-radius: 8px; color: INK; }
.outcome b { display: block; font-size: 2rem; line-height: 1.2; }
.outcome strong { display: block; letter-spacing: .02em; }
.outcome span { display: block; font-size: .85rem; line-height: 1.35; }
.panel { padding: 1rem; border: 1px solid var(--rule); border-radius: 8px; background: var(--card); overflow-x: auto; }
svg { display: block; width: 100%; min-width: 34rem; height: auto; font-size: 12px; }
svg text { fill: var(--faint); } svg .bar { fill: var(--bar); } svg .axis { stroke: var(--rule); }
svg line.percentile { stroke: var(--ink); stroke-dasharray: 3 3; } svg text.percentile { fill: var(--ink); }
svg line.budget { stroke: var(--mark); stroke-width: 2; } svg text.budget { fill: var(--mark); font-weight: 600; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .4rem .7rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; } th { color: var(--faint); font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr:last-child td { border-bottom: 0; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(172px, 1fr)); gap: .8rem; }
figure { margin: 0; overflow: hidden; border: 1px solid var(--rule); border-radius: 8px; background: var(--card);
  content-visibility: auto; contain-intrinsic-size: 160px 230px; break-inside: avoid; }
figure img, figure .empty { display: block; width: 100%; height: 130px; object-fit: contain; background: #000; }
figure .empty { display: grid; place-items: center; color: #9aa5b1; }
figcaption { padding: 0 0 .5rem; font-size: .82rem; line-height: 1.35; }
figcaption > * { display: block; padding: .15rem .6rem 0; overflow-wrap: anywhere; }
.tag { display: inline-block; padding: .1rem .5rem; border-radius: 4px; color: INK; font-weight: 700;
  font-size: .75rem; }
figcaption .tag { display: block; padding: .2rem .6rem; border-radius: 0; font-size: .7rem; letter-spacing: -.01em; }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--rule); color: var(--faint); }
@media print { .outcome, .tag { print-color-adjust: exact; } figure { content-visibility: visible; } }
""".replace("INK", DARK_TEXT)


@dataclass(frozen=True, eq=False)
class Summary:
    """What the page is made of."""

    tally: Tally
    cards: list[Card]
    bundle: BundleFacts | None
    """None, like the other facts, when there was no reading."""
    engine: EngineFacts | None
    budget_ms: float | None
    first: datetime | None
    last: datetime | None
    not_read: Sequence[str] = ()
    """What of the source was not read, a line for each kind."""


def render(summary: Summary) -> str:
    """The whole page."""
    parts = [*_head(summary), _outcomes(summary.tally), _latency(summary), _reasons(summary.tally), _sheet(summary)]
    if summary.bundle:
        parts.append(f"<footer>{escape(summary.bundle.notice)}</footer>")
    rules = "".join(f".{o.value} {{ background: {c}; }}\n" for o, c in OUTCOME_COLOURS.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Screening summary</title><style>{STYLE}{rules}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _head(summary: Summary) -> Iterable[str]:
    yield "<h1>Screening summary</h1>"
    yield _not_read(summary.not_read)
    yield '<p class="faint">Retinopathy of prematurity, one reading a frame</p>'
    if summary.bundle is None or summary.engine is None:
        yield "<p>No frame was read.</p>"
        return
    yield f'<p class="notice">{escape(summary.bundle.notice)}</p>'
    engine = summary.engine
    facts = {
        "Frames": str(summary.tally.frames),
        "First and last frame": _span(summary),
        "Bundle": f"{summary.bundle.name} {summary.bundle.version} (SHA-256 {summary.bundle.sha256[:12]})",
        "Engine": f"{engine.backend}, {engine.precision}, {engine.device}",
        "Budget": "none" if summary.budget_ms is None else f"{summary.budget_ms:g} ms",
    }
    yield (
        "<dl>" + "".join(f"<div><dt>{k}</dt><dd>{escape(printable(v))}</dd></div>" for k, v in facts.items()) + "</dl>"
    )


def _not_read(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    listed = "".join(f"<li>{escape(printable(line))}</li>" for line in lines)
    return f'<div class="notice unread"><p>{NOT_ALL}</p><ul>{listed}</ul></div>'


def _span(summary: Summary) -> str:
    if summary.first is None or summary.last is None:
        return ""
    return f"{summary.first:%Y-%m-%d %H:%M:%S} to {summary.last:%Y-%m-%d %H:%M:%S} UTC"


def _outcomes(tally: Tally) -> str:
    tiles = (
        f'<div class="outcome {outcome.value}"><strong>{word(outcome)}</strong><b>{tally.counts[outcome]}</b>'
        f"<span>{escape(picture_banner(outcome))}</span></div>"
        for outcome in Outcome
    )
    return f'<h2>Outcomes</h2><div class="outcomes">{"".join(tiles)}</div>'


def _latency(summary: Summary) -> str:
    latencies, budget = summary.tally.latencies_ms, summary.budget_ms
    percentiles = Percentiles.of(latencies)
    if percentiles is None:
        return ""
    line = f"{percentiles.words}, slowest {latencies.max():.1f} ms"
    if budget is not None:
        line += f"; budget {budget:g} ms, late: {summary.tally.late}"
    explained = "from the frame's arrival to its reading, without the camera's own time"
    return (
        f'<h2>Latency</h2><div class="panel">{histogram_svg(latencies, budget)}</div>'
        f'<p>{line}</p><p class="faint">{explained}; {latencies.size} frames.</p>'
    )


def _reasons(tally: Tally) -> str:
    if not tally.reasons:
        return ""
    rows = "".join(
        f'<tr><td><span class="tag {outcome.value}">{word(outcome)}</span></td>'
        f"<td>{escape(printable(seen.first_reason))}</td>"
        f'<td class="number">{seen.count}</td><td>{escape(printable(seen.first_source))}</td></tr>'
        for (outcome, _), seen in sorted(tally.reasons.items(), key=lambda item: -item[1].count)
    )
    return (
        '<h2>Why frames gave no finding</h2><div class="panel"><table><thead><tr><th>Outcome</th><th>Reason</th>'
        f'<th class="number">Frames</th><th>First frame</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _sheet(summary: Summary) -> str:
    if not summary.cards:
        return ""
    total = summary.tally.frames
    which = f"All {total} frames" if len(summary.cards) == total else f"{len(summary.cards)} of {total} frames"
    more = "" if len(summary.cards) == total else ", spread evenly; REFER and NO RESULT are kept first"
    figures = "\n".join(map(_figure, summary.cards))
    return f'<h2>Contact sheet</h2><p class="faint">{which}{more}.</p><div class="sheet">{figures}</div>'


def _figure(card: Card) -> str:
    name = escape(printable(card.source))
    picture = '<div class="empty">no picture</div>'
    if card.thumbnail is not None:
        data = base64.b64encode(card.thumbnail).decode("ascii")
        picture = f'<img loading="lazy" decoding="async" alt="{name}" src="data:image/jpeg;base64,{data}">'
    latency = "" if card.latency_ms is None else f"<span>{card.latency_ms:.1f} ms</span>"
    reason = f"<span>{escape(printable(card.reason))}</span>" if card.reason else ""
    return (
        f'<figure>{picture}<figcaption><b class="tag {card.outcome.value}">{word(card.outcome)}</b>'
        f"<b>{name}</b>{reason}{latency}</figcaption></figure>"
    )
