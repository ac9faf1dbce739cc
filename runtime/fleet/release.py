"""`release.signed` (`rop.release/1`): what a site has for its carts, what may follow what, and when for how many.

Two lines: one JSON object, and the signature line (`device.signature`) of the first line's bytes, newline included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device.signature import SignatureInvalid
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.fleet.errors import FleetError
from runtime.manifest import LARGEST_FILE, Sha256
from runtime.trust.keys import TrustedKeys

RELEASE = "release.signed"
RELEASE_SCHEMA = "rop.release/1"
LIMIT_BYTES = 2**20
RELEASE_NUMBER = "release"
"""Under what name a cart keeps the highest number that it has seen."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wave(_Part):
    """From when on which share of the carts may take a package."""

    percent: float = Field(gt=0, le=100, allow_inf_nan=False)
    begins: AwareDatetime


class Package(_Part):
    """One bundle for the carts."""

    file: str = Field(min_length=1, max_length=200)
    """Beside the release."""
    size: int = Field(gt=0, le=LARGEST_FILE)
    sha256: Sha256
    """Of the file."""
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    issue: int = Field(ge=1)
    bundle_sha256: Sha256
    follows: tuple[Sha256, ...] | None
    """Bundles after which it may come; None: after any, and on a cart that has none."""
    waves: tuple[Wave, ...] = Field(min_length=1)

    @field_validator("file")
    @classmethod
    def _plain(cls, name: str) -> str:
        if PurePosixPath(name).name != name or name.startswith(".") or not name.isascii() or not name.isprintable():
            raise ValueError("must be a plain file name")
        return name

    def open_for(self, station: str, now: datetime) -> bool:
        """Whether a cart's turn has come: its place is under the share of a wave that has begun."""
        place = place_of(station, self.bundle_sha256)
        return any(wave.begins <= now and place < wave.percent for wave in self.waves)

    def turn_of(self, station: str, now: datetime) -> datetime | None:
        """When the next wave begins that a cart is in; None where none is to come."""
        place = place_of(station, self.bundle_sha256)
        return min((wave.begins for wave in self.waves if wave.begins > now and place < wave.percent), default=None)

    def may_follow(self, active: str | None) -> bool:
        """Whether it may come after the bundle that is active on a cart."""
        return self.follows is None or (active is not None and active in self.follows)


@dataclass(frozen=True)
class BundleInUse:
    """The bundle that a cart uses."""

    sha256: str
    name: str
    issue: int


class Release(_Part):
    """The whole file."""

    schema_: Literal["rop.release/1"] = Field(alias="schema")
    issue: int = Field(ge=1)
    """Grows with each; a cart takes no older one."""
    packages: tuple[Package, ...]

    @model_validator(mode="after")
    def _once_each(self) -> Release:
        if len({package.bundle_sha256 for package in self.packages}) != len(self.packages):
            raise ValueError("packages: a bundle is there twice")
        return self

    def next_for(
        self, station: str, active: BundleInUse | None, now: datetime, passed: Sequence[str] = ()
    ) -> Package | None:
        """The package that this cart may take now; None where there is none. The highest number is taken first.

        passed: bundles that this cart went away from, which it does not take again by itself.
        """
        fitting = [package for package in self.packages if not self.kept_back(package, station, active, now, passed)]
        return max(fitting, key=lambda package: (package.issue, package.bundle_sha256), default=None)

    @staticmethod
    def kept_back(
        package: Package, station: str, active: BundleInUse | None, now: datetime, passed: Sequence[str] = ()
    ) -> str:
        """Why this cart does not take a package now, in words that follow the package's name; "" where it may."""
        sha256 = None if active is None else active.sha256
        if package.bundle_sha256 == sha256:
            return "is in use"
        if package.bundle_sha256 in passed:
            return "is one that this cart left; activate it by hand to have it again"
        if active is not None and package.name == active.name and package.issue <= active.issue:
            return f"has number {package.issue}, the one in use has {active.issue}"
        if not package.may_follow(sha256):
            before = ", ".join(one[:12] for one in package.follows or ()) or "none"
            return f"follows {before}, in use is {'none' if sha256 is None else sha256[:12]}"
        if package.open_for(station, now):
            return ""
        turn = package.turn_of(station, now)
        return "is for other carts, by its waves" if turn is None else f"is for this cart from {turn.isoformat()}"


def place_of(station: str, bundle_sha256: str) -> float:
    """Where a cart stands among all, from 0 to below 100; another order for each bundle: nobody is always first."""
    digest = hashlib.sha256(f"{bundle_sha256}\n{station}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 * 100


def parse_release(name: str, data: bytes, keys: TrustedKeys) -> Release:
    """The release, its signature checked first. Raises `FleetError`; `name` is said in it."""
    body, newline, line = data.partition(b"\n")
    try:
        keys.signature(name, body + newline, line)
    except SignatureInvalid as error:
        raise FleetError(f"{name}: {error}; get it anew from whoever signs for this site") from None
    try:
        return model_from(Release, body)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "release") if isinstance(error, ValidationError) else str(error)
        raise FleetError(f"{name}: not a {RELEASE_SCHEMA}: {problem}; push it again with this version") from None
