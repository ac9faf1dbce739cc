"""An evaluation as Markdown, and as a page of HTML made from it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from build_engines.evaluate.result import (
    Accuracy,
    Evaluation,
    Failure,
    Flip,
    Group,
    Level,
    PairedComparison,
    ReaderResult,
)
from build_engines.markdown import escape
from device.shown import printable
from runtime.outcome import AID_NOTICE, Outcome
from runtime.shares import Range, Share

OWN = " (of this table, of no population)"
CAPTIONS = {"missed": "Missed", "no answer": "No answer", "false alarm": "False alarms"}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ddd; padding: .25rem .7rem; text-align: left }
th { background: #f4f4f4 } img { max-width: 100% } td img { width: 220px }
blockquote { border-left: 4px solid #b00; margin: 1rem 0; padding: .2rem 1rem; background: #fdf3f3 }
"""


def markdown(found: Evaluation) -> str:
    """The whole as Markdown."""
    data = found.data
    infants = "" if data.infants is None else f", {data.infants} infants"
    eyes = "" if data.eyes is None else f", {data.eyes} eyes"
    lines = [
        f"# Evaluation on {escape(data.name)}",
        "",
        f"**{AID_NOTICE}** Made {found.created} on {escape(found.machine)}. {data.frames} frames{eyes}{infants}; "
        f"{data.positives} frames are positive. Table SHA-256 `{data.sha256}`.",
        "",
        "No frame is left out: RETAKE and NO_RESULT count against the reader (as a missed finding where the truth is "
        "positive, as a false alarm where it is not), unless a column says `answered`. Intervals are 95 %. Shares have "
        f"Wilson's interval, over several units of an infant at their effective number; areas a score "
        "interval by the spread between infants; bands of curves are of "
        f"{found.draws} draws of infants. Independent unit: {escape(data.unit_of_independence)}.",
        "",
        *(line for warning in found.warnings for line in (f"> {escape(warning)}", "")),
        *(line for pair in found.comparisons for line in _comparison(pair)),
        *(line for number, reader in enumerate(found.readers, 1) for line in _reader(reader, number)),
        *_overlaps(found),
    ]
    return "\n".join(lines) + "\n"


