"""The verbs of `python -m runtime.fleet`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, time, timedelta, timezone
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from runtime.bundles.actions import Means
from runtime.bundles.verbs import means_of
from runtime.commands.say import say, say_json
from runtime.commands.text import printable
from runtime.fleet.errors import FleetError
from runtime.fleet.fetch import PackageSource
from runtime.fleet.keys import signing_key
from runtime.fleet.pull import pull as pull_now
from runtime.fleet.push import parse_follows
from runtime.fleet.push import push as push_bundle
from runtime.fleet.release import RELEASE, Wave
from runtime.fleet.report import make_report, write_report
from runtime.fleet.status import page, read_fleet, table
from runtime.fleet.units import units as unit_texts
from runtime.sinks.files import write_file
from runtime.site_state import ANCHOR_VARIABLE
from runtime.slots import SLOTS_VARIABLE
from runtime.trust.keys import read_trusted_keys
from runtime.trust.site import this_station

DONE, SAYS_NO, UNUSABLE = 0, 1, 2


def push(options: Namespace) -> int:
    """Add a package and sign the release."""
    waves = [_wave(text) for text in options.wave or ["100"]]
    for sooner, later in pairwise(sorted(waves, key=lambda wave: wave.begins)):
        if later.percent < sooner.percent:
            raise FleetError(
                f"--wave {later.percent:g}: begins after {sooner.percent:g}, and would change nothing: carts that may "
                "take a package keep that right; name shares that grow"
            )
    release = push_bundle(
        options.source,
        options.out,
        signing_key(options.key),
        follows=parse_follows(options.follows),
        waves=waves,
        drop=options.drop,
    )
    package = release.packages[-1]
    if options.json:
        say_json({"release": release.issue, "file": package.file, "bundle": package.bundle_sha256})
    else:
        say(printable(f"{options.out / package.file}: {package.name} {package.version}, {package.size} bytes"))
        say(f"{options.out / RELEASE}: release {release.issue}, {len(release.packages)} package(s)")
    return DONE


def _wave(text: str) -> Wave:
    percent, _, begins = text.partition(":")
    try:
        at = datetime.fromisoformat(begins) if begins else datetime.now(timezone.utc).replace(microsecond=0)
        at = at if at.tzinfo else datetime.combine(at.date(), at.time() or time(), timezone.utc)
        return Wave(percent=float(percent), begins=at)
    except (ValueError, ValidationError):
        raise FleetError(
            f"--wave {text[:60]}: expected PERCENT, above 0 to 100, and perhaps a day or time (UTC): 5:2026-12-01"
        ) from None


def pull(options: Namespace) -> int:
    """Take what may be taken."""
    found = pull_now(
        _named(means_of(options)), PackageSource(options.where, options.ca), only_install=options.only_install
    )
    if options.json:
        say_json(asdict(found))
    else:
        stream = sys.stderr if found.result in ("refused", "failed") else sys.stdout
        said = f"runtime.fleet: {found.words}" if stream is sys.stderr else found.words
        say(printable(said), stream=stream)
    return {"refused": SAYS_NO, "failed": UNUSABLE}.get(found.result, DONE)


def report(options: Namespace) -> int:
    """Write the report."""
    made = make_report(_named(means_of(options)))
    path = write_report(made, options.out, signing_key(options.key))
    if options.json:
        say(made.model_dump_json(by_alias=True))
    else:
        say(str(path), *(printable(f"not in it: {problem}") for problem in made.problems))
    return DONE


def _named(means: Means) -> Means:
    """With the cart's name from the environment where the line names none."""
    return replace(means, station=this_station(means.station))


def status(options: Namespace) -> int:
    """Read the reports; 1 when somebody should look."""
    now = datetime.now(timezone.utc)
    oldest = timedelta(hours=options.silent_hours)
    fleet = read_fleet(options.folder, read_trusted_keys(options.carts), now, oldest, options.budget_ms)
    if options.html is not None:
        write_file(options.html, page(fleet, now).encode("utf-8", "replace"))
    if options.json:
        for row in fleet.rows:
            say_json({**row.report.model_dump(mode="json", by_alias=True), "look_at": [*row.needs]})
    else:
        say(*table(fleet, now))
    for line in fleet.refused:
        say(printable(f"runtime.fleet: not believed: {line}"), stream=sys.stderr)
    if options.json and fleet.unheard:  # in the table they stand below it
        say(printable(f"runtime.fleet: never heard of: {', '.join(fleet.unheard)}"), stream=sys.stderr)
    return DONE if fleet.fine else SAYS_NO


PULLS = ("ca", "frames", "most_changed", "budget_ms", "engine", "precision", "trusted_keys", "site_profile")
BOTH = ("station", "journal", "key_file")
"""Options of `units` that the service's calls have as they were given; a path from the folder of the call."""


def units(options: Namespace) -> int:
    """Print the units."""
    for name in ("station", "trusted_keys"):  # a service has neither environment nor folder of whoever wrote it
        if not getattr(options, name):
            raise FleetError(f"--{name.replace('_', '-')}: a service has it from nowhere else; name it")
    common = _words(options, BOTH)
    PackageSource(options.where)  # what the service would refuse each hour is refused now
    where = options.where if "://" in options.where else str(Path(options.where).absolute())
    told: list[str] = []
    writes = []
    if slots := options.bundle or os.environ.get(SLOTS_VARIABLE):  # else the unit's own, as the cart's unit has it
        writes.append(Path(slots).absolute())
        common += ["--slots", str(writes[0])]
    if options.report_to is not None:
        if options.key is None:
            raise FleetError("--report-to: a report is signed; name the cart's private key with --key")
        told = ["--out", str(options.report_to.absolute()), "--key", str(options.key.absolute()), *common]
        writes.append(options.report_to.absolute())
    pulls = [where, *common, *_words(options, PULLS)]
    anchor = Path(named).absolute() if (named := os.environ.get(ANCHOR_VARIABLE)) else None
    found = unit_texts(Path(sys.executable), pulls, told, writes, options.user, anchor)
    if options.json:
        say_json(found)
    else:
        say(*(f"# {name}\n{text}" for name, text in found.items()))
    return DONE


def _words(options: Namespace, names: Sequence[str]) -> list[str]:
    words: list[str] = []
    for name in names:
        value = getattr(options, name)
        if value not in (None, ""):
            said = value.absolute() if isinstance(value, Path) else value
            words += [f"--{name.replace('_', '-')}", str(said)]
    return words
