"""`python -m build_engines.train`: train the demonstration networks on the public data sets, resumable."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from device.command_parser import CommandParser
from device.extras import missing
from device.streams import open_closed_streams
from device.version import add_version
from runtime.commands.ending import STOPPED, end_on_sigterm
from runtime.commands.say import aside


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m build_engines.train",
        description="Train SegImgNet: first the vessel segmentation, then, with it frozen, the classifier "
        "'ridge or demarcation line in view'. A stopped run goes on where it was when started again.",
    )
    add_version(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder with hvdropdb_vessels, hrf, ...")
    parser.add_argument("--out", type=Path, default=Path("runs/demonstration"), help="states and results go here")
    parser.add_argument("--size", default="edge", help="network size: edge or base (default: edge)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phase", choices=("all", "segmentation", "classification"), default="all")
    parser.add_argument("--segmentation-steps", type=int, help="optimizer steps of phase 1")
    parser.add_argument("--classification-steps", type=int, help="optimizer steps of phase 2")
    parser.add_argument(
        "--folds",
        type=int,
        default=0,
        help="cross-validate the classifier in so many folds; threshold and "
        "temperature then rest on it (default: 0, none)",
    )
    parser.add_argument(
        "--folds-read",
        type=int,
        default=0,
        metavar="N",
        help="train the first N of the folds only, where time is short (default: 0, all)",
    )
    parser.add_argument(
        "--curve",
        type=_shares,
        default=(),
        metavar="SHARES",
        help="learning curve of the classifier: shares of the training groups, such as 0.25,0.5,0.75",
    )
    parser.add_argument("--held-out", type=float, default=0.2, help="share of frame groups held out (default: 0.2)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    return parser


def _shares(text: str) -> tuple[float, ...]:
    shares = tuple(float(word) for word in text.split(","))
    if not all(0 < share <= 1 for share in shares):
        raise argparse.ArgumentTypeError(f"got {text}, expected shares over 0 and up to 1")
    return shares


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if absent := missing("build"):
        print(absent, file=sys.stderr)
        return 2
    # Large tensors come and go each step; glibc would hand each back to the kernel and fault it in again,
    # which costs a fifth of the time. The allocator reads these before the first allocation only.
    if os.environ.get("MALLOC_MMAP_MAX_") is None and argv is None and sys.platform == "linux":
        os.environ.update(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="100000000000")
        os.execv(sys.executable, [sys.executable, "-m", "build_engines.train", *sys.argv[1:]])

    if argv is None:  # as a program
        end_on_sigterm()
    import torch

    from build_engines.errors import BuildError
    from build_engines.segimgnet import SIZES
    from build_engines.train import settings
    from build_engines.train.run import TrainingPlan, train

    if arguments.size not in SIZES:
        print(f"--size {arguments.size}: no such size; expected one of {', '.join(SIZES)}", file=sys.stderr)
        return 2
    if arguments.folds not in (0, *range(2, 21)):
        print(f"--folds {arguments.folds}: expected 2 to 20, or 0 for none", file=sys.stderr)
        return 2
    if not 0 <= arguments.folds_read <= arguments.folds:
        print(f"--folds-read {arguments.folds_read}: expected 0 to the {arguments.folds} of --folds", file=sys.stderr)
        return 2
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    segmentation = replace(settings.SEGMENTATION, seed=arguments.seed)
    classification = replace(settings.CLASSIFICATION, seed=arguments.seed)
    if arguments.segmentation_steps:
        segmentation = replace(segmentation, steps=arguments.segmentation_steps)
    if arguments.classification_steps:
        classification = replace(classification, steps=arguments.classification_steps)
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"[{time.monotonic() - started:7.0f} s] {line}", flush=True)

    try:
        classifier = classification if arguments.phase != "segmentation" else None
        plan = TrainingPlan(
            SIZES[arguments.size],
            segmentation,
            classifier,
            arguments.held_out,
            arguments.folds,
            arguments.folds_read,
            arguments.curve,
        )
        train(arguments.data, arguments.out, plan, report)
    except BuildError as error:
        aside(error)
        return 2
    except KeyboardInterrupt:
        print("stopped; start again with the same options to go on", file=sys.stderr)
        return STOPPED
    return 0


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
