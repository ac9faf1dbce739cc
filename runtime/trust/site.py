"""`Site`: what a cart was told to trust, and the one place where bundles and plans are held against it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from device.checked_file import read_at_most
from device.signature import LINE_LIMIT_BYTES, SignatureInvalid
from runtime.bundle import MANIFEST, Bundle, manifest_bytes
from runtime.reading import Signature, SiteFacts
from runtime.trust.errors import SignatureRefused, SiteError
from runtime.trust.issues import WITHDRAWN_FILE, WITHDRAWN_LIST, Issues, read_withdrawn
from runtime.trust.keys import TrustedKeys, read_trusted_keys

if TYPE_CHECKING:
    from runtime.trust.profile import SiteProfile

MANIFEST_SIGNATURE = "manifest.sig"
PLAN_SIGNATURE = "plan.sig"
PROFILE_VARIABLE = "ROP_SITE_PROFILE"
KEYS_VARIABLE = "ROP_TRUSTED_KEYS"
STATION_VARIABLE = "ROP_STATION"
HOW_TO_SIGN = "sign it: python -m build_engines sign {} --key KEY.pem"


@dataclass(frozen=True)
class Site:
    """What a cart trusts. Make it with `open_site`; `Site()` is a cart that nobody configured.

    Such a cart runs demonstration bundles only, and its readings say that nothing was checked.
    """

    keys: TrustedKeys | None = None
    profile: SiteProfile | None = None
    profile_sha256: str | None = None
    profile_by: str = ""
    withdrawn: frozenset[str] = frozenset()
    """SHA-256 of what must not be used any more."""
    issues: Issues = field(default_factory=Issues, compare=False)

    @property
    def facts(self) -> SiteFacts | None:
        """What a reading says of the profile."""
        if self.profile is None or self.profile_sha256 is None:
            return None
        return SiteFacts(self.profile.site, self.profile_sha256, self.profile_by)

    def check_bundle(self, bundle: Bundle) -> Signature:
        """Who stands for the bundle. Raises `SignatureRefused`, or `SiteError` for a bundle that is not the site's."""
        return self.check_sealed(bundle, *sealed(bundle))

    def check_sealed(self, bundle: Bundle, body: bytes, line: bytes | None) -> Signature:
        """As `check_bundle`, by the bytes of the manifest and of its signature as they were when it was opened."""
        wanted = self.profile.bundle_sha256 if self.profile else None
        if wanted is not None and wanted != bundle.sha256:
            raise SiteError(
                f"bundle {bundle.manifest.name} {bundle.manifest.version} ({bundle.sha256[:12]}...): the site's "
                f"profile is for {wanted[:12]}...; use that bundle, or have a profile for this one signed"
            )
        if self.keys is None:
            if bundle.manifest.clinical_use:
                raise SignatureRefused(
                    f"bundle {bundle.manifest.name}: made for clinical use, and no site is configured that vouches for "
                    f"it; name --trusted-keys and --site-profile"
                )
            return Signature("unchecked")
        if hashlib.sha256(body).hexdigest() != bundle.sha256:
            raise SignatureRefused(f"bundle {bundle.path}: {MANIFEST} changed while it was opened; open it again")
        allowed = self.profile is not None and self.profile.allow_unsigned
        signature = self._check(f"bundle {bundle.path}", bundle.path, MANIFEST_SIGNATURE, body, line, allowed)
        self._check_use(bundle, signed=signature.state == "signed", pinned=wanted is not None)
        return signature

    def _check_use(self, bundle: Bundle, *, signed: bool, pinned: bool) -> None:
        """What a right signature does not say: that it is still to be used."""
        manifest = bundle.manifest
        what = f"bundle {manifest.name} {manifest.version} ({bundle.sha256[:12]}...)"
        if bundle.sha256 in self.withdrawn:
            raise SignatureRefused(f"{what}: was withdrawn by whoever signs for this site; use another bundle")
        if manifest.expires is not None and datetime.now(timezone.utc).date() > manifest.expires:
            raise SignatureRefused(f"{what}: expired on {manifest.expires}; have a new one signed")
        if pinned and self.profile is not None and self.profile.issue > 0:
            return  # the newest profile wants this very bundle, however old
        issue = manifest.issue if signed else 0  # anybody can write a number into what nobody signed
        self.issues.check(issue_name(manifest.name), issue, what=what, sha256=bundle.sha256 if signed else "")

    def note_used(self, bundle: Bundle, signature: Signature) -> None:
        """The bundle passed its self-test: from now on none of a lower number is taken. Raises `SiteError`."""
        if signature.state == "signed":
            self.issues.note(issue_name(bundle.manifest.name), bundle.manifest.issue)

    def check_plan(self, folder: Path, body: bytes) -> Signature:
        """Who stands for a plan, by the bytes of its `plan.json`. Raises `SignatureRefused`, `SiteError`."""
        if self.keys is None:
            return Signature("unchecked")
        allowed = self.profile is not None and self.profile.allow_unsigned_plans
        line = _signature(folder / PLAN_SIGNATURE)
        if hashlib.sha256(body).hexdigest() in self.withdrawn:
            raise SignatureRefused(f"plan {folder}: was withdrawn by whoever signs for this site; build it again")
        return self._check(f"plan {folder}", folder, PLAN_SIGNATURE, body, line, allowed)

    def _check(
        self, what: str, folder: Path, name: str, body: bytes, line: bytes | None, allow_unsigned: bool
    ) -> Signature:
        """A wrong signature is refused also where none is needed: somebody meant the content to be another."""
        assert self.keys is not None
        how = HOW_TO_SIGN.format(folder)
        if line is None:
            if allow_unsigned:
                return Signature("unsigned")
            raise SignatureRefused(f"{what}: has no {name}, and this site runs signed ones only; {how}")
        try:
            return self.keys.signature(what, body, line)
        except SignatureInvalid as error:
            raise SignatureRefused(f"{what}: {name}: {error}; copy it again, or {how}") from None


