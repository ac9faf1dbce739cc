"""A bundle tried on this machine, in a process of its own: self-test, and stored frames beside the running bundle.

A graph that crashes its engine takes the child with it and is told; nothing is noted as used by a trial.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from device.checked_file import read_at_most, strict_json
from device.version import software_version
from runtime.bundles.flushed import write_flushed
from runtime.bundles.store import Slots
from runtime.cpu_class import cpu_class
from runtime.percentiles import percentile, samples_needed
from runtime.trust.errors import SiteError
from runtime.trust.site import open_site

TIMEOUT_S = 600.0
TRIAL_LIMIT_BYTES = 4 * 2**20
TRIAL_SCHEMA = "rop.bundle-trial/3"


@dataclass(frozen=True)
class TrialRequest:
    """What is tried, and how."""

    bundle: Path
    running: Path | None = None
    """The bundle to compare with, on the journal's frames; None compares with nothing."""
    journal: Path | None = None
    key_file: Path | None = None
    frames: int = 60
    """Of the newest stored ones."""
    engine: str = "auto"
    precision: str = "auto"
    site_profile: Path | None = None
    trusted_keys: Path | None = None
    station: str = ""

    @property
    def sample(self) -> str:
        """Which frames are compared, in words; "" for none."""
        return "" if self.journal is None else f"{self.frames} of {self.journal.absolute()}"


@dataclass(frozen=True)
class Compared:
    """One stored frame, read by both."""

    eye: str
    view: str
    before: str
    """Outcome by the running bundle."""
    after: str
    before_ms: float
    after_ms: float


@dataclass(frozen=True)
class Trial:
    """What a trial found."""

    problem: str
    """Why the bundle is not to be used here, "" when it is."""
    self_test: str = "none"
    engine: str = ""
    """What ran it."""
    frames: tuple[Compared, ...] = ()
    not_compared: str = ""
    """Why there was no comparison, "" when there was one."""
    plans: str = ""
    """What came of plans for a GPU."""
    lacking: tuple[str, ...] = ()
    """What the bundle does without, or no longer refers, see `runtime.bundles.safeguards`."""
    against: str | None = None
    """The bundle that was active, by its folder, "" for none; None: not known."""
    sample: str = ""
    """The journal that it was to be compared on, and how many of its frames; "" for none."""

    @property
    def changed(self) -> tuple[Compared, ...]:
        """Frames whose outcome is another."""
        return tuple(frame for frame in self.frames if frame.before != frame.after)

    def answers(self, asked: TrialRequest) -> bool:
        """Whether it tells what `asked` would: against the bundle that is active now, and compared where that can be.

        One that was compared answers also where no journal is named.
        """
        running = "" if asked.running is None else asked.running.name
        if self.against not in (None, running):
            return False
        return asked.journal is None or asked.running is None or bool(self.frames and self.sample == asked.sample)

    def objections(self, most_changed: float, budget_ms: float) -> list[str]:
        """Why a person should look before this bundle is activated."""
        if self.problem:
            return [self.problem]
        found = [*self.lacking]
        if len(self.changed) > most_changed * len(self.frames):
            share = len(self.changed) / len(self.frames)
            found.append(
                f"{len(self.changed)} of {len(self.frames)} outcomes changed ({share:.0%}), at most {most_changed:.0%}"
            )
        lost = [frame for frame in self.frames if frame.before == "REFER" and frame.after == "NO_REFERRAL_FINDINGS"]
        if lost:
            where = ", ".join(sorted({f"{frame.eye} {frame.view}" for frame in lost}))
            found.append(f"{len(lost)} frame(s) were REFER and would be NO REFERRAL FINDINGS ({where})")
        if self.frames:
            p, ms = _slowest([frame.after_ms for frame in self.frames])
            if ms > budget_ms:
                found.append(f"latency {p} {ms:.0f} ms, budget {budget_ms:g} ms")
        return found

    def lines(self, budget_ms: float) -> list[str]:
        """For people."""
        if self.problem:
            return [f"tried here: {self.problem}"]
        said = [f"tried here: self-test {self.self_test}, {self.engine}"]
        if self.plans:
            said.append(self.plans)
        if not self.frames:
            return [*said, f"not compared: {self.not_compared}"]
        said.append(f"{len(self.frames)} stored frames of this cart: {len(self.changed)} outcomes changed")
        for (eye, view, before, after), count in sorted(
            Counter((frame.eye, frame.view, frame.before, frame.after) for frame in self.changed).items()
        ):
            said.append(f"  {eye} {view}: {count} x {before.replace('_', ' ')} -> {after.replace('_', ' ')}")
        (p, now), (_, then) = (
            _slowest([getattr(frame, name) for frame in self.frames]) for name in ("after_ms", "before_ms")
        )
        said.append(f"latency {p}: {now:.0f} ms, running bundle {then:.0f} ms, budget {budget_ms:g} ms")
        return said


