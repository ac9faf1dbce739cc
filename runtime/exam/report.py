"""The report of an exam: one self-contained HTML page with images, outcomes, texts and what made them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any

from runtime.commands.text import printable, word
from runtime.exam.describe import deciding, frames_line, when
from runtime.exam.disagreement import disagreements
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant
from runtime.exam.journal import CaptureRecord, ExamRecord, Journal
from runtime.exam.machine import Phase
from runtime.exam.naming import readable_name
from runtime.exam.order import Order
from runtime.exam.result import Conclusion
from runtime.outcome import AID_NOTICE, EXCLUDED, Outcome
from runtime.sinks.draw import draw_vessels
from runtime.sinks.palette import DARK_TEXT, OUTCOME_COLOURS
from runtime.sinks.picture import encode, shrink
from runtime.views import EYE_WORDS, Eye, View

CLEAN = 480
"""Longer side of the picture as it is, pixels."""
SEX_WORDS = {"M": "male", "F": "female", "O": "other", "": "not known"}
THUMBNAIL = 300
"""Longer side of a picture in the report, pixels."""
STYLE = """
@page { size: A4; margin: 12mm; }
* { box-sizing: border-box; min-width: 0; overflow-wrap: anywhere; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: #fff; color: #14181d;
  font: 13px/1.4 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.4rem; } h2 { margin: .9rem 0 .4rem; font-size: 1.05rem; }
