"""How a cart stands, as one signed JSON (`rop.cart-report/1`): versions, drift, outbox, latency; nobody's name.

Two lines: the report as one JSON object, and the signature line of the first line's bytes, newline included.
"""

from __future__ import annotations

import math
import re
import shutil
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from device.checked_file import read_at_most, strict_json
from device.signature import signature_line
from device.version import software_version
from runtime.bundles.actions import Means
from runtime.bundles.flushed import write_flushed
from runtime.bundles.starts import WENT_BACK
from runtime.dicom.outbox import outbox_state
from runtime.errors import BundleError, ScreeningError
from runtime.exam.errors import KeyUnusable
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key
from runtime.fleet.errors import FleetError
from runtime.fleet.pull import BY_PULL, PULLED
from runtime.manifest import Sha256
from runtime.percentiles import percentile, samples_needed
from runtime.slots import Active

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ENDING = ".report"
LIMIT_BYTES = 256 * 1024
DRIFT_FILE = "drift.json"
MOST_READINGS = 2000
"""Newest readings that latency is told of."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleLine(_Part):
    """One bundle of a cart."""

    sha256: Sha256
    name: str
    version: str
    issue: int = Field(ge=0)
    clinical_use: bool
    state: Literal["active", "previous", ""]
    problem: str = ""


class Latency(_Part):
    """Of the newest readings, milliseconds; a percentile that so few do not bear is None."""

    readings: int = Field(ge=0)
    p50: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    p99: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    slowest: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    late: int = Field(default=0, ge=0)


class OutboxLine(_Part):
    """Exams on their way to the archive."""

    waiting: int = Field(ge=0)
    proving: int = Field(ge=0)
    held: int = Field(ge=0)
    done: int = Field(ge=0)
    oldest_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class CartReport(_Part):
    """The whole report."""

    schema_: Literal["rop.cart-report/1"] = Field(alias="schema")
    station: str = Field(min_length=1, max_length=100)
    at: AwareDatetime
    software: str
    bundles: tuple[BundleLine, ...]
    since: str = ""
    """When the active bundle was switched to."""
    why: str = ""
    """In a program's words; a person's stay on the cart, since people name people."""
    returned: bool = False
    """Whether the cart went back to the active bundle."""
    drift: str
    """`steady`, `gathering`, `none`, `unreadable`, or what drifted."""
    outbox: OutboxLine | None
    latency: Latency | None
    free_mib: int = Field(ge=0)
    pulled: str = ""
    """What came of the last pull."""
    problems: tuple[str, ...] = ()
    """What of this report could not be had, and why."""

    @property
    def active(self) -> BundleLine | None:
        """The bundle in use."""
        return next((bundle for bundle in self.bundles if bundle.state == "active"), None)


def make_report(means: Means, now: datetime | None = None) -> CartReport:
    """The report of this cart. What cannot be had is named in `problems`, and the rest goes on. Never raises those."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", means.station):
        raise FleetError(
            f"--station {means.station[:40]!r}: expected a name of letters, digits, '.', '_' and '-'; it names a file"
        )
    now, problems = now or datetime.now(timezone.utc), []
    bundles: tuple[BundleLine, ...] = ()
    state = None
    try:
        state = means.slots.read()
        bundles = tuple(
            BundleLine(
                sha256=slot.sha256,
                name=slot.name,
                version=slot.version,
                issue=slot.issue,
                clinical_use=slot.clinical_use,
                state=slot.state,
                problem=slot.problem,
            )
            for slot in means.slots.slots()
        )
    except BundleError as error:
        problems.append(str(error))
    outbox = latency = None
    if means.journal is not None:
        try:
            outbox, latency = _of_journal(means.journal, means.key_file, now)
        except ScreeningError as error:
            # Its words may name an exam.
            keyless = isinstance(error, KeyUnusable)
            problems.append("the journal's key is missing or does not fit" if keyless else type(error).__name__)
    free = 0
    with suppress(OSError):
        free = shutil.disk_usage(means.journal or means.folder).free // 2**20
    return CartReport(
        schema="rop.cart-report/1",
        station=means.station,
        at=now,
        software=software_version(),
        bundles=bundles,
        since="" if state is None else state.since,
        why="" if state is None else _why(state),
        returned=state is not None and state.returned,
        drift="none" if means.journal is None else _drift(means.journal / DRIFT_FILE),
        outbox=outbox,
        latency=latency,
        free_mib=free,
        pulled=_pulled(means.folder / PULLED),
        problems=tuple(problems),
    )


def write_report(report: CartReport, folder: Path, key: Ed25519PrivateKey) -> Path:
    """Sign it and write it as `STATION.report`, in place of the last one. Raises `FleetError`."""
    body = report.model_dump_json(by_alias=True).encode() + b"\n"
    path = folder / f"{report.station}{ENDING}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_flushed(path, body + signature_line(body, key))
    except OSError as error:
        raise FleetError(f"{path}: cannot be written ({error.strerror or error}); name another folder") from None
    return path


def _of_journal(folder: Path, key_file: Path | None, now: datetime) -> tuple[OutboxLine, Latency]:
    with Journal.open(folder, find_key(key_file), read_only=True, check=False) as journal:
        state = outbox_state(journal, now)
        totals, late = _totals(journal)
    outbox = OutboxLine(
        waiting=state.waiting, proving=state.proving, held=state.held, done=state.done, oldest_s=state.oldest_age_s
    )
    if not totals:
        return outbox, Latency(readings=0)
    enough = {p: len(totals) >= samples_needed(p) for p in (50, 99)}
    p50, p99 = (percentile(totals, p) if enough[p] else None for p in (50, 99))
    return outbox, Latency(readings=len(totals), p50=p50, p99=p99, slowest=max(totals), late=late)


def _totals(journal: Journal) -> tuple[list[float], int]:
    """Milliseconds of the newest readings, and how many were late."""
    found: list[float] = []
    late = 0
    for summary in journal.exams():
        try:
            captures = journal.exam(summary.exam_id).captures
        except ScreeningError:
            continue  # damaged: verify tells of it
        for reading in (capture.reading for capture in captures):
            total = None if reading is None else (reading.get("timings_ms") or {}).get("total")
            if isinstance(total, (int, float)) and not isinstance(total, bool) and 0 <= total < math.inf:
                found.append(float(total))
                late += bool(reading and reading.get("late"))
        if len(found) >= MOST_READINGS:
            break
    return found, late


def _why(state: Active) -> str:
    if state.why.startswith((WENT_BACK, BY_PULL)):
        return state.why
    return "a person went back" if state.returned else "a person activated it"


def _drift(path: Path) -> str:
    try:
        state = strict_json(read_at_most(path, LIMIT_BYTES))["state"]
        reasons = [str(reason) for reason in state["reasons"]]
        return "; ".join(reasons) if reasons else "steady" if state["windows"] else "gathering"
    except FileNotFoundError:
        return "none"
    except (OSError, ValueError, TypeError, KeyError):
        return "unreadable"


def _pulled(path: Path) -> str:
    try:
        content = strict_json(read_at_most(path, LIMIT_BYTES))
        return f"{content['at']}: {content['result']}: {content['words']}"[:500]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
