"""`python -m runtime.bench`: from the command line to the exit code."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # until `Stop` takes over, Ctrl-C ends the program as it does any other, without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence

from device.errors import CameraError
from runtime.bench.arguments import CompareOptions, Options, parse, parse_compare
from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import compare
from runtime.bench.judge.findings import EXIT_CODES
from runtime.bench.matrix import print_matrix, run_matrix
from runtime.bench.report.export import (
    STANDARD_OUTPUT,
    check_writable,
    read_reports,
    to_csv,
    to_json,
    write_report_file,
)
from runtime.bench.report.page import render
from runtime.bench.report.table import print_comparison, print_report
from runtime.bench.schema import Report
from runtime.bench.session import run_session
from runtime.commands.say import say
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import printable
from runtime.errors import ScreeningError

UNUSABLE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["compare"]:
            return _compare(parse_compare(arguments[1:]))
        options = parse(arguments)
        for path in (options.json, options.csv, options.html):
            check_writable(path)
        with Stop() as stop:
            try:
                run = _matrix if options.matrix else _bench
                return run(options, ("python", "-m", "runtime.bench", *arguments), stop)
            except Interrupted:
                say("runtime.bench: stopped before there was anything to report", stream=sys.stderr)
                return stop.exit_code
    except (CameraError, ScreeningError) as error:
        say(f"runtime.bench: {printable(str(error))}", stream=sys.stderr)
        return UNUSABLE


def _matrix(options: Options, command: tuple[str, ...], stop: Stop) -> int:
    found = run_matrix(options, command, stop, lambda line: say(line, stream=sys.stderr))
    print_matrix(found, sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout)
    if options.json is not None:
        write_report_file(options.json, found.to_json())
    if stop.requested:
        return stop.exit_code
    return max((EXIT_CODES[report.verdict] for report in found.reports), default=UNUSABLE)


def _bench(options: Options, command: tuple[str, ...], stop: Stop) -> int:
    report = run_session(options, command, stop, lambda line: say(line, stream=sys.stderr))
    piped = STANDARD_OUTPUT in (options.json, options.csv, options.html)
    print_report(report, sys.stderr if piped else sys.stdout)
    _write(options, report)
    return stop.exit_code if stop.requested else EXIT_CODES[report.verdict]


def _write(options: Options, report: Report) -> None:
    """Write what was asked for; one that cannot be written does not keep the others from it."""
    failure: BenchError | None = None
    for path, make in ((options.json, to_json), (options.csv, to_csv), (options.html, render)):
        if path is not None:
            try:
                write_report_file(path, make(report))
            except BenchError as error:
                failure = error
    if failure is not None:
        raise failure


def _compare(options: CompareOptions) -> int:
    check_writable(options.json)
    first, second = read_reports(options.a), read_reports(options.b)
    found = compare(first, second, max_regression=options.max_regression / 100, anyway=options.anyway)
    print_comparison(found, sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout)
    if options.json is not None:
        write_report_file(options.json, found.to_json())
    return 1 if found.regressions else 0


if __name__ == "__main__":
    sys.exit(main())
