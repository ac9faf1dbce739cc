"""The command lines of `python -m runtime.bench` and `python -m runtime.bench compare`."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from device.command_parser import CommandParser
from device.errors import SourceNotFound
from device.schemes import is_simulated
from device.version import add_version
from runtime.bench.options import (
    Asked,
    Beside,
    Compare,
    FindRate,
    Goals,
    LoadPlan,
    Matrix,
    ModelOptions,
    Outputs,
    Run,
    SheetOptions,
    Single,
    Streams,
    Sweep,
    Until,
)
from runtime.bench.words import LOADS, OPEN_LOADS, ROWS, LoadKind
from runtime.commands.numbers import MOST, number, picture_size, positive, share, whole
from runtime.commands.site import add_site_options
from runtime.engines import PRECISIONS
from runtime.engines.options import add_engine_options, engine_name

EXAMPLES = """\
examples:
  python -m runtime.bench --budget-ms 50
  python -m runtime.bench --load camera --rate 30 --budget-ms 33 --miss-rate 0.001 --html report.html
  python -m runtime.bench --source photos/ --labels photos/labels.csv --json tonight.json
  python -m runtime.bench --arrivals poisson --rate 12 --budget-ms 200
  python -m runtime.bench --find-rate --budget-ms 200
  python -m runtime.bench --matrix
  python -m runtime.bench --sweep threads=1,2 size=640x480,2040x2040 precision=auto,fp32
  python -m runtime.bench --streams 2 --load camera --rate 15 --budget-ms 100
  python -m runtime.bench --soak 30m --load camera
  python -m runtime.bench --save-baseline monday
  python -m runtime.bench compare monday after.json --html both.html

exit codes:
  0    PASS
  1    FAIL: a budget, the miss rate or a trend; of compare: slower
  2    INVALID: the figures cannot be relied on; of compare: undecided;
       or the call is wrong or its input unusable
  130, 143   stopped by Ctrl-C or SIGTERM; the report so far is written and marked
"""
PEERS = ("onnxruntime", "onnxruntime-fp32", "onnxruntime-int8", "openvino", "pytorch", "pytorch-compile")
"""`onnxruntime` and `openvino` take the same graphs as ours; the others name theirs."""
ALL_PEERS = "all"
DEFAULT_FRAMES = 1000
DEFAULT_TURNS = 3
STATED = (99.0, 95.0, 90.0, 50.0)
"""Percentiles that a run is judged by of itself, the first that it can state."""
IDLE_PERCENTILE = 50.0
FEWEST_PROCESSES = 5
"""That a line for a data sheet is made from."""
IDLE_FRAMES = 20
"""A minute at two seconds each; enough for the median, which `idle` is judged by unless told."""
AXES = ("threads", "precision", "engine", "size", "rate")
"""What a sweep can go over."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of a baseline."""
KINDS = {
    "matrix": "--matrix",
    "sweep": "--sweep",
    "streams": "--streams",
    "find_rate": "--find-rate",
    "sheet": "--sheet",
}
"""Kinds of run beside a single one, by their option."""
SINGLE_ONLY = {
    "csv": "--csv",
    "html": "--html",
    "peers": "--peer",
    "soak": "--soak",
    "layers": "--layers",
    "save_baseline": "--save-baseline",
}
"""What only a single run has."""