def page(found: Evaluation) -> str:
    """The same as HTML; charts and pictures lie beside it."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown(found))
    title = html.escape(printable(f"Evaluation on {found.data.name}"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>\n{body}</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, and an empty line; nothing where there are no rows."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""] if body else []


def of(found: Share) -> str:
    """`0.923 [0.81, 0.97], 36 of 39`."""
    return "none" if found.range is None else f"{span(found.range)}, {found.count} of {found.of}"


def span(found: Range | None) -> str:
    """`0.945 [0.865, 0.981]`."""
    return "none" if found is None else f"{found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}]"


def _accuracy(found: Accuracy) -> list[str]:
    return [
        of(part)
        for part in (
            found.sensitivity,
            found.specificity,
            found.sensitivity_answered,
            found.specificity_answered,
        )
    ]


ACCURACY = ("sensitivity", "specificity", "sensitivity, answered", "specificity, answered")


def _reader(reader: ReaderResult, number: int) -> list[str]:
    engine = reader.engine
    return [
        f"## {escape(reader.reader)}",
        "",
        f"Bundle {escape(reader.bundle['name'])} {escape(reader.bundle['version'])}, manifest SHA-256 "
        f"`{reader.bundle['sha256']}`; {escape(engine['backend'])}, {escape(engine['precision'])}, "
        f"{escape(engine['device'])}. Threshold of the bundle: {reader.deployed_threshold:g}.",
        "",
        f"![Charts of {escape(reader.reader)}](charts/{number}.svg)",
        "",
        "### As deployed",
        "",
        *table(
            ("by", "units", "no answer", *ACCURACY, "ROC area, answered", "ROC area, no answer against"),
            (
                [
                    level.level,
                    str(level.whole.units),
                    of(level.whole.flow.no_answer),
                    *_accuracy(level.whole.deployed),
                    span(level.roc.area),
                    span(level.roc.area_against),
                ]
                for level in reader.levels
            ),
        ),
        "### Flow",
        "",
        *table(
            ("by", "truth", *(outcome.value for outcome in Outcome)),
            (
                [level.level, truth, *(str(flow[outcome.value]) for outcome in Outcome)]
                for level in reader.levels
                for truth, flow in (
                    ("positive", level.whole.flow.positives),
                    ("negative", level.whole.flow.negatives),
                )
            ),
        ),
        "### Operating points",
        "",
        *table(
            (
                "by",
                "point",
                "threshold",
                "chosen on",
                *ACCURACY[:2],
                "at prevalence",
                "predictive, positive",
                "negative",
            ),
            (row for level in reader.levels for row in _points(level)),
        ),
        *_calibration(reader),
        *_groups(reader.groups),
        *_failures(reader.failures),
    ]


POINTS = ("by", "point", "threshold", "chosen on", *ACCURACY[:2], "at prevalence", "predictive, positive", "negative")


def _points(level: Level) -> Iterable[list[str]]:
    for point in level.points:
        threshold = "none" if point.threshold is None else f"{point.threshold:.4f}"
        threshold = "as read" if point.name == "deployed" else threshold
        start = [level.level, escape(point.name), threshold, escape(point.chosen_on)]
        if point.accuracy is None:
            yield [*start, "not reached", "not reached", "", "", ""]
            continue
        start += _accuracy(point.accuracy)[:2]
        if not point.predictive:
            yield [*start, "", "", ""]
        for found in point.predictive:
            words = f"{found.prevalence:.3g}{'' if found.stated else OWN}"
            yield [*start, words, span(found.positive), span(found.negative)]


def _calibration(reader: ReaderResult) -> list[str]:
    found = reader.calibration
    if found is None:
        return []
    return [
        "### Do the probabilities mean what they say",
        "",
        f"{found.frames} frames with an answer: Brier score {found.brier:.4f}, expected error "
        f"{found.expected_error:.4f}.",
        "",
        *table(
            ("stated, mean of the bin", "observed"), ([f"{part.stated:.3f}", of(part.observed)] for part in found.bins)
        ),
    ]


def _groups(groups: Sequence[Group]) -> list[str]:
    if not groups:
        return [
            "### By group",
            "",
            "No column to part the table by (device, site, gestational_age, or --by).",
            "",
        ]
    return [
        "### By group",
        "",
        *table(
            ("column", "value", "by", "units", "infants", "no answer", *ACCURACY[:2], "ROC area, answered"),
            (
                [
                    escape(group.column),
                    escape(group.value),
                    group.level,
                    str(group.units),
                    "" if group.infants is None else str(group.infants),
                    of(group.flow.no_answer),
                    *_accuracy(group.deployed)[:2],
                    span(group.area),
                ]
                for group in groups
            ),
        ),
    ]


def _failures(failures: Sequence[Failure]) -> list[str]:
    lines = ["### Failures by frame", ""]
    if not failures:
        return [*lines, "None.", ""]
    for kind, caption in CAPTIONS.items():
        these = [failure for failure in failures if failure.kind == kind]
        if these:
            lines += [f"{caption}: {len(these)}", ""]
            lines += table(
                ("picture", "file", "truth", "outcome", "reason", "score"),
                (
                    [
                        _picture(failure.picture),
                        escape(failure.image),
                        "positive" if failure.refer else "negative",
                        escape(failure.outcome),
                        escape(failure.reason),
                        _score(failure.score),
                    ]
                    for failure in these
                ),
            )
    return lines


def _comparison(pair: PairedComparison) -> list[str]:
    return [
        f"## {escape(pair.first)} against {escape(pair.second)}",
        "",
        *table(
            (
                "by",
                "units",
                "same outcome",
                "flips",
                "right: first alone, second alone",
                "McNemar p",
                "by infant",
                "verdict",
            ),
            (
                [
                    level.level,
                    str(level.units),
                    of(level.same_outcomes),
                    escape(", ".join(f"{count} {kind}" for kind, count in level.flips.items()) or "none"),
                    f"{level.right_only_first}, {level.right_only_second}",
                    f"{level.p:.4g}",
                    f"{level.p_by_infant:.4g}",
                    escape(level.verdict),
                ]
                for level in pair.levels
            ),
        ),
        *table(
            ("picture", "what", "file", "truth", escape(pair.first), escape(pair.second)),
            (_flip(flip) for flip in pair.flips),
        ),
    ]


def _flip(flip: Flip) -> list[str]:
    return [
        _picture(flip.picture),
        flip.kind,
        escape(flip.image),
        "positive" if flip.refer else "negative",
        escape(f"{flip.first} {_score(flip.first_score)}"),
        escape(f"{flip.second} {_score(flip.second_score)}"),
    ]


def _overlaps(found: Evaluation) -> list[str]:
    lines = ["## Seen before", ""]
    for each in found.overlaps:
        lines += [
            f"Against {escape(each.of)} ({each.frames} frames): {len(each.by_hash)} by hash, {len(each.by_look)} by "
            f"look, {len(each.by_path)} by path, {len(each.infants)} infants in "
            f"both{', the same file' if each.same_file else ''}.",
            "",
        ]
        lines += [f"- {escape(name)}" for name in (*each.by_hash, *each.by_look, *each.by_path)]
        lines += [f"- infant {escape(code)}" for code in each.infants]
        lines.append("")
    lines += [f"- Not checked: {escape(words)}." for words in found.not_checked]
    lines += [f"- {escape(later)} is {escape(first)} again." for later, first in found.twins]
    copies = () if found.alike is None else found.alike.copies
    lines += [f"- {escape(later)} looks like {escape(first)}." for later, first in copies]
    return lines


def _picture(name: str | None) -> str:
    return f"![]({name})" if name else "not drawn"


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"
