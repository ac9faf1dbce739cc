"""`python -m calibration compare`: how far two sets, or a set and a cart's frames, have drifted apart."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from calibration.commands.arguments import add_source_options, seed
from calibration.commands.progress import GatherLine
from runtime.commands.text import printable

if TYPE_CHECKING:
    from calibration.compare import Drift, Side

SMALLEST_KS, SIGNIFICANCE = 0.2, 0.01
"""As `calibration.drift` has them; a test holds both together."""


def add_parser(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this word to the command line."""
    parser = words.add_parser(
        "compare",
        help="tell how far two sets, or a set and a cart's frames, have drifted apart",
        description="Compare two sets, or a set with frames, feature by feature: Kolmogorov-Smirnov distance with a "
        f"permutation test, and standardised mean difference. Drifted: a distance of {SMALLEST_KS:g} or more that "
        f"chance would not give (p at most {SIGNIFICANCE:g} over all features together). Of a set all frames that it "
        "was chosen from are compared, as the chosen ones are spread on purpose.",
        epilog="exit codes: 0 alike; 1 drifted; 2 the two cannot be compared",
        allow_abbrev=False,
    )
    parser.add_argument("a", metavar="A", help="set, or a source of frames as in `create`")
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="of the permutations (default: 1)")
    add_source_options(parser)
    parser.add_argument("--json", action="store_true", help="the comparison as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare; the exit code."""
    from calibration.compare import compare
    from calibration.sources import Sources
    from runtime.bundle import open_bundle

    with GatherLine() as progress:
        drift = compare(
            arguments.a,
            arguments.b,
            sources=Sources((), tuple(arguments.pictures), arguments.device, arguments.frames),
            bundle=open_bundle(arguments.bundle),
            seed=arguments.seed,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(_result(drift)))
    else:
        print_drift(drift, sys.stdout)
    return 1 if drift.drifted else 0


def _result(drift: Drift) -> dict[str, object]:
    def side(of: Side) -> dict[str, object]:
        return {"name": of.name, "frames": of.frames, "devices": dict(of.devices)}

    return {
        "verdict": "drifted" if drift.drifted else "alike",
        "drifted": list(drift.drifted),
        "a": side(drift.a),
        "b": side(drift.b),
        "features": [asdict(feature) for feature in drift.features],
    }


def print_drift(drift: Drift, stream: TextIO) -> None:
    """Print a comparison for people."""
    from rich.text import Text

    from runtime.commands.table import console_for, print_table

    console = console_for(stream)
    for letter, side in (("A", drift.a), ("B", drift.b)):
        devices = ", ".join(f"{number} {device}" for device, number in side.devices.items())
        console.print(Text(printable(f"{letter}  {side.name}: {side.frames} usable frames ({devices})")))
    rows, styles = [], []
    for f in drift.features:
        p = "< 0.003" if f.p_value < 0.003 else f"{f.p_value:.3f}"
        figures = (f"{f.mean_a:.4g}", f"{f.mean_b:.4g}", f"{f.smd:+.2f}", f"{f.ks:.2f}", f"{f.ks_limit:.2f}", p)
        rows.append((f.name, *figures, "drifted" if f.drifted else "alike"))
        styles.append("bold red" if f.drifted else "")
    heads = ("feature", "mean A", "mean B", "difference, std", "KS", "drift from", "p", "result")
    print_table(console, heads, rows, left=("result",), styles=styles)
    console.print(Text(printable(_verdict(drift)), style="bold red" if drift.drifted else "bold green"))


def _verdict(drift: Drift) -> str:
    if not drift.drifted:
        return "ALIKE"
    return f"DRIFTED: {', '.join(drift.drifted)}; look at both with `inspect`, and create a set from today's frames"
