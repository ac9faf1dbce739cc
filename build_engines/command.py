"""`python -m build_engines CHECKPOINT|BUNDLE --out BUNDLE`: a bundle that the runtime opens, in several precisions."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from build_engines.arguments import build_parser
from build_engines.errors import BuildError, ParityError
from runtime.bundle import MANIFEST, open_bundle
from runtime.commands.say import aside
from runtime.errors import ScreeningError
from runtime.manifest import PRECISIONS

if TYPE_CHECKING:
    from build_engines.bundle import BuiltBundle, LowPrecision


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(build_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    from calibration import CalibrationError

    try:
        built = _build(arguments)
    except ParityError as error:
        aside(error)
        return 1
    except (BuildError, CalibrationError, ScreeningError, OSError) as error:
        aside(error)
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

    aside(f"reading {arguments.source}")
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
    if arguments.held_out and arguments.data is None:
        raise BuildError("--held-out: is said of the frames of --data CSV; name them")
    if arguments.max_drop is not None and not 0 <= arguments.max_drop < 1:
        raise BuildError(f"--max-drop: got {arguments.max_drop:g}, expected 0 or more and less than 1")
    if "int8" in asked and arguments.calibration is None:
        raise BuildError("--precision int8: needs --calibration SET; make one: python -m calibration create")
    if arguments.source.is_dir() and not (arguments.source / MANIFEST).is_file():
        raise BuildError(f"{arguments.source}: a folder without {MANIFEST}; expected a checkpoint or a bundle")
    return tuple(word for word in PRECISIONS if word in asked and word != "fp32")


def _low(arguments: argparse.Namespace, precisions: tuple[str, ...]) -> LowPrecision:
    from build_engines.bundle import LowPrecision
    from build_engines.quantize import QuantizeSettings
    from build_engines.report import report_frames
    from calibration import open_set

    method = None if arguments.method == "auto" else arguments.method
    settings = QuantizeSettings(precisions, method, arguments.calibration_frames, arguments.max_drop)
    calibration = None if arguments.calibration is None else open_set(arguments.calibration)
    return LowPrecision(settings, calibration, report_frames(arguments.data, arguments.held_out))


def _report(line: str) -> None:
    aside(line)


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
