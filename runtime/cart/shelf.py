"""`Shelf`: the bundles of the Service screen: what is installed, and one change at a time in a thread of its own."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runtime.bundle import DEMONSTRATION, MANIFEST
from runtime.bundles import actions
from runtime.bundles.actions import Means
from runtime.bundles.errors import NotActivated
from runtime.bundles.store import BundleSlot
from runtime.bundles.trial import Trial, kept_trial
from runtime.cart.errors import NotNow, shown
from runtime.cart.noted import Noted
from runtime.errors import ScreeningError
from runtime.slots import installed

MEDIA = (Path("/media"), Path("/run/media"), Path("/mnt"))
"""Where what is plugged in is found."""
ARCHIVES = (".tar", ".tar.gz", ".tgz")
DEEPEST, MOST_LOOKED_AT, MOST_FOUND = 3, 2000, 20
FIXED = (
    "This cart reads one fixed bundle. To install and activate bundles here, let bundle.folder in cart.toml name a "
    "folder of slots, or leave it out."
)


@dataclass(frozen=True)
class Task:
    """A change that is going on, or the last one."""

    what: str
    """`install`, `activate`, `rollback`; "" before the first one."""
    running: bool = False
    said: tuple[str, ...] = ()
    """What came of it, for a technician."""
    problem: str = ""


class Shelf:
    """Safe for use from several threads; no call but `state` takes longer than a moment.

    means: None where the cart's bundle is a fixed one. changed: told whenever something changed. after: what a
    technician has to do besides once another bundle is active, "" for nothing. noted: keeps who did it and why.
    """

    def __init__(
        self,
        means: Means | None,
        changed: Callable[[], None] = lambda: None,
        *,
        media: Sequence[Path] = MEDIA,
        after: str = "",
        noted: Noted | None = None,
    ) -> None:
        self._means, self._changed, self._media, self._after = means, changed, media, after
        self._noted = noted or Noted()
        self._task = Task("")
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def state(self) -> dict[str, Any]:
        """What the screen shows; looks at every installed bundle and at what is plugged in."""
        task = {**asdict(self._task)}
        if self._means is None:
            return {"fixed": FIXED, "slots": [], "packages": [], "since": "", "back": "", "task": task, "problem": ""}
        slots, since, problem = [], "", ""
        try:
            slots = self._means.slots.slots()
            active = self._means.slots.read()
            since = "" if active is None else f"{active.since}: {self._noted.told(active.why)}"
        except ScreeningError as error:
            problem = shown(error)
        return {
            "fixed": "",
            "slots": [self._slot(self._means, slot) for slot in slots],
            "packages": list(packages(self._media)),
            "since": since,
            "back": next((_named(slot) for slot in slots if slot.state == "previous"), ""),
            "task": task,
            "problem": problem,
        }

    def _slot(self, means: Means, slot: BundleSlot) -> dict[str, Any]:
        trial = _kept(means, slot.sha256)
        told = [] if trial is None else trial.lines(means.budget_ms)
        objections = [] if trial is None else trial.objections(means.most_changed, means.budget_ms)
        forbidden = slot.problem or ("" if trial is None else trial.problem)
        return {**asdict(slot), "named": _named(slot), "trial": told, "objections": objections, "forbidden": forbidden}

    def install(self, path: str) -> None:
        """Unpack, check and try what lies there; it is not active then. Raises `NotNow` for what is no package."""
        source = Path(path)
        kind = 0
        with suppress(OSError, ValueError):
            kind = source.stat().st_mode
        if not source.is_absolute() or not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
            raise NotNow("there is no such folder or archive; give its whole path, as in /media/stick/bundle.tar.gz")

        def work(means: Means) -> Task:
            _keep_shipped(means)
            found = actions.install(means, source)
            manifest = found.bundle.manifest
            there = "is installed now, not active" if found.fresh else "was installed already"
            lines = [f"{manifest.name} {manifest.version} {there}", *found.trial.lines(means.budget_ms)]
            return Task("install", said=tuple(lines), problem=found.trial.problem)

        self._begin("install", work)

    def activate(self, sha256: str, *, despite: str, operator: str) -> None:
        """Make it the active one. despite: why, where its trial objects. Raises `NotNow`."""

        words = f"by {operator} on the cart" + (f", despite: {despite}" if despite else "")

        def work(means: Means) -> Task:
            try:
                _, notes = actions.activate(means, sha256, despite=despite, why=self._noted.sealed(words))
            except NotActivated as error:
                trial = _kept(means, sha256)
                if trial is None or trial.problem:
                    return Task("activate", problem=str(error))
                objections = trial.objections(means.most_changed, means.budget_ms)
                return Task("activate", problem=f"{'; '.join(objections)}; if it is meant, activate it with a reason")
            return Task("activate", said=self._now_active(means, sha256, notes))

        self._begin("activate", work)

    def rollback(self, *, reason: str, operator: str) -> None:
        """Make the one before the active one again. Raises `NotNow`."""

        def work(means: Means) -> Task:
            state = actions.rollback(means, self._noted.sealed(f"by {operator} on the cart, {reason}"))
            return Task("rollback", said=self._now_active(means, state.active, []))

        self._begin("rollback", work)

    def _now_active(self, means: Means, sha256: str, notes: Sequence[str]) -> tuple[str, ...]:
        manifest = means.slots.bundle(sha256).manifest
        further = (self._after,) if self._after else ()
        return (f"{manifest.name} {manifest.version} is the active bundle", *notes, *further)

    def _begin(self, what: str, work: Callable[[Means], Task]) -> None:
        means = self._means
        if means is None:
            raise NotNow(FIXED)
        with self._lock:
            if self._task.running:
                raise NotNow("another bundle is being looked at; wait until that is done")
            self._task = Task(what, running=True)
        self._thread = threading.Thread(target=self._work, args=(what, work, means), name="shelf", daemon=True)
        self._thread.start()
        self._changed()

    def _work(self, what: str, work: Callable[[Means], Task], means: Means) -> None:
        try:
            done = work(means)
        except (ScreeningError, OSError) as error:
            done = Task(what, problem=shown(error))
        except Exception as error:  # nobody waits for this thread: what it ends with has to be seen
            done = Task(what, problem=f"a fault of this software ({type(error).__name__}); report it")
        self._task = replace(done, running=False)
        self._changed()


def _keep_shipped(means: Means) -> None:
    """Slots that are empty get what the cart reads with until now, so that there is always an active bundle.

    It is compared with then, and can be gone back to. Raises `ScreeningError`s.
    """
    if means.slots.read() is None and not installed(means.folder):
        site = means.site()
        shipped, _ = means.slots.add(DEMONSTRATION, site.check_bundle)
        means.slots.switch(shipped.sha256, "what the cart read with before", site)


def _kept(means: Means, sha256: str) -> Trial | None:
    return kept_trial(means.slots, sha256, means.asked(means.folder / sha256, None))


def _named(slot: BundleSlot) -> str:
    return f"{slot.name} {slot.version} ({slot.sha256[:12]})" if slot.name else slot.sha256[:12]


def packages(media: Sequence[Path]) -> Iterator[str]:
    """Folders with a manifest and archives on what is plugged in, whatever it holds else; links are not followed."""
    left, found = MOST_LOOKED_AT, 0
    waiting = [(folder, 0) for folder in media]
    while waiting and found < MOST_FOUND:
        folder, depth = waiting.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)[:left]
        except OSError:
            continue
        left -= len(entries)
        if any(entry.name == MANIFEST and entry.is_file(follow_symlinks=False) for entry in entries):
            found += 1
            yield str(folder)
            continue
        for entry in entries:
            if not entry.name.isprintable():
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST:
                    waiting.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(ARCHIVES) and entry.is_file(follow_symlinks=False) and found < MOST_FOUND:
                found += 1
                yield entry.path
