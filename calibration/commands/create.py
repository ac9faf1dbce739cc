"""`python -m calibration create`: choose frames and write a set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.arguments import add_source_options, count, seed, share
from calibration.commands.progress import GatherLine

if TYPE_CHECKING:
    from calibration.opened import CalibrationSet

EXAMPLES = """\
examples:
  python -m calibration create photos/ --out calibration-set --exclude test/labels.csv
  python -m calibration create data/infants/images --test-split data/infants/labels.csv --out calibration-set
  python -m calibration create visit-17 --pictures incoming/ --out calibration-set --count 64
  python -m calibration create sim:device=neo,frames_per_eye=1 --frames 300 --out calibration-set

exit codes: 0 done; 2 the call or the input is unusable, nothing was written
"""


def add_parser(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this word to the command line."""
    parser = words.add_parser(
        "create",
        help="choose frames and write a set",
        description="Choose a calibration set: frames that pass the quality gate, no two alike, none of a test split, "
        "spread over brightness, colour, sharpness, vessel density and device.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="picture, folder, video, sim:, or an output folder of runtime.screen (its gradable readings)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="SET", help="folder to write, or a set to replace")
    parser.add_argument("--count", type=count, default=128, metavar="N", help="how many frames (default: 128)")
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="of the choice (default: 1)")
    add_source_options(parser)
    keep = parser.add_argument_group("frames that never enter, nor any that share their group or look like them")
    keep.add_argument(
        "--exclude", type=Path, action="append", default=[], metavar="CSV", help="all that a labels.csv lists"
    )
    keep.add_argument(
        "--test-split",
        type=Path,
        action="append",
        default=[],
        metavar="CSV",
        help="those of a labels.csv that build_engines.train holds out (by frame group)",
    )
    keep.add_argument(
        "--held-out", type=share, default=0.2, metavar="SHARE", help="the share held out (default: 0.2, as in training)"
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the set; the exit code."""
    from calibration.create import create_set
    from calibration.keep_out import KeepOut
    from calibration.sources import Sources
    from runtime.bundle import open_bundle

    sources = Sources(tuple(arguments.images), tuple(arguments.pictures), arguments.device, arguments.frames)
    with GatherLine() as progress:
        made = create_set(
            sources,
            arguments.out,
            count=arguments.count,
            seed=arguments.seed,
            bundle=open_bundle(arguments.bundle),
            keep_out=KeepOut(tuple(arguments.exclude), tuple(arguments.test_split), arguments.held_out),
            progress=progress,
        )
    print(json.dumps(_result(made)) if arguments.json else "\n".join(_lines(made)))
    return 0


def _result(made: CalibrationSet) -> dict[str, object]:
    facts = made.facts
    return {
        "set": str(made.path),
        "sha256": made.sha256,
        "frames": len(facts.frames),
        "usable": facts.population.frames,
        "devices": facts.devices,
        "refused": {refusal.reason: refusal.frames for refusal in facts.refused},
        "covering_distance": facts.covering_distance,
    }


def _lines(made: CalibrationSet) -> list[str]:
    facts = made.facts
    devices = ", ".join(f"{number} {device}" for device, number in facts.devices.items())
    refused = ", ".join(f"{refusal.frames} {refusal.reason}" for refusal in facts.refused) or "none"
    return [
        f"{made.path}: {len(facts.frames)} frames of {facts.population.frames} usable ones ({devices})",
        f"refused: {refused}",
        f"no usable frame is farther than {facts.covering_distance:.2f} standard deviations from a chosen one",
        f"sha256 {made.sha256}",
    ]
