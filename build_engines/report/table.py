"""The parity report as tables for people."""

from __future__ import annotations

from typing import TextIO

from build_engines.report.choose import agreement
from build_engines.report.picture import class_of, group_name, shown, title_of
from build_engines.report.schema import ParityReport
from runtime.commands.table import console_for, print_table
from runtime.commands.text import printable

SPEEDS = ("network", "precision", "median ms", "speed-up", "layers in 8 bits")
FIGURES = ("precision", "frames of", "frames", "Dice", "AUC", "p99 |dp|", "largest", "equal outcomes")


def print_parity(report: ParityReport, stream: TextIO) -> None:
    """Speeds, figures by group, the choice and its reasons."""
    console, machine = console_for(stream), report.machine
    features = ", ".join(machine.features) or "none of the listed instructions"
    head = (
        f"{machine.processor}, {machine.cores} cores, {features}; OpenVINO {machine.openvino}, "
        f"fp16 runs in {machine.half_precision}; {report.created}"
    )
    console.print(printable(head))
    console.print(printable(report.truth))
    for found in (report, *report.others):
        held = f" with OpenVINO held to {found.machine.held_to}" if found.machine.held_to else ""
        title = printable(f"{found.machine.processor}{held}")
        print_table(console, SPEEDS, _speeds(found), left=("precision",), title=title)
    print_table(console, FIGURES, _figures(report), left=("frames of",))
    for found in (report, *report.others):
        for line in _choice(found):
            console.print(printable(line))


def _choice(report: ParityReport) -> list[str]:
    chosen = ", ".join(f"{network} {precision}" for network, precision in report.chosen.items())
    figures = report.combination(report.chosen["segmentation"], report.chosen["classifier"]).every
    return [
        f"default{class_of(report)}: {chosen}; {agreement(figures, report.tolerance)}",
        *(f"not taken{class_of(report)}: {reason}" for reason in report.reasons),
    ]


def _speeds(report: ParityReport) -> list[tuple[str, ...]]:
    return [
        (
            speed.network,
            speed.precision,
            f"{speed.median_ms:.1f}",
            f"{speed.speed_up:.2f}",
            str(speed.int8_layers) if speed.precision == "int8" else "",
        )
        for speed in report.speeds
    ]


def _figures(report: ParityReport) -> list[tuple[str, ...]]:
    return [
        (
            title_of(combination),
            printable(group_name(group)),
            str(group.frames),
            "" if group.dice is None else f"{group.dice:.4f}",
            "" if group.auc is None else f"{group.auc:.4f}",
            f"{group.p99_difference:.5f}",
            f"{group.largest_difference:.5f}",
            f"{group.same_outcomes:.1%}",
        )
        for combination in shown(report)
        for group in combination.groups
    ]
