"""`pull`: a cart takes the package whose turn it is, tries it, and makes it the active bundle."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from runtime.bundles.actions import Means, activate, install
from runtime.bundles.errors import NotActivated
from runtime.bundles.flushed import write_flushed
from runtime.bundles.left import left_bundles
from runtime.errors import BundleError, ScreeningError
from runtime.fleet.errors import FleetError
from runtime.fleet.fetch import PackageSource
from runtime.fleet.release import LIMIT_BYTES, RELEASE, RELEASE_NUMBER, BundleInUse, Package, parse_release
from runtime.slots import installed

PULLING = ".pulling"
PULLED = "pulled.json"
PULLED_SCHEMA = "rop.pulled/1"
MOST_TOLD = 3
"""Packages of a release that a pull which takes none says something of."""
BY_PULL = "pulled, release "
"""How the reason begins why a pulled bundle is active."""


@dataclass(frozen=True)
class Pulled:
    """What came of a pull."""

    result: str
    """`nothing`, `activated`, `installed`, `refused` or `failed`."""
    words: str
    bundle: str = ""
    """SHA-256 of the manifest that it was about."""
    release: int = 0
    """Number of the release that was seen; 0 when none could be."""
    at: str = ""


def pull(means: Means, source: PackageSource, *, only_install: bool = False, now: datetime | None = None) -> Pulled:
    """Look, and take what may be taken now. Whatever goes wrong is told in what is given; nothing is half done.

    means: with the site's keys and the station's name. What was found is kept in the slots, for the cart's report.
    """
    now = now or datetime.now(timezone.utc)
    try:
        found = _pull(means, source, only_install, now)
    except NotActivated as error:
        found = Pulled("refused", str(error))
    except ScreeningError as error:
        found = Pulled("failed", str(error))
    found = Pulled(found.result, found.words, found.bundle, found.release, now.isoformat(timespec="seconds"))
    with suppress(OSError):
        means.folder.mkdir(parents=True, exist_ok=True)
        write_flushed(means.folder / PULLED, json.dumps({"schema": PULLED_SCHEMA, **asdict(found)}).encode() + b"\n")
    return found


def _pull(means: Means, source: PackageSource, only_install: bool, now: datetime) -> Pulled:
    site = means.site()
    if site.keys is None:
        raise FleetError("pull: no trusted keys; name their folder with --trusted-keys or in ROP_TRUSTED_KEYS")
    if not means.station:
        raise FleetError("pull: the cart has no name; name it with --station or in ROP_STATION")
    name = f"{source.where}/{RELEASE}"
    release = parse_release(name, source.small(RELEASE, LIMIT_BYTES), site.keys)
    site.issues.take(RELEASE_NUMBER, release.issue, what=name)
    state = None
    with suppress(BundleError):
        state = means.slots.read()
    active = None
    if state is not None:
        with suppress(BundleError):  # damaged: whatever may come after any bundle mends it
            used = means.slots.bundle(state.active)
            active = BundleInUse(used.sha256, used.manifest.name, used.manifest.issue)
    # Also where the list of what was left could not be written, or is younger than the switch.
    passed = [state.previous] if state is not None and state.previous is not None else []
    passed += left_bundles(means.folder)
    package = release.next_for(means.station, active, now, passed)
    if package is None:
        why = [
            f"{one.name} {one.version} ({one.bundle_sha256[:12]}) "
            + release.kept_back(one, means.station, active, now, passed)
            for one in sorted(release.packages, key=lambda one: -one.issue)
        ]
        shown = [*why[:MOST_TOLD], *([f"{len(why) - MOST_TOLD} more"] if len(why) > MOST_TOLD else [])]
        words = ": ".join(["nothing for this cart now", *(["; ".join(shown)] if shown else [])])
        return Pulled("nothing", words, release=release.issue)
    named = f"{package.name} {package.version} ({package.bundle_sha256[:12]})"
    try:
        _install(means, source, package)
        if only_install:
            return Pulled("installed", f"{named}: installed", package.bundle_sha256, release.issue)
        activate(means, package.bundle_sha256, why=f"{BY_PULL}{release.issue}", seen=state)
    except NotActivated as error:
        return Pulled("refused", str(error), package.bundle_sha256, release.issue)
    except ScreeningError as error:
        return Pulled("failed", str(error), package.bundle_sha256, release.issue)
    return Pulled("activated", f"{named}: active", package.bundle_sha256, release.issue)


def _install(means: Means, source: PackageSource, package: Package) -> None:
    """Into its slot, unless it is there whole already, as after a pull that only installed."""
    if package.bundle_sha256 in installed(means.folder):
        with suppress(BundleError):
            means.slots.bundle(package.bundle_sha256)
            return
    with _file_of(means.folder) as (path, file):
        try:
            source.copy(package.file, package.size, file)
            file.flush()
        except OSError as error:
            raise FleetError(
                f"{means.folder}: {package.file} cannot be kept ({error.strerror or error}); make room for it"
            ) from None
        file.seek(0)
        sha256 = hashlib.sha256()
        while chunk := file.read(1024 * 1024):
            sha256.update(chunk)
        if sha256.hexdigest() != package.sha256:
            raise FleetError(
                f"{package.file}: SHA-256 {sha256.hexdigest()[:12]}..., the release says {package.sha256[:12]}...; "
                f"copy it again"
            )
        install(means, path, sha256=package.bundle_sha256, whole_signed=True)


@contextmanager
def _file_of(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """One file for what is being fetched, so that nothing piles up; one pull at a time."""
    path = folder / PULLING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise FleetError(f"{folder}: cannot be written ({error.strerror or error}); allow it") from None
    with open(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(f"{folder}: another pull is at work; it is tried again next time") from None
        file.truncate(0)
        try:
            yield path, file
        finally:
            path.unlink(missing_ok=True)