p { margin: .2rem 0; }
.banner { margin: .7rem 0; padding: .7rem 1rem; border-radius: 8px; font-size: 1.15rem; color: INK; }
.banner b { display: block; }
.notice { padding: .4rem .7rem; border: 1px solid #b3400c; border-left-width: 5px; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .4rem 0; }
dt { color: #59636e; } dd { margin: 0; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .5rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; }
figure { margin: 0; border: 1px solid #d9dee4; border-radius: 6px; overflow: hidden; break-inside: avoid; }
figure img, figure .empty { display: block; width: 100%; aspect-ratio: 4/3; object-fit: contain; background: #000; }
figure .empty { display: grid; place-items: center; color: #c3c8ce; }
figcaption > * { display: block; padding: .1rem .4rem; }
.tag { color: INK; font-weight: 700; font-size: .7rem; }
footer { margin-top: .8rem; padding-top: .5rem; border-top: 1px solid #d9dee4; color: #59636e; }
@media (max-width: 30rem) {
  body { padding: .5rem; } dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; }
  .views { grid-template-columns: 1fr; }
}
@media print {
  .views { grid-template-columns: repeat(5, 1fr); }
  :root { font-size: 12px; }
  body { max-width: none; padding: 0; font-size: 10px; }
  .tag { font-size: .6rem; }
  .banner, .tag, figure img, figure .empty { print-color-adjust: exact; }
  h2 { break-after: avoid; }
}
""".replace("INK", DARK_TEXT)


def report_page(journal: Journal, exam_id: str, *, with_infant: bool = True) -> str:
    """The page. `with_infant` False leaves the patient's fields out (the journal's key is then not needed)."""
    record = journal.exam(exam_id)
    infant = journal.infant(exam_id) if with_infant else None
    order = journal.order(exam_id) if with_infant else Order()
    rules = "".join(f".{o.value} {{ background: {c}; }}\n" for o, c in OUTCOME_COLOURS.items())
    body = "\n".join([*_head(record, infant, order), *_eyes(journal, record), *_documented(record), *_identity(record)])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Exam {escape(exam_id)}</title><style>{STYLE}{rules}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _head(record: ExamRecord, infant: Infant | None, order: Order) -> Iterator[str]:
    summary = record.summary
    yield "<h1>Screening for retinopathy of prematurity</h1>"
    yield f'<p class="notice">{_text(record.rules.bundle.notice or AID_NOTICE)}</p>'
    if summary.phase is Phase.OPEN:
        yield "<p><b>The exam is still open: this is not its result.</b></p>"
    yield _banner(record.result.infant)
    for told in (*disagreements(record), *record.result.warnings):
        yield f'<p class="notice">{_text(told)}</p>'
    if len(record.result.referring) > 1:
        named = "; ".join(f"{verdict.where}: {verdict.reason}" for verdict in record.result.referring)
        yield f"<p><b>Every referring view:</b> {_text(named)}</p>"
    facts = {
        "Exam": f"{summary.exam_id}, {when(summary, summary.opened_at)}",
        "Operator, station": ", ".join(filter(None, (summary.operator, summary.station))),
    }
    if infant is not None:
        age = infant.postmenstrual_age(summary.opened_at)
        facts |= {
            "Infant": f"{readable_name(infant.name)} ({infant.infant_id})",
            "Born": f"{infant.born} at {infant.gestational_age}, {infant.birth_weight_g} g",
            "Sex": SEX_WORDS[infant.sex],
            "Postmenstrual age": f"{age} on the day of the exam",
        }
    if order.accession:
        facts["Accession number"] = order.accession
    yield _facts(facts)


def _banner(verdict: Conclusion) -> str:
    where = f" ({verdict.where}: {verdict.reason})" if verdict.where and verdict.where not in verdict.banner else ""
    text = _text(verdict.banner + where)
    return f'<div class="banner {verdict.outcome.value}"><b>{word(verdict.outcome)}</b>{text}</div>'


def _eyes(journal: Journal, record: ExamRecord) -> Iterator[str]:
    for eye in Eye:
        verdict, name = record.result.eyes[eye], EYE_WORDS[eye]
        yield f"<h2>{name[0].upper()}{name[1:]}: {word(verdict.outcome)}</h2>"
        shown = {view: verdict for (of, view), verdict in record.result.views.items() if of is eye}
        only_excluded = {capture.view for capture in record.captures if capture.eye is eye} - shown.keys()
        shown |= dict.fromkeys(sorted(only_excluded, key=list(View).index), Conclusion(Outcome.NO_RESULT, EXCLUDED))
        figures = (_figure(journal, record, eye, view, verdict) for view, verdict in shown.items())
        yield f'<div class="views">{"".join(figures)}</div>'


def _figure(journal: Journal, record: ExamRecord, eye: Eye, view: View, verdict: Conclusion) -> str:
    """A view with the frame that gave its outcome."""
    frame = deciding(record, eye, view)
    pictures = None if frame is None else _pictures(journal, record.summary.exam_id, frame)
    shown = '<div class="empty">no picture</div>'
    if pictures is not None:
        alt = f"{EYE_WORDS[eye]}, {view.value}: {word(verdict.outcome)}"
        clean, lined = (f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for one in pictures)
        shown = (
            f'<div class="pair"><img alt="{_text(alt)}" src="{clean}">'
            f'<img alt="{_text(alt)}, with the vessels that were found" src="{lined}"></div>'
        )
    return (
        f'<figure>{shown}<figcaption><span class="tag {verdict.outcome.value}">{word(verdict.outcome)}</span>'
        f"<b>{view.value}</b><span>{_text(verdict.reason)}</span>"
        f"<span>{_text(frames_line(record, eye, view))}</span>"
        f"</figcaption></figure>"
    )


def _pictures(journal: Journal, exam_id: str, capture: CaptureRecord) -> tuple[bytes, bytes] | None:
    """The picture as it is, at a size to look at, and with the vessels."""
    if capture.image_sha256 is None:
        return None
    image = journal.image(capture.image_sha256)
    lined = draw_vessels(shrink(image, THUMBNAIL), journal.vessels(exam_id, capture.number))
    return encode(shrink(image, CLEAN), ".jpg"), encode(lined, ".jpg")


def _documented(record: ExamRecord) -> Iterator[str]:
    """What clinicians typed, as theirs."""
    if not record.documented:
        return
    yield "<h2>Documented by clinicians</h2>"
    for found in record.documented:
        words = EyeFindings.from_dict(found).words()
        at = when(record.summary, datetime.fromisoformat(found["at"]))
        yield f"<p>{_text(found['who'])}, {_text(at)}, {found['eye']}: {_text(words)}</p>"


def _identity(record: ExamRecord) -> Iterator[str]:
    rules, readings = record.rules, [capture.reading for capture in record.captures if capture.reading]
    engines = {", ".join(str(value) for value in reading["engine"].values() if value) for reading in readings}
    yield "<h2>How this was made</h2>"
    views = ", ".join(view.value for view in rules.required_views)
    yield _facts(
        {
            "Rules": f"threshold {rules.threshold:g} for {' + '.join(rules.refer_classes)}; required in each eye: "
            f"{views}; {rules.retakes} retakes",
            "Site profile": rules.site_profile_sha256 or "none",
            "Bundle": f"{rules.bundle.name} {rules.bundle.version}, SHA-256 {rules.bundle.sha256}",
            "Bundle's signature": ", ".join(sorted(set(map(_signature, readings)))) or "none",
            "Engine": "; ".join(sorted(engines)) or "none",
            "Software": rules.software,
            "Record": f"event {record.summary.changed_seq} of the journal",
        }
    )
    for change in record.changes:
        yield (
            f"<p>Changed {when(record.summary, change.at)} by {_text(change.who)}: {_text(change.what)}; "
            f"{_text(change.reason)}</p>"
        )
    yield f"<footer>{_text(rules.bundle.notice or AID_NOTICE)}</footer>"


def _signature(reading: Mapping[str, Any]) -> str:
    """Who stood for the bundle when this was read."""
    bundle = (reading.get("trust") or {}).get("bundle") or {}
    by = f" by {bundle['by']}" if bundle.get("by") else ""
    return f"{bundle.get('state', 'not stated')}{by}"


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd><bdi>{_text(value)}</bdi></dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _text(text: str) -> str:
    return escape(printable(text))
