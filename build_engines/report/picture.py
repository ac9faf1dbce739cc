"""The parity report as a PNG: speed and agreement of each precision, figures by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from build_engines.report.choose import OPENVINO
from build_engines.report.schema import ALL, Combination, FrameGroup, ParityReport
from calibration.pictures.canvas import DEVICE_COLOURS, FAINT, PANEL, RULE, TEXT, Canvas
from runtime.arrays import UInt8Array
from runtime.manifest import NETWORKS

WIDTH, ROW, MARGIN = 1180, 24, 28
COLOURS = {"fp32": DEVICE_COLOURS[0], "fp16": DEVICE_COLOURS[2], "int8": DEVICE_COLOURS[1]}


@dataclass(frozen=True)
class _Table:
    title: str
    frames: Callable[[FrameGroup], int]
    """How many frames stand behind a group's figure; none leaves the group out."""
    cell: Callable[[FrameGroup, FrameGroup], str]
    """What is said of a group, given fp32's."""


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


def class_of(report: ParityReport) -> str:
    """` on a CPU of class amx`, ` by tensorrt on Orin`, or nothing where the class is not known."""
    if report.machine.backend != OPENVINO:
        return f" by {report.machine.backend} on {report.machine.processor}"
    return f" on a CPU of class {report.machine.cpu_class}" if report.machine.cpu_class else ""


def group_name(group: FrameGroup) -> str:
    """`hvdropdb_vessels, RetCam`; every group but the last is of judged frames."""
    if group.dataset == ALL:
        judged = "all held out" if group.held_out else "all judged"
        return judged if group.judged else "every frame"
    return group.dataset if group.device in (ALL, group.dataset) else f"{group.dataset}, {group.device}"


def draw_report(report: ParityReport) -> UInt8Array:
    """RGB, uint8 [H, W, 3]."""
    columns = shown(report)
    canvas = Canvas(WIDTH, 200 + len(report.speeds) * ROW + 3 * (100 + len(columns[0].groups) * ROW))
    canvas.text(MARGIN, 30, "Precisions against fp32", 24)
    features = ", ".join(report.machine.features) or "none of the listed instructions"
    words = f"{report.machine.processor}, {features}; fp16 is {report.machine.half_precision}"
    canvas.text(MARGIN, 58, words, 14, FAINT)
    bottom = _speeds(canvas, report, 84)
    for table in (DICE, AUC, AGREEMENT):
        bottom = _table(canvas, bottom, table, columns)
    return canvas.pixels()[:bottom]


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


def _table(canvas: Canvas, top: int, table: _Table, columns: tuple[Combination, ...]) -> int:
    """Draw below `top`, if any group has figures; gives where the next may begin."""
    rows = [number for number, group in enumerate(columns[0].groups) if table.frames(group)]
    if not rows:
        return top
    canvas.text(MARGIN, top, table.title, 17)
    wide = (WIDTH - 320 - MARGIN) / len(columns)
    for number, column in enumerate(columns):
        canvas.text(320 + wide * number, top + 26, title_of(column), 15, COLOURS[column.segmentation])
    canvas.line([(MARGIN, top + 40), (WIDTH - MARGIN, top + 40)], RULE)
    for line, row in enumerate(rows):
        y, fp32 = top + 54 + line * ROW, columns[0].groups[row]
        canvas.text(MARGIN, y, f"{group_name(fp32)} ({table.frames(fp32)})", 14)
        for number, column in enumerate(columns):
            words = table.cell(column.groups[row], fp32)
            canvas.text(320 + wide * number, y, words, 14, TEXT if number else FAINT)
    return top + 54 + len(rows) * ROW + 26


def _against(value: float | None, reference: float | None) -> str:
    return "" if value is None or reference is None else f"{value:.3f} ({value - reference:+.4f})"


def _agreement(group: FrameGroup, _: FrameGroup) -> str:
    return f"{group.p99_difference:.4f}, {group.largest_difference:.4f}; {group.same_outcomes:.1%}"


DICE = _Table(
    "Dice of vessels (difference from fp32), frames with a mask",
    lambda group: group.dice_frames if group.judged else 0,
    lambda group, fp32: _against(group.dice, fp32.dice),
)
AUC = _Table(
    "ROC AUC (difference from fp32), frames with a label",
    lambda group: group.auc_frames if group.judged and group.auc is not None else 0,
    lambda group, fp32: _against(group.auc, fp32.auc),
)
AGREEMENT = _Table(
    "Probability: 99th percentile and largest |difference|; equal outcomes", lambda group: group.frames, _agreement
)