class OneLine(CommandParser):
    """A parser that says what is wrong in one line, without all that could be right around it."""

    def error(self, message: str) -> NoReturn:
        """End the program with code 2."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help tells all options\n")


def parse(argv: Sequence[str]) -> Asked:
    """What `argv` asks for; ends the program with code 2 and a line that says why when it is wrong."""
    parser = _parser()
    given = parser.parse_args(argv)
    kinds = [option for name, option in KINDS.items() if getattr(given, name)]
    if len(kinds) > 1:
        parser.error(f"{', '.join(kinds)}: each is a kind of run; name one of them")
    if kinds and (wrong := [option for name, option in SINGLE_ONLY.items() if getattr(given, name)]):
        one = (
            "measure the rate that it finds by --arrivals poisson"
            if given.find_rate
            else "measure one of its lines alone"
        )
        parser.error(f"{kinds[0]}: gives a table and --json; leave {', '.join(wrong)} out, or {one} with them")
    if given.turns and not (given.matrix or given.sweep):
        parser.error("--turns: has no meaning without --matrix or --sweep")
    _check_arrivals(parser, given)
    run, outputs = _run(given), Outputs(given.json, given.csv, given.html)
    _check_run(parser, given, run)
    if len(set(outputs.paths)) < len(outputs.paths):
        parser.error("--json, --csv, --html: got the same file twice, expected one each")
    turns = given.turns or DEFAULT_TURNS
    if given.sheet:
        _check_sheet(parser, given)
        return SheetOptions(tuple(argv), given.sheet, outputs)
    if given.matrix:
        return Matrix(run, turns, outputs)
    if given.sweep:
        _check_sweep(parser, given.sweep, run)
        return Sweep(run, tuple(given.sweep), turns, outputs)
    if given.streams:
        return Streams(run, given.streams, outputs)
    if given.find_rate:
        return FindRate(run, _check_find_rate(parser, given), outputs)
    return Single(run, outputs, given.save_baseline)


def _run(given: argparse.Namespace) -> Run:
    kind: LoadKind = "poisson" if given.arrivals or given.find_rate else given.load or "back-to-back"
    idle = kind == "idle"
    frames = given.frames or (IDLE_FRAMES if idle else DEFAULT_FRAMES)
    return Run(
        source=given.source,
        model=ModelOptions(*(getattr(given, field.name) for field in fields(ModelOptions))),
        load=LoadPlan(kind, given.rate, given.burst, given.idle_s, given.seed or 0),
        until=Until(seconds=given.soak) if given.soak else Until(frames=frames),
        soak=given.soak is not None,
        warmup=given.warmup,
        goals=Goals(
            given.percentile or _percentile_of(given, frames, idle=idle),
            given.budget_ms,
            dict(given.stage_budgets or ()),
            given.miss_rate,
        ),
        beside=Beside(
            given.cold_start,
            given.accuracy,
            given.labels,
            PEERS if ALL_PEERS in (given.peers or ()) else tuple(dict.fromkeys(given.peers or ())),
            given.checkpoint,
            given.layers,
        ),
    )


def _percentile_of(given: argparse.Namespace, frames: int, *, idle: bool) -> float:
    """What a run is judged by that nobody said it of: where nothing is held against it, what its frames can state."""
    from runtime.percentiles import samples_needed

    if idle:
        return IDLE_PERCENTILE
    if given.budget_ms is not None or given.stage_budgets or given.soak or given.sheet:
        return STATED[0]
    return next((p for p in STATED if samples_needed(p) <= frames), STATED[-1])


def _check_arrivals(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    drawn = given.arrivals or given.find_rate
    if drawn and given.load is not None:
        parser.error("--arrivals, --find-rate: say themselves when frames come; leave --load out")
    if given.seed is not None and not drawn:
        parser.error("--seed: has no meaning without --arrivals poisson or --find-rate")


def _check_run(parser: argparse.ArgumentParser, given: argparse.Namespace, run: Run) -> None:
    swept = {name for name, _ in given.sweep or ()}
    if given.miss_rate is not None and given.budget_ms is None:
        parser.error("--miss-rate: needs --budget-ms, which says when a frame is missed")
    if (given.rate is not None or "rate" in swept) and run.load.kind not in OPEN_LOADS:
        parser.error(
            f"--rate: has no meaning with --load {run.load.kind}; use --load camera or burst, or --arrivals poisson"
        )
    if given.labels is not None and not given.accuracy:
        parser.error("--labels: has no meaning with --no-accuracy")
    try:
        simulated = is_simulated(run.source)
    except SourceNotFound as error:
        parser.error(f"--source: {error}")
    if given.labels is not None and simulated:
        parser.error("--labels: simulated frames bring their own truth; name the pictures with --source")
    if "size" in swept and not simulated:
        parser.error("--sweep size: only simulated frames come in any size; use --source sim:")
    if given.checkpoint is not None and not any(peer.startswith("pytorch") for peer in run.beside.peers):
        parser.error("--checkpoint: has no meaning without --peer pytorch")
    if given.save_baseline is not None and not NAME.fullmatch(given.save_baseline):
        parser.error(
            f"--save-baseline: got {given.save_baseline!r}, expected letters, digits, dots, dashes, at most 64"
        )
    if given.save_baseline is not None and given.save_baseline.lower().endswith(".json"):
        parser.error(
            f"--save-baseline: got {given.save_baseline!r}, a file's name, expected a name alone; --json writes a file"
        )


def _check_sweep(parser: argparse.ArgumentParser, axes: Sequence[tuple[str, tuple[str, ...]]], run: Run) -> None:
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        parser.error(f"--sweep: got {' '.join(names)}, expected each name once")
    fixed = {"threads": run.model.threads, "rate": run.load.rate_hz}
    for name in names:
        if fixed.get(name) is not None or (name in ("precision", "engine") and getattr(run.model, name) != "auto"):
            parser.error(f"--sweep {name}: goes over --{name} itself; leave --{name} out")


def _check_sheet(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    from runtime.percentiles import samples_needed

    needed = samples_needed(STATED[0])
    if given.frames and given.frames < needed:
        parser.error(f"--sheet: a p99 needs {needed} frames read in each process, got --frames {given.frames}")


def _check_find_rate(parser: argparse.ArgumentParser, given: argparse.Namespace) -> float:
    if given.budget_ms is None:
        parser.error("--find-rate: needs --budget-ms, which says when a rate holds")
    if given.rate is not None:
        parser.error("--find-rate: finds the rate itself; leave --rate out, or measure that rate by --arrivals poisson")
    if given.labels is not None:
        parser.error("--find-rate: reads for speed alone; leave --labels out")
    if given.miss_rate is not None or given.stage_budgets:
        parser.error(
            "--find-rate: seeks by --budget-ms at --percentile alone; leave --miss-rate and --stage-budget out"
        )
    return float(given.budget_ms)


def parse_compare(argv: Sequence[str]) -> Compare:
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
    parser.add_argument(
        "a", type=Path, metavar="A", help="the report to compare with, a folder of several, or a baseline"
    )
    parser.add_argument("b", type=Path, metavar="B", help="the report in question, likewise")
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
    parser.add_argument("--html", type=Path, metavar="FILE", help="one page with both sides' latencies overlaid")
    given = parser.parse_args(argv)
    outputs = Outputs(json=given.json, html=given.html)
    if len(set(outputs.paths)) < len(outputs.paths):
        parser.error("--json, --html: got the same file twice, expected one each")
    return Compare(given.a, given.b, given.max_regression, given.anyway, outputs)


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
    load.add_argument("--warmup", type=whole(0), metavar="N", help="frames before (default: until the speed is steady)")
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
        "--percentile",
        type=_percentile,
        metavar="P",
        help="at which budgets must be kept (default: 99; idle: 50; without a budget what --frames can state)",
    )
    goals.add_argument("--miss-rate", type=share, metavar="SHARE", help="of frames that may miss --budget-ms, 0 to 1")

    engine = add_engine_options(parser)
    engine.add_argument(
        "--matrix",
        action="store_true",
        help="every backend and precision that works here, and the bundle's default, by turns",
    )
    engine.add_argument(
        "--sweep",
        type=_axis,
        nargs="+",
        metavar="NAME=VALUE,VALUE",
        help=f"every combination of such values, by turns; names: {', '.join(AXES)}",
    )
    engine.add_argument(
        "--turns", type=whole(1), metavar="N", help=f"of --matrix and --sweep (default: {DEFAULT_TURNS})"
    )
    engine.add_argument("--streams", type=whole(1, 64), metavar="N", help="so many cameras at once, an engine each")
    engine.add_argument(
        "--peer",
        dest="peers",
        choices=(*PEERS, ALL_PEERS),
        action="append",
        help="also read the frames that way, in turns, and print the ratio; can be repeated",
    )
    engine.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="for --peer pytorch, in place of the bundle's fp32 graphs"
    )

    add_site_options(parser)

    beside = parser.add_argument_group("beside speed")
    beside.add_argument("--labels", type=Path, metavar="CSV", help="truth: columns image and mask, refer or both")
    beside.add_argument(
        "--layers", action="store_true", help="the time of each layer of the networks, in a run of its own"
    )
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
    output.add_argument(
        "--save-baseline", metavar="NAME", help="keep the report by that name, for compare; replaces the one before"
    )
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
    if not 0 < seconds <= MOST:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected a time like 90s, 30m or 8h")
    return seconds


def _axis(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, listed = text.partition("=")
    values = tuple(listed.split(","))
    if not equals or name not in AXES:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected NAME=VALUE,VALUE with one of {', '.join(AXES)}")
    checks: dict[str, Callable[[str], object]] = {
        "threads": whole(1, 4096),
        "rate": positive,
        "engine": engine_name,
        "precision": _precision,
        "size": picture_size,
    }
    if len({checks[name](value) for value in values}) < len(values):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected each value once")
    return name, values


def _precision(text: str) -> str:
    if text not in PRECISIONS:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected one of {', '.join(PRECISIONS)}")
    return text


def _stage_budget(text: str) -> tuple[str, float]:
    stage, equals, value = text.partition("=")
    if not equals or stage not in ROWS:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected STAGE=MS with one of {', '.join(ROWS)}")
    return stage, positive(value)
