"""`python -m build_engines CHECKPOINT|BUNDLE --out BUNDLE`: a bundle that the runtime opens, in several precisions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from build_engines.errors import BuildError, ParityError
from runtime.bundle import MANIFEST, open_bundle
from runtime.errors import ScreeningError
from runtime.manifest import PRECISIONS

if TYPE_CHECKING:
    from build_engines.bundle import BuiltBundle, LowPrecision


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build_engines",
        description="Build a bundle from a SegImgNet checkpoint, or lower precisions from the fp32 graphs of a bundle: "
        "export both networks, check the graphs against the checkpoint, quantize, hold every precision against fp32, "
        "write manifest and hashes. Other programs: report, sensitivity, and --target for TensorRT plans.",
        epilog="exit codes: 0 built; 1 graphs and checkpoint do not agree; 2 the call or the input is unusable",
    )
    parser.add_argument(
        "source",
        type=Path,
        metavar="CHECKPOINT|BUNDLE",
        help="state_dict with the published key names (.pkl, .pth, .pt), or a bundle whose fp32 graphs are kept",
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
    low = parser.add_argument_group("lower precisions")
    low.add_argument(
        "--precision", default="fp32", metavar="LIST", help="of fp32, fp16, int8, with commas (default: fp32 alone)"
    )
    low.add_argument("--calibration", type=Path, metavar="SET", help="for int8: python -m calibration create")
    low.add_argument(
        "--calibration-frames", type=int, default=64, metavar="N", help="how many of its frames (default: 64)"
    )
    low.add_argument(
        "--method",
        choices=("auto", "max", "entropy"),
        default="auto",
        help="how INT8 ranges are found (default: auto, for each network the one that stays nearer to fp32)",
    )
    low.add_argument(
        "--max-drop",
        type=float,
        metavar="X",
        help="keep blocks out of INT8, the worst first, until 1 - Dice against fp32's vessel map and the mean "
        "difference in probability are both within X on the set's frames",
    )
    low.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="labelled frames for the parity report: the folder of the public data sets, or a CSV file with image, and "
        "mask or refer (default: the simulated camera)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    from calibration import CalibrationError

    try:
        built = _build(arguments)
    except ParityError as error:
        print(error, file=sys.stderr)
        return 1
    except (BuildError, CalibrationError, ScreeningError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    _say(built)
    return 0


def _build(arguments: argparse.Namespace) -> BuiltBundle:
    precisions = _precisions(arguments)
    from build_engines.bundle import build_bundle, extend_bundle
    from build_engines.check_images import check_images

    low = _low(arguments, precisions) if precisions else None
    if arguments.source.is_dir():
        if low is None:
            raise BuildError(f"--precision: {arguments.source} is a bundle already; name fp16 or int8 to be added")
        bundle = open_bundle(arguments.source)
        return extend_bundle(bundle, arguments.out, check_images(None, arguments.check_count), low, _report)
    from build_engines.description import load_description, plain_description
    from build_engines.segimgnet.checkpoint import load_checkpoint

    network = load_checkpoint(arguments.source)
    beside = arguments.source.with_suffix(".json")
    if arguments.description or beside.is_file():
        description = load_description(arguments.description or beside)
    else:
        description = plain_description(arguments.source.stem, network.classes)
        print(f"no description (looked for {beside}): classes are numbered, all but class_0 refer", file=sys.stderr)
    return build_bundle(
        network,
        description,
        arguments.out,
        check_images(arguments.check_images, arguments.check_count),
        dynamic_batch=arguments.batch == "dynamic",
        low=low,
        report=_report,
    )


def _precisions(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The lower ones asked for; fp32 is always built. Everything that can be refused at once is."""
    asked = tuple(word.strip() for word in arguments.precision.split(","))
    unknown = [word for word in asked if word not in PRECISIONS]
    if unknown:
        raise BuildError(f"--precision: got {unknown[0]!r}, expected {', '.join(PRECISIONS)}, with commas between")
    for name in ("check_count", "calibration_frames"):
        if getattr(arguments, name) < 1:
            raise BuildError(f"--{name.replace('_', '-')}: got {getattr(arguments, name)}, expected 1 or more")
    if arguments.max_drop is not None and not 0 <= arguments.max_drop < 1:
        raise BuildError(f"--max-drop: got {arguments.max_drop:g}, expected 0 or more and less than 1")
    if "int8" in asked and arguments.calibration is None:
        raise BuildError("--precision int8: needs --calibration SET; make one: python -m calibration create")
    if arguments.source.is_dir() and not (arguments.source / MANIFEST).is_file():
        raise BuildError(f"{arguments.source}: a folder without {MANIFEST}; expected a checkpoint or a bundle")
    return tuple(word for word in PRECISIONS if word in asked and word != "fp32")


def _low(arguments: argparse.Namespace, precisions: tuple[str, ...]) -> LowPrecision:
    from build_engines.bundle import LowPrecision
    from build_engines.quantize import Settings
    from build_engines.report import report_frames
    from calibration import open_set

    method = None if arguments.method == "auto" else arguments.method
    settings = Settings(precisions, method, arguments.calibration_frames, arguments.max_drop)
    calibration = None if arguments.calibration is None else open_set(arguments.calibration)
    return LowPrecision(settings, calibration, report_frames(arguments.data))


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say(built: BuiltBundle) -> None:
    manifest = built.manifest
    size = sum(entry.size for entry in manifest.files)
    print(
        f"{built.path}: {manifest.name} {manifest.version}, {manifest.network.size}, "
        f"{len(manifest.files)} files, {size / 1e6:.1f} MB{f'; {built.parity}' if built.parity else ''}"
    )
    if built.report is not None:
        chosen = ", ".join(f"{network} {precision}" for network, precision in built.report.chosen.items())
        print(f"default on this CPU: {chosen}; see python -m build_engines report {built.path}")
