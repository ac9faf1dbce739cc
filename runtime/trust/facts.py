"""What a reading says of the trust in what made it: the field `trust` of `rop.reading/1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Signature:
    """Who stands for a bundle or a plan."""

    state: Literal["signed", "unsigned", "unchecked"]
    """`unsigned`: there is no signature, and the site's profile allows that. `unchecked`: no site is configured."""
    by: str | None = None
    """Name of the trusted key, its file's."""
    key: str | None = None
    """The public key, hex."""


@dataclass(frozen=True)
class SiteFacts:
    """The signed site profile that was in force."""

    name: str
    profile_sha256: str
    by: str
    """Name of the key that signed it."""


@dataclass(frozen=True)
class SelfTestFacts:
    """What the last known-answer self-test found."""

    state: Literal["passed", "failed", "none"]
    """`none`: the bundle holds no self-test."""
    at: str | None = None
    """Wall-clock time of the last test, ISO 8601, UTC."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class DriftFacts:
    """What the watch over the frames and scores of late says."""

    state: Literal["off", "gathering", "steady", "alarm"]
    """`off`: the bundle holds no reference. `gathering`: the first window is not full."""
    frames: int = 0
    """In the window that is being filled."""
    reasons: tuple[str, ...] = ()
    """What drifted, for an alarm."""


@dataclass(frozen=True)
class TrustFacts:
    """The field `trust` of a reading."""

    bundle: Signature
    plan: Signature | None
    """None where no plan runs."""
    site: SiteFacts | None
    """None where no site is configured."""
    self_test: SelfTestFacts
    drift: DriftFacts
