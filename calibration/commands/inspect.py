"""`python -m calibration inspect`: the statistics of a set as a table, its frames and features as pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runtime.commands.text import printable

if TYPE_CHECKING:
    from calibration.facts import SetFacts

MONTAGE, HISTOGRAMS = "montage.png", "histograms.png"


def add_parser(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this word to the command line."""
    parser = words.add_parser(
        "inspect",
        help="check and describe a set",
        description=f"Check a calibration set, print its statistics, and write {MONTAGE} and {HISTOGRAMS}.",
        epilog="exit codes: 0 the set is whole; 2 it is not, or the pictures cannot be written",
        allow_abbrev=False,
    )
    parser.add_argument("set", type=Path, metavar="SET")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the pictures (default: SET/report)")
    parser.add_argument("--json", action="store_true", help="the statistics as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Describe the set; the exit code."""
    from calibration.opened import open_set
    from calibration.pictures import draw_histograms, draw_montage
    from device.outputs import PUBLIC
    from runtime.sinks.files import prepare_folder, write_file
    from runtime.sinks.picture import encode

    opened = open_set(arguments.set)
    out = arguments.out or arguments.set / "report"
    prepare_folder(out)
    write_file(out / MONTAGE, encode(draw_montage(opened.facts, opened.frames()), ".png"), PUBLIC)
    write_file(out / HISTOGRAMS, encode(draw_histograms(opened.facts), ".png"), PUBLIC)
    pictures = [str(out / MONTAGE), str(out / HISTOGRAMS)]
    if arguments.json:
        # All but the parts that are as long as the set.
        facts = opened.facts.model_dump(mode="json", by_alias=True, exclude={"frames": True, "population": True})
        population = {"frames": opened.facts.population.frames, "devices": opened.facts.population.devices}
        whole = {**facts, "frames": len(opened.facts.frames), "population": population, "pictures": pictures}
        print(json.dumps(whole))
        return 0
    print_facts(opened.facts, str(arguments.set), sys.stdout)
    print(f"written: {', '.join(pictures)}")
    return 0


def print_facts(facts: SetFacts, name: str, stream: TextIO) -> None:
    """Print what a set says of itself, for people."""
    from rich.text import Text

    from calibration.facts import FEATURES
    from runtime.commands.table import console_for, print_table

    console = console_for(stream)
    devices = ", ".join(f"{number} {device}" for device, number in facts.devices.items())
    sources = ", ".join(f"{source.frames} from {source.kind}" for source in facts.sources)
    refused = ", ".join(f"{refusal.frames} {refusal.reason}" for refusal in facts.refused) or "none"
    kept_out = ", ".join(f"{e.frames} frames ({e.rule}, table {e.table_sha256[:12]})" for e in facts.exclusions)
    used = facts.bundle
    head = [
        f"{name}: {len(facts.frames)} frames of {facts.population.frames} usable ones, made {facts.created}",
        f"sha256   {facts.sha256}",
        f"devices  {devices}",
        f"sources  {sources}; refused: {refused}",
        f"kept out {kept_out or 'nothing was asked to be'}",
        f"bundle   {used.name} {used.version}, {used.sha256[:12]}, {used.engine}",
        f"choice   k-center, seed {facts.seed}; every usable frame within {facts.covering_distance:.2f} standard "
        f"deviations of a chosen one",
    ]
    for line in head:
        console.print(Text(printable(line)))
    rows = []
    for name in FEATURES:
        of, usable = facts.statistics[name], facts.population.features[name]
        values = (of.mean, of.std, of.min, of.p5, of.median, of.p95, of.max, sum(usable) / len(usable))
        rows.append((name, *(f"{value:.4g}" for value in values)))
    print_table(console, ("feature", "mean", "std", "min", "p5", "median", "p95", "max", "usable: mean"), rows)
