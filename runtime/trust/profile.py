"""The site profile, `rop.site/1`: what a site decided for its carts, signed; nothing else may change these things.

The file has two lines: the profile as one JSON object, and the signature line (`device.signature`) of the first line's
bytes, newline included.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device.signature import SignatureInvalid
from runtime.budget import Budget
from runtime.checked_json import NotJson, first_problem, model_from, read_at_most
from runtime.manifest import Sha256
from runtime.quality import QualityLimits
from runtime.trust.errors import SiteError
from runtime.trust.keys import TrustedKeys
from runtime.views import MOST_RETAKES, View

SITE_SCHEMA = "rop.site/1"
PROFILE_LIMIT_BYTES = 256 * 1024
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class DriftSettings(BaseModel):
    """How the watch for drift is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str = "all"
    """Which of the bundle's references to hold the frames against: `all`, or a camera's name."""
    gradable_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of frames that is gradable at this site when all is well; None takes the reference's."""


class ReadingServers(BaseModel):
    """Which servers may read this site's frames, which then leave the cart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    """`HOST:PORT`, as `--engine triton://HOST:PORT` names it."""
    encrypted: bool = True
    """Whether frames may go there by TLS only."""
    read_here: bool = False
    """Whether the cart's own engine reads the frames that no server can be asked for; each such reading says so."""


class SiteProfile(BaseModel):
    """What a site decided."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal["rop.site/1"] = Field(alias="schema")
    site: str = Field(min_length=1, max_length=100)
    issued: date
    expires: date
    """Last day on which it may be used (UTC)."""
    issue: int = Field(default=0, ge=0)
    """Grows with each profile of this site: a cart that has used a higher one refuses it. 0: not numbered."""
    stations: tuple[str, ...] = ()
    """Carts that it is for; empty for all of the site's."""
    bundle_sha256: Sha256 | None = None
    """Of the manifest of the one bundle that may be used; None leaves the choice to the cart."""
    refer_threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """In place of the bundle's; only with `bundle_sha256`, since it says nothing about another model."""
    required_views: Annotated[tuple[View, ...], Field(min_length=1)] | None = None
    """Of each eye, in place of the five."""
    retakes: Annotated[int, Field(ge=0, le=MOST_RETAKES)] | None = None
    budget_ms: dict[str, _Positive] = {}
    """By stage, and `total`."""
    quality_limits: dict[str, float] = {}
    """In place of the gate's own, by their names in `QualityLimits`."""
    allow_unsigned: bool = False
    """Whether a bundle without a signature may be used."""
    allow_unsigned_plans: bool = False
    """Whether a plan without a signature may be used: a plan is code that runs on the GPU's host."""
    servers: ReadingServers | None = None
    """None: frames are read on the cart."""
    self_test_every_s: Annotated[float, Field(ge=10, le=86400)] = 3600.0
    drift: DriftSettings = DriftSettings()

    @field_validator("budget_ms", "quality_limits")
    @classmethod
    def _known(cls, values: dict[str, float]) -> dict[str, float]:
        names = {f.name for kind in (Budget, QualityLimits) for f in fields(kind)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not known")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> SiteProfile:
        if self.expires < self.issued:
            raise ValueError(f"expires {self.expires} is before issued {self.issued}")
        if self.refer_threshold is not None and self.bundle_sha256 is None:
            raise ValueError("refer_threshold: needs bundle_sha256, a threshold belongs to one model")
        if self.required_views is not None and len(set(self.required_views)) != len(self.required_views):
            raise ValueError("required_views: a view is named twice")
        try:
            self.budget, self.limits  # noqa: B018 (made once here, to see that they can be)
        except (TypeError, ValueError) as error:
            raise ValueError(f"budget_ms, quality_limits: {error}") from None
        return self

    @property
    def budget(self) -> Budget:
        """Milliseconds allowed."""
        return Budget(**self.budget_ms)

    @property
    def limits(self) -> QualityLimits:
        """Of the quality gate."""
        return QualityLimits(**self.quality_limits)


def parse_profile(name: str, body: bytes) -> SiteProfile:
    """The profile in a JSON object. Raises `SiteError`; `name` is said in it."""
    try:
        return model_from(SiteProfile, body)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "profile") if isinstance(error, ValidationError) else str(error)
        raise SiteError(f"site profile {name}: not a {SITE_SCHEMA}: {problem}; correct it") from None


def read_profile(
    path: Path, keys: TrustedKeys, *, station: str = "", today: date | None = None
) -> tuple[SiteProfile, str, str]:
    """The profile, the SHA-256 of its file, and who signed it.

    Nothing in it is looked at before its signature has been checked. Raises `SiteError` when it is missing, altered,
    signed with a foreign key, not yet valid, expired, or for other stations.
    """
    try:
        data = read_at_most(path, PROFILE_LIMIT_BYTES)
    except OSError as error:
        raise SiteError(
            f"site profile {path}: cannot be read ({error.strerror or error}); name the site's signed profile"
        ) from None
    body, newline, line = data.partition(b"\n")
    try:
        signature = keys.signature(f"site profile {path.name}", body + newline, line)
    except SignatureInvalid as error:
        raise SiteError(
            f"site profile {path.name}: {error}; get it anew, or sign it: "
            f"python -m build_engines sign PROFILE.json --key KEY.pem --out {path.name}"
        ) from None
    profile = parse_profile(path.name, body)
    _check_use(path.name, profile, station, today or datetime.now(timezone.utc).date())
    return profile, hashlib.sha256(data).hexdigest(), signature.by or ""


def _check_use(name: str, profile: SiteProfile, station: str, today: date) -> None:
    if today > profile.expires:
        raise SiteError(f"site profile {name}: expired on {profile.expires}, today is {today}; have a new one signed")
    if today < profile.issued:
        raise SiteError(
            f"site profile {name}: issued on {profile.issued}, today is {today}; set this machine's clock right"
        )
    if profile.stations and station not in profile.stations:
        raise SiteError(
            f"site profile {name}: is for {', '.join(profile.stations)}, this is {station or 'a cart without a name'}; "
            f"name the station with --station or in ROP_STATION, or use its own profile"
        )
