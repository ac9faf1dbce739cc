"""`status`: the reports of a folder, each by its cart's key, as a table and a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from pydantic import ValidationError

from device.checked_file import read_at_most
from device.signature import SignatureInvalid
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.commands.text import printable
from runtime.fleet.errors import FleetError
from runtime.fleet.report import ENDING, LIMIT_BYTES, CartReport
from runtime.outcome import AID_NOTICE
from runtime.sinks.page import STYLE
from runtime.trust.keys import TrustedKeys

FUTURE = timedelta(minutes=10)
"""A cart's clock may be ahead by so much."""
LEAST_FREE_MIB = 1024
"""Of a cart's disk: some twenty exams of ten pictures of 4.5 MB (2040 x 2040) take so much."""
MOST_NAMED = 20


@dataclass(frozen=True)
class CartLine:
    """One cart."""

    report: CartReport
    needs: tuple[str, ...]
    """Why somebody should look; empty when all is well."""


@dataclass(frozen=True)
class Fleet:
    """What a folder of reports says."""

    rows: tuple[CartLine, ...]
    """By station, those that need somebody first."""
    refused: tuple[str, ...]
    """One line for each file that is not believed."""
    unheard: tuple[str, ...] = ()
    """Stations whose key is there, and no report at all."""

    @property
    def fine(self) -> bool:
        """Whether nobody has to look at anything."""
        return not (self.refused or self.unheard or any(row.needs for row in self.rows))

    @property
    def versions(self) -> Counter[str]:
        """Carts by what is active on them."""
        return Counter(named(row.report) for row in self.rows)


def read_fleet(folder: Path, keys: TrustedKeys, now: datetime, oldest: timedelta, budget_ms: float) -> Fleet:
    """Read every report of the folder. A file that is not to be believed is one line, and the rest goes on.

    keys: of the carts, each named for its station: a cart reports for itself alone. Raises `FleetError` for the folder.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(ENDING) and path.name[0] != ".")
    except OSError as error:
        raise FleetError(f"{folder}: cannot be read ({error.strerror or error}); name a folder of reports") from None
    rows, refused = [], []
    for path in paths:
        try:
            report = read_report(path, keys, now)
        except FleetError as error:
            refused.append(str(error))
        else:
            rows.append(CartLine(report, _needs(report, now, oldest, budget_ms)))
    rows.sort(key=lambda row: (not row.needs, row.report.station))
    unheard = keys.owners - {path.name.removesuffix(ENDING) for path in paths}
    return Fleet(tuple(rows), tuple(refused), tuple(sorted(unheard)))


def read_report(path: Path, keys: TrustedKeys, now: datetime) -> CartReport:
    """One report, its signature checked first. Raises `FleetError`."""
    try:
        data = read_at_most(path, LIMIT_BYTES)
    except OSError as error:
        raise FleetError(f"{path.name}: cannot be read ({error.strerror or error})") from None
    body, newline, line = data.partition(b"\n")
    try:
        signer = keys.signature(path.name, body + newline, line).by
        report = model_from(CartReport, body)
    except SignatureInvalid as error:
        raise FleetError(f"{path.name}: {error}") from None
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "report") if isinstance(error, ValidationError) else str(error)
        raise FleetError(f"{path.name}: not a report of this version: {problem}") from None
    if not signer == report.station == path.name.removesuffix(ENDING):
        raise FleetError(f"{path.name}: signed by {signer} for {report.station}; a cart reports for itself alone")
    if report.at > now + FUTURE:
        raise FleetError(f"{path.name}: is of {report.at:%Y-%m-%d %H:%M}, which is to come; set that cart's clock")
    return report


def _needs(report: CartReport, now: datetime, oldest: timedelta, budget_ms: float) -> tuple[str, ...]:
    found = []
    if now - report.at > oldest:
        found.append(f"silent since {report.at:%Y-%m-%d %H:%M}")
    if report.active is None:
        found.append("no bundle active")
    if report.returned:
        found.append(f"went back ({report.why})")
    found += [f"bundle {bundle.sha256[:12]}: {bundle.problem}" for bundle in report.bundles if bundle.problem]
    if report.drift not in ("steady", "gathering", "none"):
        found.append(f"drift: {report.drift}")
    if report.outbox is not None and report.outbox.held:
        found.append(f"{report.outbox.held} exam(s) held")
    if report.outbox is not None and (waited := report.outbox.oldest_s or 0) > oldest.total_seconds():
        found.append(f"an exam waits for the archive for {waited / 3600:.0f} h")
    if report.free_mib < LEAST_FREE_MIB:
        found.append(f"{report.free_mib} MiB of its disk are free")
    if report.latency is not None and report.latency.p99 is not None and report.latency.p99 > budget_ms:
        found.append(f"p99 {report.latency.p99:.0f} ms")
    if ": refused:" in report.pulled or ": failed:" in report.pulled:
        found.append(f"pull {report.pulled.partition(': ')[2]}")
    return (*found, *report.problems)


def named(report: CartReport) -> str:
    """The active bundle in words."""
    bundle = report.active
    return "-" if bundle is None else f"{bundle.name} {bundle.version}" + ("" if bundle.clinical_use else " (demo)")


def cells(row: CartLine, now: datetime) -> tuple[str, ...]:
    """One line of the table."""
    report = row.report
    outbox, latency = report.outbox, report.latency
    undone = "-" if outbox is None else str(outbox.waiting + outbox.proving + outbox.held)
    p99 = "-" if latency is None or latency.p99 is None else f"{latency.p99:.0f}"
    age = max(0, int((now - report.at).total_seconds()) // 3600)
    drift = report.drift if report.drift in ("steady", "gathering", "none", "unreadable") else "DRIFT"
    return report.station, named(report), drift, undone, p99, f"{age} h", "; ".join(row.needs)


HEADS = ("station", "active bundle", "drift", "outbox", "p99 ms", "age", "look at")


def table(fleet: Fleet, now: datetime) -> list[str]:
    """Lines for a terminal."""
    rows = [HEADS, *(cells(row, now) for row in fleet.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS) - 1)]
    return [
        printable("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip())
        for row in rows
    ] + summary(fleet)


def summary(fleet: Fleet) -> list[str]:
    """What a person wants first: how many carts, which need somebody, what runs where."""
    need = sum(bool(row.needs) for row in fleet.rows)
    versions = ", ".join(f"{count} x {name}" for name, count in fleet.versions.most_common())
    return [
        f"{len(fleet.rows)} cart(s), {need} to be looked at, {len(fleet.refused)} report(s) not believed",
        printable(f"active: {versions or 'nothing'}"),
        *([printable(f"never heard of: {_few(fleet.unheard)}")] if fleet.unheard else []),
    ]


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def page(fleet: Fleet, now: datetime) -> str:
    """One HTML file with nothing outside it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADS)
    body = "\n".join(_row(cells(row, now)) for row in fleet.rows)
    refused = _refused(fleet.refused)
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary(fleet))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Carts</title><style>{STYLE}</style></head>\n<body>\n<h1>Carts</h1>"
        f'<p class="faint">{now:%Y-%m-%d %H:%M} UTC</p>{lines}{refused}'
        f'<div class="panel"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
        f"<footer>{escape(AID_NOTICE)}</footer>\n</body></html>\n"
    )


def _row(row: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>"


def _refused(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(printable(line))}</li>" for line in lines)
    return f'<h2>Not believed</h2><ul class="notice">{items}</ul>'
