"""The command lines of `python -m runtime.bench` and `python -m runtime.bench compare`."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from device.errors import SourceNotFound
from device.schemes import is_simulated
from device.version import add_version
from runtime.bench.words import LOADS, ROWS, LoadKind
from runtime.commands.numbers import number, positive, share, whole
from runtime.commands.site import add_site_options
from runtime.engines.options import add_engine_options

EXAMPLES = """\
examples:
  python -m runtime.bench --budget-ms 50
  python -m runtime.bench --load camera --rate 30 --budget-ms 33 --miss-rate 0.001 --html report.html
  python -m runtime.bench --source photos/ --labels photos/labels.csv --json tonight.json
  python -m runtime.bench --arrivals poisson --rate 12 --budget-ms 200
  python -m runtime.bench --find-rate --budget-ms 200
  python -m runtime.bench --matrix
  python -m runtime.bench --soak 30m --load camera
  python -m runtime.bench compare before.json after.json

exit codes:
  0    PASS
  1    FAIL: a budget, the miss rate or a trend; of compare: slower
  2    INVALID: the figures cannot be relied on; of compare: undecided;
       or the call is wrong or its input unusable
  130, 143   stopped by Ctrl-C or SIGTERM; the report so far is written and marked
"""
PEERS = ("onnxruntime", "pytorch")
DEFAULT_FRAMES = 1000
FEWEST_PROCESSES = 5
"""That a line for a data sheet is made from."""
IDLE_FRAMES = 20
"""A minute at two seconds each; enough for the median, which `idle` is judged by unless told."""


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    source: str
    bundle: Path | None
    engine: str
    precision: str
    threads: int | None
    site_profile: Path | None
    trusted_keys: Path | None
    load: LoadKind
    frames: int
    warmup: int
    rate: float | None
    find_rate: bool
    seed: int
    burst: int
    idle_s: float
    soak: float | None
    budget_ms: float | None
    stage_budgets: tuple[tuple[str, float], ...]
    percentile: float
    miss_rate: float | None
    labels: Path | None
    accuracy: bool
    cold_start: bool
    matrix: bool
    sheet: int | None
    peer: str | None
    checkpoint: Path | None
    json: Path | None
    csv: Path | None
    html: Path | None


@dataclass(frozen=True)
class CompareOptions:
    """What is to be compared."""

    a: Path
    b: Path
    max_regression: float
    anyway: bool
    json: Path | None


class OneLine(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without all that could be right around it."""

    def error(self, message: str) -> NoReturn:
        """End the program with code 2."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help tells all options\n")


def parse(argv: Sequence[str]) -> Options:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    parser = _parser()
    values = vars(parser.parse_args(argv))
    arrivals, asked = values.pop("arrivals"), values["load"]
    if (arrivals or values["find_rate"]) and asked is not None:
        parser.error("--arrivals, --find-rate: say themselves when frames come; leave --load out")
    if values["seed"] is not None and not (arrivals or values["find_rate"]):
        parser.error("--seed: has no meaning without --arrivals poisson or --find-rate")
    values["seed"] = values["seed"] or 0
    values["load"] = "poisson" if arrivals or values["find_rate"] else asked or "back-to-back"
    idle = values["load"] == "idle"
    values["frames"] = values["frames"] or (IDLE_FRAMES if idle else DEFAULT_FRAMES)
    values["percentile"] = values["percentile"] or (50.0 if idle else 99.0)
    values["stage_budgets"] = tuple(values["stage_budgets"] or ())
    options = Options(**values)
    if options.miss_rate is not None and options.budget_ms is None:
        parser.error("--miss-rate: needs --budget-ms, which says when a frame is missed")
    if options.rate is not None and options.load not in ("camera", "burst", "poisson"):
        parser.error(
            f"--rate: has no meaning with --load {options.load}; use --load camera or burst, or --arrivals poisson"
        )
    if options.sheet is not None and (
        options.csv or options.html or options.peer or options.soak or options.matrix or options.find_rate
    ):
        parser.error("--sheet: gives a line and --json; leave --csv, --html, --peer, --soak, --matrix, --find-rate out")
    if options.find_rate:
        _check_find_rate(parser, options)
    if options.labels is not None and not options.accuracy:
        parser.error("--labels: has no meaning with --no-accuracy")
    try:
        simulated = is_simulated(options.source)
    except SourceNotFound as error:
        parser.error(f"--source: {error}")
    if options.labels is not None and simulated:
        parser.error("--labels: simulated frames bring their own truth; name the pictures with --source")
    if options.checkpoint is not None and options.peer != "pytorch":
        parser.error("--checkpoint: has no meaning without --peer pytorch")
    written = [path for path in (options.json, options.csv, options.html) if path is not None]
    if len(set(written)) < len(written):
        parser.error("--json, --csv, --html: got the same file twice, expected one each")
    if options.matrix and (options.csv or options.html or options.peer or options.soak):
        parser.error("--matrix: gives a table and --json; run one of its lines alone for --csv, --html, --peer, --soak")
    return options


def _check_find_rate(parser: argparse.ArgumentParser, options: Options) -> None:
    if options.budget_ms is None:
        parser.error("--find-rate: needs --budget-ms, which says when a rate holds")
    if options.rate is not None:
        parser.error("--find-rate: finds the rate itself; leave --rate out, or measure that rate by --arrivals poisson")
    if options.miss_rate is not None or options.stage_budgets:
        parser.error(
            "--find-rate: seeks by --budget-ms at --percentile alone; leave --miss-rate and --stage-budget out"
        )
    if options.csv or options.html or options.peer or options.soak or options.matrix or options.labels:
        parser.error(
            "--find-rate: gives a table and --json; measure the rate that it finds by --arrivals poisson for --csv, "
            "--html, --peer, --soak, --labels"
        )


def parse_compare(argv: Sequence[str]) -> CompareOptions:
    """The options of `compare`; ends the program with code 2 when they are wrong."""
    parser = OneLine(
        prog="python -m runtime.bench compare",
        description="Say whether B is faster or slower than A, alike within what matters, or undecided, and what each "
        "stage has in it. Single runs differ by what the machine's speed wanders; to see less than that, give two "
        "folders of runs made by turns.",
        epilog="exit codes: 0 faster, or alike within --max-regression; 1 slower by more; 2 undecided (the last line "
        "says how many runs would decide), a side is INVALID, or the reports cannot be compared",
        allow_abbrev=False,
    )
    parser.add_argument("a", type=Path, metavar="A", help="the report to compare with, or a folder of several")
    parser.add_argument("b", type=Path, metavar="B", help="the report in question, or a folder of several")
    parser.add_argument(
        "--max-regression",
        type=_percent,
        default=5.0,
        metavar="PERCENT",
        help="what matters: slower by more fails, less is alike (default: 5)",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="compare although machine, input or load are not the same"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison there (- for standard output)")
    return CompareOptions(**vars(parser.parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = OneLine(
        prog="python -m runtime.bench",
        description="Measure camera-to-result latency by stage under a load, and say PASS, FAIL or INVALID. "
        "`python -m runtime.bench compare --help` tells of comparing two reports.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    load = parser.add_argument_group("load")
    load.add_argument("--source", default="sim:", metavar="SOURCE", help="as of runtime.screen (default: sim:)")
    load.add_argument("--load", choices=LOADS, help="when frames come (default: back-to-back)")
    load.add_argument(
        "--frames", type=whole(1), metavar="N", help=f"that come in (default: {DEFAULT_FRAMES}; idle: {IDLE_FRAMES})"
    )
    load.add_argument("--warmup", type=whole(0), default=50, metavar="N", help="frames before (default: 50)")
    load.add_argument("--rate", type=positive, metavar="HZ", help="frames a second on average (default: 30)")
    load.add_argument(
        "--arrivals", choices=("poisson",), help="frames come at random at --rate, and wait in a queue; none is dropped"
    )
    load.add_argument(
        "--find-rate", action="store_true", help="the highest such rate at which --percentile keeps to --budget-ms"
    )
    load.add_argument("--seed", type=whole(0), metavar="N", help="of random arrivals (default: 0)")
    load.add_argument("--burst", type=whole(1), default=8, metavar="N", help="frames in a burst (default: 8)")
    load.add_argument("--idle-s", type=positive, default=2.0, metavar="S", help="rest before each frame (default: 2)")
    load.add_argument("--soak", type=_duration, metavar="TIME", help="run so long (90s, 30m, 8h) and test for trends")

    goals = parser.add_argument_group("goals")
    goals.add_argument("--budget-ms", type=positive, metavar="MS", help="from capture to result")
    goals.add_argument(
        "--stage-budget",
        dest="stage_budgets",
        action="append",
        type=_stage_budget,
        metavar="STAGE=MS",
        help=f"of one stage, can be repeated; stages: {', '.join(ROWS)}",
    )
    goals.add_argument(
        "--percentile", type=_percentile, metavar="P", help="at which budgets must be kept (default: 99; idle: 50)"
    )
    goals.add_argument("--miss-rate", type=share, metavar="SHARE", help="of frames that may miss --budget-ms, 0 to 1")

    engine = add_engine_options(parser)
    engine.add_argument("--matrix", action="store_true", help="every backend and precision that works here, one table")
    engine.add_argument("--peer", choices=PEERS, help="also read the frames that way, in turns, and print the ratio")
    engine.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="for --peer pytorch, in place of the bundle's fp32 graphs"
    )

    add_site_options(parser)

    beside = parser.add_argument_group("beside speed")
    beside.add_argument("--labels", type=Path, metavar="CSV", help="truth: columns image and mask, refer or both")
    beside.add_argument("--no-accuracy", dest="accuracy", action="store_false", help="leave accuracy out")
    beside.add_argument("--no-cold-start", dest="cold_start", action="store_false", help="leave the cold start out")

    output = parser.add_argument_group("output")
    output.add_argument(
        "--sheet",
        type=whole(FEWEST_PROCESSES),
        nargs="?",
        const=FEWEST_PROCESSES,
        metavar="N",
        help=f"one line for a data sheet, with intervals over N fresh processes ({FEWEST_PROCESSES} or more)",
    )
    output.add_argument("--no-sheet", dest="sheet", action="store_const", const=None, help=argparse.SUPPRESS)
    output.add_argument("--json", type=Path, metavar="FILE", help="the report, rop.bench/1 (- for standard output)")
    output.add_argument("--csv", type=Path, metavar="FILE", help="every frame raw")
    output.add_argument("--html", type=Path, metavar="FILE", help="one page with charts")
    return parser


def _percent(text: str) -> float:
    value = number(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a percentage from 0 up")
    return value


def _percentile(text: str) -> float:
    value = number(text)
    if not 1 <= value <= 99.99:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1 to 99.99")
    return value


def _duration(text: str) -> float:
    """Seconds in `90s`, `30m`, `8h`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a time like 90s, 30m or 8h")
    return seconds


def _stage_budget(text: str) -> tuple[str, float]:
    stage, equals, value = text.partition("=")
    if not equals or stage not in ROWS:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected STAGE=MS with one of {', '.join(ROWS)}")
    return stage, positive(value)
