"""Baselines: reports kept by a name, in the state folder, to hold later runs against."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from runtime.bench.errors import BenchError
from runtime.bench.report.export import ReportsRead, read_report, read_side, to_json, write_report_file
from runtime.bench.schema import Report
from runtime.errors import OutputError
from runtime.sinks.files import prepare_folder
from runtime.site_state import state_folder

FOLDER = "bench-baselines"


def baselines(state: Path | None = None) -> dict[str, Path]:
    """All that are kept: name to file."""
    folder = (state or state_folder()) / FOLDER
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def save(report: Report, name: str, state: Path | None = None) -> str:
    """Keep a report by a name, and say so; the one before of that name is replaced. Raises `BenchError`.

    One that was stopped is not kept, and one that decides nothing, as it is INVALID, replaces none that does.
    """
    path = place(name, state)
    if report.interrupted:
        return f"baseline {name}: not kept, the run was stopped"
    before = _readable(path)
    invalid = report.verdict == "INVALID"
    if invalid and before is not None and before.verdict != "INVALID":
        return f"baseline {name}: not kept, the run is INVALID; the one of {before.created} stays"
    write_report_file(path, to_json(report))
    replaced = "" if before is None else f", in place of the one of {before.created}"
    how = f"compare with it: python -m runtime.bench compare {name} B"
    if invalid:
        how = "it is INVALID, so a comparison with it decides nothing: run again"
    return f"baseline {name}: kept{replaced}; {how}"


def _readable(path: Path) -> Report | None:
    """What lies there, if it is a report and its seal holds."""
    if not path.exists():
        return None
    with suppress(BenchError):
        return read_report(path)
    return None


def place(name: str, state: Path | None = None) -> Path:
    """Where it is kept; the folder is made. Raises `BenchError` where that cannot be, before a run and not after it."""
    path = (state or state_folder()) / FOLDER / f"{name}.json"
    try:
        prepare_folder(path.parent)
    except OutputError as error:
        raise BenchError(f"baseline {name}: {error}; name the folder in ROP_SITE_STATE") from None
    return path


def side(named: Path, state: Path | None = None) -> ReportsRead:
    """A side of a comparison: a report, a folder of them, or a baseline; what lies there goes before a name.

    Raises `BenchError`, naming the baselines that there are where the word is no path at all.
    """
    if named.exists() or named.name != str(named) or named.suffix == ".json":
        return read_side(named)
    kept = baselines(state)
    if str(named) in kept:
        return read_side(kept[str(named)])
    known = ", ".join(kept) or "none; make one: python -m runtime.bench --save-baseline NAME"
    raise BenchError(f"{named}: neither a file, a folder nor a baseline; baselines here: {known}")
