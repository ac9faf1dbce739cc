"""Speeds, combinations and reports with chosen figures."""

from __future__ import annotations

from build_engines.report.schema import (
    ALL,
    REPORT_SCHEMA,
    AdoptionLimits,
    Combination,
    FrameGroup,
    MeasuredOn,
    ParityReport,
    Speed,
)
from runtime.manifest import Precision


def speed(network: str, precision: str, speed_up: float, fp32_ms: float = 40.0) -> Speed:
    return Speed.model_validate(
        {
            "network": network,
            "precision": precision,
            "median_ms": fp32_ms / speed_up,
            "speed_up": speed_up,
            "int8_layers": 22 if precision == "int8" else 0,
        }
    )


def speeds(segmentation: float, classifier: float, half: float = 1.0) -> list[Speed]:
    """Of both networks in every precision: `int8` as given, `fp16` as `half`."""
    ups = {"fp32": (1.0, 1.0), "fp16": (half, half), "int8": (segmentation, classifier)}
    return [
        speed(network, precision, pair[number])
        for number, network in enumerate(("segmentation", "classifier"))
        for precision, pair in ups.items()
    ]


def group(held_out: bool = True, dice: float | None = 0.7, auc: float | None = 0.9, same: float = 1.0) -> FrameGroup:
    return FrameGroup(
        dataset=ALL,
        device=ALL,
        judged=held_out,
        held_out=held_out,
        frames=40,
        dice=dice,
        dice_frames=0 if dice is None else 20,
        auc=auc,
        auc_frames=0 if auc is None else 30,
        largest_difference=0.01,
        p99_difference=0.01,
        same_outcomes=same,
    )


def combination(
    first: Precision, second: Precision, dice: float | None = 0.7, auc: float | None = 0.9, same: float = 1.0
) -> Combination:
    return Combination(
        segmentation=first,
        classifier=second,
        groups=(group(True, dice, auc, same), group(False, dice, auc, same)),
        vessels_error=0.01,
        logits_error=0.01,
    )


PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def all_alike() -> dict[tuple[Precision, Precision], Combination]:
    """Every combination, none of them worse than fp32."""
    return {(first, second): combination(first, second) for first in PRECISIONS for second in PRECISIONS}


def report(
    chosen: tuple[Precision, Precision] = ("int8", "fp32"), cpu_class: str | None = None, held_to: str | None = None
) -> ParityReport:
    return ParityReport(
        schema=REPORT_SCHEMA,
        created="2026-11-22",
        machine=MeasuredOn(
            processor="A processor",
            features=("avx2",),
            cores=2,
            half_precision="f32",
            openvino="2026.4",
            cpu_class=cpu_class,
            held_to=held_to,
        ),
        tolerance=AdoptionLimits(),
        truth="made up",
        speeds=tuple(speeds(2.0, 0.9)),
        combinations=tuple(all_alike().values()),
        chosen={"segmentation": chosen[0], "classifier": chosen[1]},
        reasons=("classifier int8: 0.90 x fp32, not faster here",),
    )
