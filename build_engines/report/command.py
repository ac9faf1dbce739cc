"""`python -m build_engines report BUNDLE`: every precision against fp32, as the build found it or measured anew."""

from __future__ import annotations

import argparse
import sys

from build_engines.arguments import report_parser
from build_engines.errors import BuildError
from build_engines.report.adopt import adopt
from build_engines.report.choose import OPENVINO, out_of_tolerance
from build_engines.report.classes import measure_as, require_classes
from build_engines.report.engines import measure_engine
from build_engines.report.frames import report_frames
from build_engines.report.measure import measure
from build_engines.report.schema import ParityReport
from build_engines.report.store import read_report, write_report
from build_engines.report.table import print_parity
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import aside
from runtime.errors import ScreeningError


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(report_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        return _report(arguments)
    except (BuildError, ScreeningError, OSError) as error:
        aside(error)
        return 2


def _report(arguments: argparse.Namespace) -> int:
    bundle = open_bundle(arguments.bundle)
    if arguments.threads is not None and arguments.threads < 1:
        raise BuildError(f"--threads: got {arguments.threads}, expected 1 or more")
    if arguments.held_out and arguments.data is None:
        raise BuildError("--held-out: is said of the frames of --data CSV; name them")
    anew = arguments.measure or arguments.data is not None
    if not anew and (arguments.adopt or arguments.cpu_class is not None):
        raise BuildError("--adopt and --cpu-class are for what is measured anew: give --measure or --data, too")
    if arguments.engine != OPENVINO:
        if not anew:
            raise BuildError(f"--engine {arguments.engine}: is measured anew; give --measure or --data, too")
        if arguments.cpu_class is not None or arguments.threads is not None:
            raise BuildError(f"--engine {arguments.engine}: takes no --cpu-class or --threads, it runs on the GPU")
    classes = require_classes(arguments.cpu_class) if arguments.cpu_class is not None else ()
    if anew:
        aside(f"every precision by turns on {'simulated frames' if arguments.data is None else arguments.data}")
    if anew and arguments.engine != OPENVINO:
        frames = report_frames(arguments.data, arguments.held_out)
        report = measure_engine(bundle, frames, arguments.engine, _progress)
    elif anew:
        report = measure(bundle, report_frames(arguments.data, arguments.held_out), arguments.threads, _progress)
        others = tuple(_as_class(name, arguments) for name in classes)
        report = report.model_copy(update={"others": others})
    else:
        report = read_report(bundle)
    if arguments.adopt:
        bundle = adopt(bundle, report)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_report(report, arguments.out)
    if arguments.json:
        print(report.model_dump_json(by_alias=True))
    else:
        print_parity(report, sys.stdout)
    return _verdict(bundle, report) if anew else 0


def _as_class(name: str, arguments: argparse.Namespace) -> ParityReport:
    aside(f"as a CPU of class {name}")
    source = ["--measure"] if arguments.data is None else ["--data", str(arguments.data)]
    source += ["--held-out"] if arguments.held_out else []
    threads = [] if arguments.threads is None else ["--threads", str(arguments.threads)]
    return measure_as(name, arguments.bundle, [*source, *threads])


def _verdict(bundle: Bundle, report: ParityReport) -> int:
    default = bundle.resolve_precision(report.machine.backend, "auto")
    try:
        found = report.combination(default["segmentation"], default["classifier"])
    except StopIteration:  # a GPU has a plan of some precisions only
        return 0
    wrong = out_of_tolerance(found, report.combination("fp32", "fp32"), report.tolerance)
    if wrong:
        aside(f"the bundle's default here is out of tolerance: {', '.join(wrong)}; build it again")
    return 1 if wrong else 0


def _progress(frames: int) -> None:
    if frames % 20 == 0:
        aside(f"{frames} frames")