def open_site(
    profile: Path | None = None, trusted_keys: Path | None = None, *, station: str = "", today: date | None = None
) -> Site:
    """The site that the files, or else `ROP_SITE_PROFILE` and `ROP_TRUSTED_KEYS`, describe.

    station: name of this cart, or else `ROP_STATION`; a profile may be for some only. With keys and no profile, bundles
    and plans must be signed and everything else is as the bundle says. Raises `SiteError`.
    """
    profile = profile or _from_environment(PROFILE_VARIABLE)
    trusted_keys = trusted_keys or _from_environment(KEYS_VARIABLE)
    if trusted_keys is None:
        if profile is None:
            return Site()
        raise SiteError(
            f"site profile {profile}: no trusted keys to check it with; name their folder with --trusted-keys or in "
            f"{KEYS_VARIABLE}"
        )
    keys, issues = read_trusted_keys(trusted_keys), Issues()
    listed = read_withdrawn(trusted_keys, keys)
    issues.take(WITHDRAWN_LIST, listed.issue if listed else 0, what=f"{trusted_keys / WITHDRAWN_FILE}")
    withdrawn = frozenset(listed.sha256 if listed else ())
    if profile is None:
        return Site(keys, withdrawn=withdrawn, issues=issues)
    from runtime.trust.profile import read_profile

    content, sha256, by = read_profile(profile, keys, station=this_station(station), today=today)
    if sha256 in withdrawn:
        raise SiteError(f"site profile {profile.name}: was withdrawn; get the new one")
    issues.take(f"profile {content.site}", content.issue, what=f"site profile {profile.name}")
    return Site(keys, content, sha256, by, withdrawn, issues)


def this_station(named: str = "") -> str:
    """Which cart this is: as it was named, else as `ROP_STATION` says; "" where nobody says."""
    return named or os.environ.get(STATION_VARIABLE, "")


def issue_name(bundle_name: str) -> str:
    """Under what name a bundle's issue numbers are kept."""
    return f"bundle {bundle_name}"


def sealed(bundle: Bundle) -> tuple[bytes, bytes | None]:
    """The bytes of a bundle's manifest and of its signature as they stand; None where there is no signature."""
    return manifest_bytes(bundle.path), _signature(bundle.path / MANIFEST_SIGNATURE)


def watched(
    bundle: Bundle, check_plan: Callable[[Path, bytes], Signature], note: Callable[[str, Signature], None]
) -> Bundle:
    """The bundle, its plans checked before they are loaded; `note` gets SHA-256 and signer of those that pass."""

    def check(folder: Path, body: bytes) -> None:
        note(hashlib.sha256(body).hexdigest(), check_plan(folder, body))

    return replace(bundle, check_plan=check)


def named_in_environment(profile: Path | None, trusted_keys: Path | None, station: str = "") -> dict[str, str]:
    """What to add to the environment of another process of ours, so that it obeys the same site."""
    named = {PROFILE_VARIABLE: profile, KEYS_VARIABLE: trusted_keys}
    found = {name: str(path.resolve()) for name, path in named.items() if path is not None}
    return found | ({STATION_VARIABLE: station} if station else {})


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _signature(path: Path) -> bytes | None:
    """The signature file's bytes; None where there is none."""
    try:
        return read_at_most(path, LINE_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SignatureRefused(f"{path}: cannot be read ({error.strerror or error}); allow it") from None
