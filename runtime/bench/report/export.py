"""Writing and reading reports: JSON, CSV of the raw frames, and the check that a path can be written beforehand."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from device.outputs import OutputFolder, write_whole
from runtime.bench.errors import BenchError
from runtime.bench.report.seal import FIELD, seal_fault, sealed
from runtime.bench.schema import REPORT_SCHEMA, Report
from runtime.checked_json import NotJson, first_problem, model_from, read_at_most
from runtime.commands.say import say
from runtime.csv_rows import no_formula

STANDARD_OUTPUT = Path("-")
LIMIT_BYTES = 512 << 20


def check_writable(path: Path | None) -> None:
    """Raise `BenchError` when a report could not be written there: before the run, not after it."""
    if path is None or path == STANDARD_OUTPUT:
        return
    if path.is_dir():
        raise BenchError(f"report {path}: is a folder, expected the name of a file in it")
    if path.exists() and not path.is_file():
        raise BenchError(f"report {path}: is a device or pipe, which a file would replace; use - for standard output")
    if not path.parent.exists():
        raise BenchError(
            f"report {path}: there is no folder {path.parent}; make it, or name a file in one that is there"
        )
    try:
        with OutputFolder(path.parent) as folder:
            folder.try_writing()
    except OSError as error:
        raise _unwritable(path, error) from None
    if path.exists() and not os.access(path, os.W_OK):
        raise BenchError(f"report {path}: is there already and may not be written; name another file")


def write_report_file(path: Path, text: str) -> None:
    """Write the file whole, or print it for `-`. Raises `BenchError`."""
    if path == STANDARD_OUTPUT:
        say(text.rstrip("\n"))
        return
    try:
        write_whole(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> BenchError:
    reason = error.strerror or type(error).__name__
    return BenchError(f"report {path}: cannot be written ({reason}); free space there or name another file")


def to_json(report: Report) -> str:
    """The report as one JSON object, sealed as it is now."""
    return sealed(report.model_dump_json(by_alias=True, exclude={FIELD})) + "\n"


def series_to_json(head: Mapping[str, object], reports: Iterable[Report]) -> str:
    """What several reports say together, with the reports as they are under `reports`, as one JSON object."""
    whole = ",".join(to_json(report).rstrip("\n") for report in reports)
    return f'{json.dumps(head)[:-1]}, "reports": [{whole}]}}\n'


@dataclass(frozen=True)
class ReportsRead:
    """The reports of one side of a comparison."""

    reports: tuple[Report, ...]
    faults: tuple[str, ...]
    """Of each file whose seal does not hold: its path and what is wrong, as a clause."""


def read_report(path: Path) -> Report:
    """A report from its JSON file, checked whole. Raises `BenchError` when it is not one, or its seal does not hold."""
    side = _read(path)
    if side.faults:
        raise BenchError(f"report {side.faults[0]}")
    return side.reports[0]


def read_side(path: Path) -> ReportsRead:
    """The report of a file, or those of all `.json` files in a folder, broken seals and all. Raises `BenchError`."""
    if not path.is_dir():
        return _read(path)
    paths = sorted(path.glob("*.json"))
    if not paths:
        raise BenchError(f"folder {path}: holds no .json file, expected the reports of a series of runs")
    sides = [_read(found) for found in paths]
    return ReportsRead(
        tuple(report for side in sides for report in side.reports),
        tuple(fault for side in sides for fault in side.faults),
    )


def _read(path: Path) -> ReportsRead:
    from pydantic import ValidationError

    try:
        raw = read_at_most(path, LIMIT_BYTES)
    except OSError as error:
        raise BenchError(f"report {path}: cannot be read ({error.strerror}); name a file that --json wrote") from None
    if len(raw) > LIMIT_BYTES:
        raise BenchError(f"report {path}: larger than {LIMIT_BYTES >> 20} MiB; not a report")
    try:
        report = model_from(Report, raw)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "the file") if isinstance(error, ValidationError) else str(error)
        several = "'rop.bench-" in problem
        advice = "that file holds other than one run" if several else "measure again with --json"
        raise BenchError(f"report {path}: not a whole {REPORT_SCHEMA} report ({problem}); {advice}") from None
    wrong = seal_fault(raw, report.seal)
    return ReportsRead((report.model_copy(update={"seal": None}),), (f"{path} {wrong}",) if wrong else ())


def to_csv(report: Report) -> str:
    """One line a frame: raw latencies in milliseconds, and what each sensor said nearest to its capture."""
    frames, machine = report.frames, report.machine
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{name}_ms" for name in frames.columns]
    writer.writerow(["number", "source", "at_s", "dropped_before", "outcome", *columns, *machine.values])
    nearest = 0
    for index, at_s in enumerate(frames.at_s):
        while nearest + 1 < len(machine.at_s) and abs(machine.at_s[nearest + 1] - at_s) <= abs(
            machine.at_s[nearest] - at_s
        ):
            nearest += 1
        sensed = [values[nearest] for values in machine.values.values()] if machine.at_s else []
        source = no_formula(frames.source[index])
        row = [frames.number[index], source, at_s, frames.dropped_before[index], frames.outcome[index]]
        writer.writerow([*row, *(values[index] for values in frames.columns.values()), *sensed])
    return text.getvalue()
