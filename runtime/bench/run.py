"""One call of `python -m runtime.bench`, of whatever kind: measured, told, written; the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from device.errors import CameraError
from device.streams import give_up_output
from runtime.bench import baselines
from runtime.bench.errors import BenchError
from runtime.bench.find_rate import print_found, run_find_rate
from runtime.bench.judge.compare import compare
from runtime.bench.judge.findings import EXIT_CODES
from runtime.bench.matrix import MatrixTable, print_matrix, run_matrix
from runtime.bench.options import Asked, Compare, FindRate, Matrix, Outputs, Run, SheetOptions, Single, Streams, Sweep
from runtime.bench.report.export import STANDARD_OUTPUT, check_writable, to_csv, to_json, write_report_file
from runtime.bench.report.page import render, render_comparison
from runtime.bench.report.table import print_comparison, print_report
from runtime.bench.schema import Report
from runtime.bench.session import run_session
from runtime.bench.sheet import run_sheet
from runtime.bench.streams import print_streams, run_streams
from runtime.bench.sweep import run_sweep
from runtime.commands.ending import CLOSED_PIPE
from runtime.commands.say import say
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import error_text, printable
from runtime.errors import ScreeningError
from runtime.percentiles import samples_needed
from runtime.sinks.files import keep_inputs

UNUSABLE = 2


def bench(asked: Asked, command: tuple[str, ...]) -> int:
    """Measure what is asked for. command: the call itself, for the report."""
    return _told(lambda: _measured(asked, command))


def compare_reports(asked: Compare) -> int:
    """Hold two reports, or two folders of them, against each other."""
    return _told(lambda: _compare(asked))


def _told(work: Callable[[], int]) -> int:
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        give_up_output()
        return CLOSED_PIPE
    except (CameraError, ScreeningError) as error:
        say(f"runtime.bench: {printable(error_text(error))}", stream=sys.stderr)
        return UNUSABLE
    except OSError as error:  # tables are printed by Rich; 1 would say that something is slower
        give_up_output()
        what = error.filename or "cannot write to standard output"
        say(f"runtime.bench: {printable(f'{what}: {error.strerror or error}')}", stream=sys.stderr)
        return UNUSABLE


def _aside(line: str) -> None:
    """Tell what is going on, beside the answer."""
    say(line, stream=sys.stderr)


def _measured(asked: Asked, command: tuple[str, ...]) -> int:
    for path in asked.outputs.paths:
        check_writable(path)
    with Stop() as stop:
        try:
            return _kind(asked, command, stop)
        except Interrupted:
            _aside("runtime.bench: stopped before there was anything to report")
            return stop.exit_code


def _kind(asked: Asked, command: tuple[str, ...], stop: Stop) -> int:
    """Each kind of run: measured, shown, written; the exit code."""
    shown = _beside(asked.outputs)
    if not isinstance(asked, SheetOptions):
        _tell_too_few(asked.run)
    if isinstance(asked, Single):
        return _single(asked, command, stop)
    if isinstance(asked, SheetOptions):
        return _sheet(asked, stop, shown)
    if isinstance(asked, FindRate):
        rate = run_find_rate(asked, command, stop, _aside)
        print_found(rate, shown)
        return _end(asked.outputs, rate.to_json(), EXIT_CODES[rate.verdict], stop)
    if isinstance(asked, Streams):
        streams = run_streams(asked, command, stop, _aside)
        print_streams(streams, shown)
        return _end(asked.outputs, streams.to_json(), EXIT_CODES[streams.verdict], stop)
    table = _table(asked, command, stop)
    print_matrix(table, shown)
    worst = max((EXIT_CODES[report.verdict] for report in table.reports), default=UNUSABLE)
    return _end(asked.outputs, table.to_json(), worst, stop)


def _tell_too_few(run: Run) -> None:
    """Before the run what is known before it: that its frames cannot state what it is to be judged by."""
    frames, p = run.until.frames, run.goals.percentile
    if frames is not None and frames < (needed := samples_needed(p)):
        _aside(
            f"note: a p{p:g} is stated from {needed} frames on, {frames} come: INVALID will be said; ask for more with "
            f"--frames, or for a lower --percentile"
        )


def _table(asked: Matrix | Sweep, command: tuple[str, ...], stop: Stop) -> MatrixTable:
    return (
        run_matrix(asked, command, stop, _aside)
        if isinstance(asked, Matrix)
        else run_sweep(asked, command, stop, _aside)
    )


def _beside(outputs: Outputs) -> TextIO:
    """Where people read, when a file takes standard output."""
    return sys.stderr if STANDARD_OUTPUT in outputs.paths else sys.stdout


def _end(outputs: Outputs, text: str, code: int, stop: Stop) -> int:
    if outputs.json is not None:
        write_report_file(outputs.json, text)
    return stop.exit_code if stop.requested else code


def _sheet(asked: SheetOptions, stop: Stop, shown: TextIO) -> int:
    found = run_sheet(asked, stop, _aside)
    for line in found.measured if found.line is None else (found.line,):
        say(line, stream=shown)
    for note in found.notes:
        _aside(printable(f"note: {note}"))
    for reason in found.reasons:
        _aside(printable(f"{found.verdict}: {reason}"))
    return _end(asked.outputs, found.to_json(), EXIT_CODES[found.verdict], stop)


def _single(asked: Single, command: tuple[str, ...], stop: Stop) -> int:
    if asked.save_as is not None:
        baselines.place(asked.save_as)
    for path in asked.outputs.paths:
        keep_inputs(path, (asked.run.beside.labels, asked.run.beside.checkpoint))
    report = run_session(asked.run, command, stop, _aside)
    print_report(report, _beside(asked.outputs))
    _write(asked, report)
    return stop.exit_code if stop.requested else EXIT_CODES[report.verdict]


def _write(asked: Single, report: Report) -> None:
    """Write what was asked for; one that cannot be written does not keep the others from it."""
    failure: BenchError | None = None
    outputs = asked.outputs
    parts: list[tuple[Path, Callable[[Report], str]]] = [
        (path, make)
        for path, make in ((outputs.json, to_json), (outputs.csv, to_csv), (outputs.html, render))
        if path is not None
    ]
    for path, make in parts:
        try:
            write_report_file(path, make(report))
        except BenchError as error:
            failure = error
    if asked.save_as is not None:
        _aside(baselines.save(report, asked.save_as))
    if failure is not None:
        raise failure


def _compare(asked: Compare) -> int:
    for path in asked.outputs.paths:
        check_writable(path)
        keep_inputs(path, (asked.a, asked.b))
    first, second = baselines.side(asked.a), baselines.side(asked.b)
    found = compare(
        first.reports,
        second.reports,
        max_regression=asked.max_regression / 100,
        anyway=asked.anyway,
        unsealed=(first.faults, second.faults),
    )
    print_comparison(found, _beside(asked.outputs))
    if asked.outputs.json is not None:
        write_report_file(asked.outputs.json, found.to_json())
    if asked.outputs.html is not None:
        write_report_file(asked.outputs.html, render_comparison(found, first.reports, second.reports))
    return found.exit_code
