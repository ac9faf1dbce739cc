"""The parity report as tables for a terminal."""

from __future__ import annotations

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table

from build_engines.report.choose import agreement
from build_engines.report.picture import class_of, group_name, shown, title_of
from build_engines.report.schema import ParityReport


def render(report: ParityReport) -> RenderableType:
    """Speeds, figures by group, the choice and its reasons."""
    features = ", ".join(report.machine.features) or "none of the listed instructions"
    return Lines(
        f"{report.machine.processor}, {report.machine.cores} cores, {features}; OpenVINO {report.machine.openvino}, "
        f"fp16 runs in {report.machine.half_precision}; {report.created}",
        report.truth,
        *(_speeds(found) for found in (report, *report.others)),
        _figures(report),
        *(line for found in (report, *report.others) for line in _choice(found)),
    )


def _choice(report: ParityReport) -> list[str]:
    chosen = ", ".join(f"{network} {precision}" for network, precision in report.chosen.items())
    figures = report.combination(report.chosen["segmentation"], report.chosen["classifier"]).every
    return [
        f"default{class_of(report)}: {chosen}; {agreement(figures, report.tolerance)}",
        *(f"not taken{class_of(report)}: {reason}" for reason in report.reasons),
    ]


def _speeds(report: ParityReport) -> Table:
    held = f" with OpenVINO held to {report.machine.held_to}" if report.machine.held_to else ""
    title = f"{report.machine.processor}{held}"
    table = Table("network", "precision", "median ms", "speed-up", "layers in 8 bits", title=title)
    for speed in report.speeds:
        layers = str(speed.int8_layers) if speed.precision == "int8" else ""
        table.add_row(speed.network, speed.precision, f"{speed.median_ms:.1f}", f"{speed.speed_up:.2f}", layers)
    return table


def _figures(report: ParityReport) -> Table:
    table = Table("precision", "frames of", "frames", "Dice", "AUC", "p99 |dp|", "largest", "equal outcomes")
    for combination in shown(report):
        for number, group in enumerate(combination.groups):
            table.add_row(
                "" if number else title_of(combination),
                group_name(group),
                str(group.frames),
                "" if group.dice is None else f"{group.dice:.4f}",
                "" if group.auc is None else f"{group.auc:.4f}",
                f"{group.p99_difference:.5f}",
                f"{group.largest_difference:.5f}",
                f"{group.same_outcomes:.1%}",
                end_section=number == len(combination.groups) - 1,
            )
    return table
