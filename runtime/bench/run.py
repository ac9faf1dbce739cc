"""One call of `python -m runtime.bench`, a run, a matrix or a comparison: measured, told, written; the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from device.errors import CameraError
from runtime.bench.arguments import CompareOptions, Options
from runtime.bench.errors import BenchError
from runtime.bench.find_rate import print_found, run_find_rate
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
from runtime.bench.sheet import run_sheet
from runtime.commands.say import say
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import printable
from runtime.errors import ScreeningError

UNUSABLE = 2


def bench(options: Options, command: tuple[str, ...], arguments: Sequence[str] = ()) -> int:
    """Measure as the options say. command: the call itself, for the report; arguments: its words as they came."""
    return _told(lambda: _measured(options, command, arguments))


def compare_reports(options: CompareOptions) -> int:
    """Hold two reports, or two folders of them, against each other."""
    return _told(lambda: _compare(options))


def _told(work: Callable[[], int]) -> int:
    try:
        return work()
    except (CameraError, ScreeningError) as error:
        say(f"runtime.bench: {printable(str(error))}", stream=sys.stderr)
        return UNUSABLE


def _measured(options: Options, command: tuple[str, ...], arguments: Sequence[str]) -> int:
    for path in (options.json, options.csv, options.html):
        check_writable(path)
    with Stop() as stop:
        try:
            if options.sheet is not None:
                return _sheet(options, options.sheet, arguments, stop)
            measured = _find_rate if options.find_rate else _matrix if options.matrix else _bench
            return measured(options, command, stop)
        except Interrupted:
            say("runtime.bench: stopped before there was anything to report", stream=sys.stderr)
            return stop.exit_code


def _matrix(options: Options, command: tuple[str, ...], stop: Stop) -> int:
    found = run_matrix(options, command, stop, lambda line: say(line, stream=sys.stderr))
    print_matrix(found, sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout)
    if options.json is not None:
        write_report_file(options.json, found.to_json())
    if stop.requested:
        return stop.exit_code
    return max((EXIT_CODES[report.verdict] for report in found.reports), default=UNUSABLE)


def _sheet(options: Options, processes: int, arguments: Sequence[str], stop: Stop) -> int:
    found = run_sheet(arguments, processes, stop, lambda line: say(line, stream=sys.stderr))
    stream = sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout
    if found.line is not None:
        say(found.line, stream=stream)
    for reason in found.reasons:
        say(printable(f"{found.verdict}: {reason}"), stream=sys.stderr)
    if options.json is not None:
        write_report_file(options.json, found.to_json())
    return EXIT_CODES[found.verdict]


def _find_rate(options: Options, command: tuple[str, ...], stop: Stop) -> int:
    found = run_find_rate(options, command, stop, lambda line: say(line, stream=sys.stderr))
    print_found(found, sys.stderr if options.json == STANDARD_OUTPUT else sys.stdout)
    if options.json is not None:
        write_report_file(options.json, found.to_json())
    return stop.exit_code if stop.requested else EXIT_CODES[found.verdict]


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
    return found.exit_code
