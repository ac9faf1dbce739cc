"""Starts of programs that read for long: one whose bundle fails, or that keeps dying, goes back to the one before.

Each start is counted before anything is loaded and forgotten when the program has lasted. Three that did not last, one
after the other, are a crash loop. Before going back the earlier bundle is tried: where that fails too, it is not the
bundle, and nothing is switched. No program goes back twice by itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from device.checked_file import read_at_most, strict_json
from runtime.bundles.errors import SlotsError
from runtime.bundles.flushed import write_flushed
from runtime.bundles.lock import locked
from runtime.bundles.store import Slots
from runtime.bundles.trial import TrialRequest, try_bundle
from runtime.errors import BundleError, EngineError, ScreeningError
from runtime.slots import default_slots, is_slots
from runtime.trust.site import open_site

STARTS, STARTS_LOCK = "starts.json", ".starts.lock"
STARTS_SCHEMA = "rop.starts/1"
LIMIT_BYTES = 64 * 1024
MOST_STARTS = 3
LASTING_S = 60.0
LOCK_WAIT_S = 10.0
WENT_BACK = "went back: "
"""How the reason begins where a program went back by itself."""
WINDOW_S = 3600.0
"""Starts that lie further apart are no loop."""


@dataclass(frozen=True)
class Program:
    """Which slots a program uses, and how it reads with them."""

    name: str
    bundle: Path | None
    """As for `open_bundle`."""
    engine: str = "auto"
    precision: str = "auto"
    site_profile: Path | None = None
    trusted_keys: Path | None = None
    station: str = ""

    @property
    def folder(self) -> Path | None:
        """Its slots; None where it was told to use one bundle and no slots."""
        folder = default_slots() if self.bundle is None else self.bundle
        return folder if is_slots(folder) else None


@contextmanager
def counted_start(
    program: Program, say: Callable[[str], None], *, lasting_s: float = LASTING_S
) -> Iterator[Callable[[], None]]:
    """Around a program's whole run; what is given says that it lasts, before it has run for `lasting_s` seconds.

    Goes back before the run where the last starts were a crash loop, and after it where the bundle could not be loaded
    or failed its self-test (`BundleError`, `EngineError`); the program's next start takes the earlier bundle then.
    say: gets what was done, in one line. Never raises of itself.
    """
    folder = program.folder
    if folder is None:
        yield lambda: None
        return
    starts = _Starts(folder, program.name)
    if starts.begin() > MOST_STARTS:
        go_back(program, f"crash loop: {MOST_STARTS} starts of {program.name} did not last", say)
        starts.forget()
    timer = threading.Timer(lasting_s, starts.forget)
    timer.daemon = True
    timer.start()
    try:
        yield starts.forget
    except (BundleError, EngineError) as error:
        if starts.counting:
            go_back(program, f"{program.name}: {error}", say)
            starts.forget()
        raise
    except Exception:
        raise  # it counts: the bundle may be why
    else:
        starts.forget()
    finally:
        timer.cancel()


def go_back(program: Program, why: str, say: Callable[[str], None]) -> bool:
    """Go back to the bundle before, when that one works here; whether it was done. Never raises."""
    folder = program.folder
    if folder is None:
        return False
    slots, why = Slots(folder), why[:500]
    try:
        state = slots.read()
        if state is None or state.previous is None or state.returned:
            raise SlotsError("there is no bundle to go back to" if state is None or not state.returned else state.why)
        before = slots.bundle(state.previous)
        asked = TrialRequest(
            before.path,
            engine=program.engine,
            precision=program.precision,
            site_profile=program.site_profile,
            trusted_keys=program.trusted_keys,
            station=program.station,
        )
        trial = try_bundle(asked)
        if trial.problem:
            raise SlotsError(f"the bundle before fails as well: {trial.problem}")
        site = open_site(program.site_profile, program.trusted_keys, station=program.station)
        slots.back(f"{WENT_BACK}{why}", site, unless_returned=True, seen=state)
    except ScreeningError as error:
        say(f"{why}; did not go back to an earlier bundle: {error}")
        return False
    say(f"{why}; went back to {before.manifest.name} {before.manifest.version} ({before.sha256[:12]})")
    return True


def forget_starts(folder: Path) -> None:
    """No start counts any more: another bundle is active. Never raises."""
    with suppress(OSError), _alone(folder):
        (folder / STARTS).unlink(missing_ok=True)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """One program at a time reads and writes the starts. Raises `OSError`, also where a program holds the lock for
    long, which must keep no cart from starting."""
    return locked(folder / STARTS_LOCK, LOCK_WAIT_S)


class _Starts:
    """Starts that have not lasted, by program, in one small file; where it cannot be written none are counted."""

    def __init__(self, folder: Path, program: str) -> None:
        self._path = folder / STARTS
        self._program = program
        self.counting = True

    def begin(self) -> int:
        """Count this start; how many there are now that did not last, this one included."""
        try:
            with _alone(self._path.parent):
                counts, now = self._read(), time.time()
                recent = [at for at in counts.get(self._program, []) if abs(now - at) < WINDOW_S]
                recent = [*recent, now][-MOST_STARTS - 1 :]
                self._write({**counts, self._program: recent})
        except OSError:
            return 0
        return len(recent)

    def forget(self) -> None:
        """The program lasts, or ended as it should."""
        if self.counting:
            self.counting = False
            with suppress(OSError), _alone(self._path.parent):
                self._write({**self._read(), self._program: []})

    def _read(self) -> dict[str, list[float]]:
        try:
            content = strict_json(read_at_most(self._path, LIMIT_BYTES))
            starts = content["starts"] if content["schema"] == STARTS_SCHEMA else {}
            return {str(name): [float(at) for at in times] for name, times in starts.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def _write(self, counts: dict[str, list[float]]) -> None:
        write_flushed(self._path, json.dumps({"schema": STARTS_SCHEMA, "starts": counts}).encode() + b"\n")
