"""`python -m build_engines CHECKPOINT --out BUNDLE`: from a trained checkpoint to a bundle that the runtime opens."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from build_engines.errors import BuildError, ParityError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build_engines",
        description="Build a bundle from a SegImgNet checkpoint: export both networks, check the graphs against the "
        "checkpoint, write manifest and hashes.",
        epilog="exit codes: 0 built; 1 graphs and checkpoint do not agree; 2 the call or the input is unusable",
    )
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="state_dict with the published key names (.pkl, .pth, .pt)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write or to replace")
    parser.add_argument(
        "--description",
        type=Path,
        metavar="JSON",
        help="classes, threshold, intended use, data and figures (default: the file beside the checkpoint with the "
        "suffix .json; without one, numbered classes)",
    )
    parser.add_argument(
        "--check-images",
        type=Path,
        metavar="DIR",
        help="pictures on which graphs and checkpoint must agree (default: frames of the simulated camera)",
    )
    parser.add_argument("--check-count", type=int, default=8, metavar="N", help="how many of them (default: 8)")
    parser.add_argument(
        "--batch", choices=("1", "dynamic"), default="1", help="batch of the graphs (default: 1, the fastest on a cart)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.check_count < 1:
        print(f"--check-count: got {arguments.check_count}, expected 1 or more", file=sys.stderr)
        return 2
    try:
        return _build(arguments)
    except ParityError as error:
        print(error, file=sys.stderr)
        return 1
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _build(arguments: argparse.Namespace) -> int:
    from build_engines.bundle import build_bundle
    from build_engines.check_images import check_images
    from build_engines.description import load_description, plain_description
    from build_engines.segimgnet.checkpoint import load_checkpoint

    network = load_checkpoint(arguments.checkpoint)
    beside = arguments.checkpoint.with_suffix(".json")
    if arguments.description or beside.is_file():
        description = load_description(arguments.description or beside)
    else:
        description = plain_description(arguments.checkpoint.stem, network.classes)
        print(f"no description (looked for {beside}): classes are numbered, all but class_0 refer", file=sys.stderr)
    built = build_bundle(
        network,
        description,
        arguments.out,
        check_images(arguments.check_images, arguments.check_count),
        dynamic_batch=arguments.batch == "dynamic",
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    size = sum(entry.size for entry in built.manifest.files)
    print(
        f"{built.path}: {built.manifest.name} {built.manifest.version}, {network.size.name}, "
        f"{len(built.manifest.files)} files, {size / 1e6:.1f} MB; {built.parity}"
    )
    return 0