def _slowest(values: Sequence[float]) -> tuple[str, float]:
    """The highest percentile that so many samples bear."""
    for p in (99, 95, 50):
        if len(values) >= samples_needed(p):
            return f"p{p}", percentile(values, p)
    return "max", max(values)


def try_bundle(asked: TrialRequest, timeout_s: float = TIMEOUT_S) -> Trial:
    """Try it. Never raises for what the bundle does: that is the trial's `problem`."""
    content = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(asked).items()}
    content["key"] = None if asked.journal is None or asked.key_file is not None else _key_of_the_surroundings()
    call = [sys.executable, "-m", "runtime.bundles.trial_child"]
    try:
        ended = subprocess.run(
            call, input=json.dumps(content).encode(), capture_output=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return Trial(f"its trial did not end within {timeout_s:g} s")
    if ended.returncode < 0:
        return Trial(f"its engine ended by {signal.Signals(-ended.returncode).name}")
    try:
        return _trial(strict_json(ended.stdout.splitlines()[-1]))
    except (ValueError, TypeError, KeyError, IndexError):
        last = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no answer"]
        return Trial(f"its trial ended with code {ended.returncode}: {last[0][:300]}")


def _key_of_the_surroundings() -> str | None:
    """A key without a file, for the child's ears only: it is in no child's environment."""
    from runtime.exam.errors import KeyUnusable
    from runtime.exam.journal.crypt import find_key

    try:
        key = find_key()
    except KeyUnusable:  # which the child would say too
        return None
    return None if key is None else key.text


def kept_trial(slots: Slots, sha256: str, asked: TrialRequest) -> Trial | None:
    """How the bundle did in this slot, when it was tried by this software with these libraries and options; else None.

    One that was held against another bundle than `asked.running` is told as it was; `Trial.against` names that.
    """
    try:
        content = strict_json(read_at_most(slots.trial_file(sha256), TRIAL_LIMIT_BYTES))
        if content["schema"] != TRIAL_SCHEMA or content["machine"] != _machine(asked):
            return None
        return _trial(content["trial"])
    except (OSError, ValueError, TypeError, KeyError, SiteError):
        return None


def keep_trial(slots: Slots, sha256: str, asked: TrialRequest, trial: Trial) -> None:
    """Keep how it did, for the next activation. Raises `OSError`, `SiteError`."""
    content = {"schema": TRIAL_SCHEMA, "machine": _machine(asked), "trial": asdict(trial)}
    write_flushed(slots.trial_file(sha256), json.dumps(content).encode() + b"\n")


def _machine(asked: TrialRequest) -> list[str]:
    """What the answers of an engine rest on beside the bundle, and the site's word under which it was tried."""
    site = open_site(asked.site_profile, asked.trusted_keys, station=asked.station)
    word = [str(site.profile_sha256), *sorted(key.hex() for key in (site.keys.keys if site.keys else ()))]
    return [str(cpu_class()), os.uname().nodename, *_libraries(), asked.engine, asked.precision, *word]


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    from importlib.metadata import PackageNotFoundError, version

    found = [software_version()]
    for name in ("openvino", "tensorrt", "tensorrt-rtx-cu13", "numpy", "opencv-python-headless"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return tuple(found)


def _trial(content: Mapping[str, Any]) -> Trial:
    frames = tuple(Compared(**frame) for frame in content.get("frames", ()))
    return Trial(**{**content, "frames": frames, "lacking": tuple(content.get("lacking", ()))})
