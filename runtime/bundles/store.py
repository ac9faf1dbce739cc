"""`Slots`: the folder of slots as it is changed. Whatever happens at whatever point, one whole bundle is active."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import EllipsisType
from typing import Literal

from runtime.bundle import MANIFEST, Bundle, open_bundle
from runtime.bundles.errors import PackageRefused, SlotsError
from runtime.bundles.flushed import WRITING, flush_folder, write_flushed
from runtime.bundles.left import note_switch
from runtime.bundles.lock import locked
from runtime.bundles.unpack import unpack
from runtime.errors import BundleError, ScreeningError
from runtime.plans import PLANS
from runtime.slots import ACTIVE, SLOTS_SCHEMA, Active, installed, read_active
from runtime.trust.issues import NoIssues
from runtime.trust.site import MANIFEST_SIGNATURE, Site, issue_name

ASIDE = ".aside-"
"""Folders with such names are of a change that was cut off, or that goes on."""
STALE_S = 3600
LOCK_WAIT_S = 10.0


@dataclass(frozen=True)
class BundleSlot:
    """An installed bundle."""

    sha256: str
    name: str
    version: str
    issue: int
    clinical_use: bool
    state: Literal["active", "previous", ""]
    """`active`, `previous` or ""."""
    problem: str = ""
    """Why it cannot be opened."""


class Slots:
    """A folder of slots. Any number of processes may change it, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> Active | None:
        """What is active; None where nothing is. Raises `BundleError`."""
        return read_active(self.folder)

    def bundle(self, sha256: str) -> Bundle:
        """An installed bundle, checked. Raises `BundleError`."""
        return open_bundle(self.folder / sha256)

    def slots(self) -> list[BundleSlot]:
        """All that are installed, the active one first."""
        state = self.read()
        marks: dict[str | None, Literal["active", "previous", ""]] = {}
        if state is not None:
            marks = {state.previous: "previous", state.active: "active"}
        found = []
        for sha256 in installed(self.folder):
            mark = marks.get(sha256, "")
            try:
                m = self.bundle(sha256).manifest
                found.append(BundleSlot(sha256, m.name, m.version, m.issue, m.clinical_use, mark))
            except BundleError as error:
                found.append(BundleSlot(sha256, "", "", 0, False, mark, str(error)))
        order = ("active", "previous", "")
        return sorted(found, key=lambda slot: (order.index(slot.state), slot.name, slot.issue, slot.version))

    def find(self, word: str) -> str:
        """SHA-256 of the bundle that is meant: the start of its SHA-256, its name, its version, or `NAME@VERSION`."""
        hashes = [sha256 for sha256 in installed(self.folder) if len(word) >= 6 and sha256.startswith(word)]
        slots = [] if hashes else self.slots()
        fitting = hashes or [slot.sha256 for slot in slots if word in _names(slot)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            each = ", ".join(sha256[:12] for sha256 in fitting)
            raise SlotsError(f"{word}: means several bundles; name one by its SHA-256: {each}")
        raise SlotsError(f"{word}: no such bundle in {self.folder}; see: python -m runtime.bundles list")

    def add(self, source: Path, check: Callable[[Bundle], object]) -> tuple[Bundle, bool]:
        """Unpack a package beside, check it, and put it into its slot; whether it was not there before.

        check: raises for a bundle that is not to be installed. Nothing of a refused package stays.
        Raises `PackageRefused`, `BundleError`, `SlotsError`, and what `check` raises.
        """
        with self._naming(), self._locked("install"), self._aside() as aside:
            fresh = _checked(unpack(source, aside), source, check)
            slot = self.folder / fresh.sha256
            if slot.exists():
                with suppress(BundleError):
                    return open_bundle(slot), False
                self._drop(slot)  # damaged: it can be opened by nobody
            os.rename(fresh.path, slot)
            flush_folder(self.folder)
            return open_bundle(slot), True

    def switch(self, sha256: str, why: str, site: Site, *, seen: Active | EllipsisType | None = ...) -> Active:
        """Make a bundle the active one, by one rename. It must have been opened and checked just now.

        seen: what was active when that was decided; where it is another one by now, nothing is switched (`SlotsError`).
        The bundle that was active is left: no pull takes it again.
        """
        with self._naming(), self._locked("switch"):
            before = self._believed()
            self._as_seen(before, seen)
            if sha256 not in installed(self.folder):  # removed since by another program
                raise SlotsError(f"{sha256[:12]}: is not installed any more; install it again")
            if before is not None and before.active == sha256:
                return before
            previous = None if before is None else before.active
            if previous is not None:
                self._allow_back(previous, site)
            state = self._write(Active(sha256, previous, _now(), why))
            note_switch(self.folder, sha256, left=previous)
            return state

    def back(self, why: str, site: Site, *, unless_returned: bool = False, seen: Active | EllipsisType = ...) -> Active:
        """Make the previous bundle the active one again. Raises `SlotsError` where there is none.

        unless_returned: of a program that goes back by itself: not away from what the cart went back to already.
        seen: as for `switch`.
        """
        with self._naming(), self._locked("switch"):
            state = self.read()
            self._as_seen(state, seen)
            if state is None or state.previous is None:
                raise SlotsError(f"{self.folder}: there is no bundle to go back to; activate one")
            if unless_returned and state.returned:
                raise SlotsError(f"{self.folder}: the cart went back once already ({state.why}); activate a bundle")
            self._allow_back(state.previous, site, must=True)
            back = self._write(Active(state.previous, state.active, _now(), why, returned=True))
            note_switch(self.folder, state.previous, left=state.active)
            return back

    def remove(self, sha256: str, *, previous_too: bool = False) -> None:
        """Remove an installed bundle. The active one stays; so does the previous one unless that is asked for."""
        with self._naming(), self._locked("install"), self._locked("switch"):
            state = self._believed()
            if state is not None and sha256 == state.active:
                raise SlotsError(f"{sha256[:12]}: is the active bundle; activate another one first")
            if state is not None and sha256 == state.previous:
                if not previous_too:
                    raise SlotsError(
                        f"{sha256[:12]}: is what the cart can go back to; remove it with --previous-too if it must be"
                    )
                self._write(Active(state.active, None, state.since, state.why, state.returned))
            self._drop(self.folder / sha256)
            for beside in (self.trial_file(sha256),):
                beside.unlink(missing_ok=True)

    def trial_file(self, sha256: str) -> Path:
        """Where it is kept how a bundle did when it was tried here."""
        return self.folder / f"{sha256}.trial.json"

    def _as_seen(self, state: Active | None, seen: Active | EllipsisType | None) -> None:
        if seen is not ... and state != seen:
            raise SlotsError(
                f"{self.folder}: another program or person changed what is active meanwhile; nothing was switched, "
                f"look: python -m runtime.bundles list"
            )

    def _believed(self) -> Active | None:
        """What is active; None also where the file is spoilt, so that a bundle can be activated again."""
        try:
            return self.read()
        except BundleError:
            return None

    def _allow_back(self, sha256: str, site: Site, *, must: bool = False) -> None:
        """Let the site's numbers know that this one, which was in use here, may be used again and finish its exams."""
        from dataclasses import replace

        try:
            bundle = self.bundle(sha256)
            signature = replace(site, issues=NoIssues()).check_bundle(bundle)
        except ScreeningError:
            if must:
                raise
            return
        if signature.state == "signed":
            site.issues.allow_back(issue_name(bundle.manifest.name), sha256)

    def _write(self, state: Active) -> Active:
        text = json.dumps({"schema": SLOTS_SCHEMA, **asdict(state)}, sort_keys=True) + "\n"
        write_flushed(self.folder / ACTIVE, text.encode())
        return state

    def _drop(self, slot: Path) -> None:
        """Out of its place by one rename, then away."""
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self.folder))
        os.rename(slot, aside / slot.name)
        flush_folder(self.folder)
        shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        for left in self.folder.glob(f"{ASIDE}*"):  # of a change that was cut off: whoever makes one holds the lock
            shutil.rmtree(left, ignore_errors=True)
        for file in self.folder.glob(f"{WRITING}*"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > STALE_S:
                    file.unlink()
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self.folder))
        try:
            os.chmod(aside, 0o755)
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        """One change at a time: `install` for the folders, `switch` for what is active; the kernel frees it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / f".{what}.lock", LOCK_WAIT_S))
            except BlockingIOError:
                raise SlotsError(f"{self.folder}: another program changes it; try again when it is done") from None
            yield

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SlotsError(
                f"{self.folder}: cannot be changed ({error.strerror or error}); make room for it or allow it, nothing "
                f"of it is active"
            ) from None


def _names(slot: BundleSlot) -> tuple[str, ...]:
    """What a person may call it."""
    return slot.name, slot.version, f"{slot.name}@{slot.version}"


def _checked(folder: Path, source: Path, check: Callable[[Bundle], object]) -> Bundle:
    try:
        bundle = open_bundle(folder)
        _nothing_more(bundle)
        check(bundle)
    except BundleError as error:  # names the source: what lies aside is gone when somebody reads this
        raise type(error)(str(error).replace(str(folder), str(source))) from None
    return bundle


def _nothing_more(bundle: Bundle) -> None:
    """A package holds what its manifest names, its signature and plans; anything else nobody has signed."""
    listed = {entry.path for entry in bundle.manifest.files} | {MANIFEST, MANIFEST_SIGNATURE}
    for path in bundle.path.rglob("*"):
        name = path.relative_to(bundle.path).as_posix()
        if path.is_file() and name not in listed and not name.startswith(f"{PLANS}/"):
            raise PackageRefused(f"package: {name[:100]!r} is not in its manifest; build the bundle again")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
