"""The charts of an evaluation, by matplotlib: ROC with its band, reliability, net benefit; one SVG a reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from build_engines.evaluate.result import ReaderResult
from build_engines.evaluate.statistics.roc import GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"frame": "#4477aa", "eye": "#228833", "infant": "#aa3377"}
"""Told apart by people who do not see red and green apart (P. Tol)."""


def draw(result: ReaderResult, path: Path) -> None:
    """Write the reader's charts as SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(
        {
            "axes.spines.right": False,
            "axes.spines.top": False,
            "font.size": 9,
            "svg.fonttype": "none",
            "svg.hashsalt": "rop",
        }
    ):
        figure, (roc, reliability, decision) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
        _roc(roc, result)
        _reliability(reliability, result)
        _decision(decision, result)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _roc(axes: Axes, result: ReaderResult) -> None:
    for level in result.levels:
        curve, colour = level.roc, COLOURS[level.level]
        if curve.area is None:
            continue
        name = f"{level.level}: {curve.area[0]:.3f} [{curve.area[1]:.3f}, {curve.area[2]:.3f}]"
        axes.plot(curve.false_positive_rate, curve.sensitivity, color=colour, label=name)
        axes.fill_between(GRID, curve.band_low, curve.band_high, color=colour, alpha=0.12, linewidth=0)
        deployed = level.points[0].accuracy
        if deployed and deployed.sensitivity.value is not None and deployed.specificity.value is not None:
            axes.plot(1 - deployed.specificity.value, deployed.sensitivity.value, "o", color=colour)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC, answered; dots: as deployed", aspect="equal")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title="area [95 %]", loc="lower right", frameon=False)


def _reliability(axes: Axes, result: ReaderResult) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    found = result.calibration
    if found:
        for part in found.bins:
            of = part.observed
            if of.range is None:
                continue
            axes.plot([part.stated] * 2, of.range[1:], color="0.6", linewidth=1)
            axes.plot(part.stated, of.range[0], "o", color=COLOURS["frame"], markersize=3 + min(6, of.of**0.3))
    title = "Reliability" if not found else f"Reliability, frames; expected error {found.expected_error:.3f}"
    axes.set(
        xlabel="stated probability", ylabel="observed share", title=title, xlim=(0, 1), ylim=(0, 1), aspect="equal"
    )


def _decision(axes: Axes, result: ReaderResult) -> None:
    lowest = 0.0
    for level in result.levels:
        found = level.decision
        if found is None:
            continue
        axes.plot(found.thresholds, found.reader, color=COLOURS[level.level], label=level.level)
        if level is result.levels[-1]:
            axes.plot(
                found.thresholds, found.everybody, color="0.5", linestyle="--", label=f"refer every {level.level}"
            )
        lowest = max(lowest, found.prevalence)
    axes.axhline(0, color="0.7", linewidth=0.8, label="refer none")
    axes.set(xlabel="threshold probability", ylabel="net benefit", title="Decision curve", xlim=(0, 1))
    axes.set_ylim(-0.05 - 0.2 * lowest, max(0.1, 1.15 * lowest))
    axes.legend(frameon=False)
