"""The parity report as a PNG: speed and agreement of each precision, figures by group."""

from __future__ import annotations

from collections.abc import Callable

from build_engines.report.schema import Combination, Group, ParityReport
from calibration.pictures.canvas import DEVICE_COLOURS, FAINT, PANEL, RULE, TEXT, Canvas
from runtime.arrays import UInt8Array
from runtime.manifest import NETWORKS

WIDTH, ROW, MARGIN = 1180, 24, 28
Cell = Callable[[Group, Group], str]
"""What stands in a table for a group, given fp32's."""
COLOURS = {"fp32": DEVICE_COLOURS[0], "fp16": DEVICE_COLOURS[2], "int8": DEVICE_COLOURS[1]}


def shown(report: ParityReport) -> tuple[Combination, ...]:
    """The combinations worth a column: one precision throughout, and the choice where it is mixed."""
    chosen = (report.chosen["segmentation"], report.chosen["classifier"])
    return tuple(
        found
        for found in report.combinations
        if found.segmentation == found.classifier or (found.segmentation, found.classifier) == chosen
    )


def title_of(combination: Combination) -> str:
    """`int8`, or `int8 + fp16` for segmentation and classifier."""
    first, second = combination.segmentation, combination.classifier
    return first if first == second else f"{first} + {second}"


def group_name(group: Group) -> str:
    """`hvdropdb_vessels, RetCam`; every group but the last is of held-out frames."""
    if group.dataset == group.device:
        return "all held out" if group.held_out else "every frame"
    return f"{group.dataset}, {group.device}" if group.device != "all" else group.dataset


def draw_report(report: ParityReport) -> UInt8Array:
    """RGB, uint8 [H, W, 3]."""
    columns = shown(report)
    groups = columns[0].groups
    height = 150 + len(report.speeds) * ROW + 3 * (90 + len(groups) * ROW)
    canvas = Canvas(WIDTH, height)
    canvas.text(MARGIN, 30, "Precisions against fp32", 24)
    features = ", ".join(report.machine.features) or "none of the listed instructions"
    words = f"{report.machine.processor}, {features}; fp16 is {report.machine.half_precision}"
    canvas.text(MARGIN, 58, words, 14, FAINT)
    top = _speeds(canvas, report, 84)
    top = _table(canvas, top, "Dice of vessels (difference from fp32)", columns, _dice)
    top = _table(canvas, top, "ROC AUC (difference from fp32)", columns, _auc)
    _table(canvas, top, "Probability: 99th percentile and largest |difference|; equal outcomes", columns, _agreement)
    return canvas.pixels()[: height - 10]


def _speeds(canvas: Canvas, report: ParityReport, top: int) -> int:
    left, longest = 300, max(speed.speed_up for speed in report.speeds)
    scale = 560 / max(longest, 1.2)
    canvas.box(MARGIN - 10, top - 8, WIDTH - MARGIN + 10, top + 12 + len(report.speeds) * ROW, PANEL)
    ordered = [speed for network in NETWORKS for speed in report.speeds if speed.network == network]
    for number, speed in enumerate(ordered):
        y = top + 12 + number * ROW
        mark = "  (default)" if report.chosen[speed.network] == speed.precision else ""
        canvas.text(MARGIN, y, f"{speed.network} {speed.precision}{mark}", 15)
        canvas.box(left, y - 8, left + scale * speed.speed_up, y + 8, COLOURS[speed.precision])
        layers = f", {speed.int8_layers} layers in 8 bits" if speed.precision == "int8" else ""
        words = f"{speed.speed_up:.2f} x, {speed.median_ms:.1f} ms{layers}"
        canvas.text(left + scale * speed.speed_up + 8, y, words, 14, FAINT)
    canvas.line([(left + scale, top - 4), (left + scale, top + 8 + len(ordered) * ROW)], TEXT)
    return top + len(ordered) * ROW + 40


def _table(canvas: Canvas, top: int, title: str, columns: tuple[Combination, ...], cell: Cell) -> int:
    rows = [group for group in range(len(columns[0].groups)) if _cell(cell, columns, 0, group)]
    if not rows:
        return top
    canvas.text(MARGIN, top, title, 17)
    wide = (WIDTH - 320 - MARGIN) / len(columns)
    for number, column in enumerate(columns):
        canvas.text(320 + wide * number, top + 26, title_of(column), 15, COLOURS[column.segmentation])
    canvas.line([(MARGIN, top + 40), (WIDTH - MARGIN, top + 40)], RULE)
    for line, group in enumerate(rows):
        y = top + 54 + line * ROW
        canvas.text(MARGIN, y, f"{group_name(columns[0].groups[group])} ({columns[0].groups[group].frames})", 14)
        for number in range(len(columns)):
            canvas.text(320 + wide * number, y, _cell(cell, columns, number, group), 14, FAINT if not number else TEXT)
    return top + 54 + len(rows) * ROW + 26


def _cell(cell: Cell, columns: tuple[Combination, ...], column: int, group: int) -> str:
    return cell(columns[column].groups[group], columns[0].groups[group])


def _dice(group: Group, fp32: Group) -> str:
    return _against(group.dice, fp32.dice)


def _auc(group: Group, fp32: Group) -> str:
    return _against(group.auc, fp32.auc)


def _against(value: float | None, reference: float | None) -> str:
    if value is None or reference is None:
        return ""
    return f"{value:.3f} ({value - reference:+.4f})"


def _agreement(group: Group, _: Group) -> str:
    return f"{group.p99_difference:.4f}, {group.largest_difference:.4f}; {group.same_outcomes:.1%}"
