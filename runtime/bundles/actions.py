"""What is done with slots, for the command line, the fleet and the cart's Service screen alike."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import EllipsisType

from device.checked_file import read_at_most
from runtime.budget import LIVE_BUDGET_MS
from runtime.bundle import Bundle
from runtime.bundles.errors import NotActivated, PackageRefused, SlotsError
from runtime.bundles.gpu_plans import build_plans, find_builder
from runtime.bundles.starts import forget_starts
from runtime.bundles.store import Slots
from runtime.bundles.trial import Trial, TrialRequest, keep_trial, kept_trial, try_bundle
from runtime.errors import BundleError
from runtime.plan_manifest import PLAN_MANIFEST
from runtime.plans import MANIFEST_LIMIT_BYTES, PLANS
from runtime.slots import Active, default_slots
from runtime.trust.errors import SiteError
from runtime.trust.issues import NoIssues
from runtime.trust.site import Site, open_site

MOST_CHANGED = 0.05


@dataclass(frozen=True)
class Means:
    """With what a bundle is checked and tried."""

    folder: Path = field(default_factory=default_slots)
    """Of the slots."""
    site_profile: Path | None = None
    trusted_keys: Path | None = None
    station: str = ""
    journal: Path | None = None
    """Whose stored frames the bundles are compared on."""
    key_file: Path | None = None
    engine: str = "auto"
    precision: str = "auto"
    frames: int = 60
    budget_ms: float = LIVE_BUDGET_MS
    most_changed: float = MOST_CHANGED
    """Share of the frames whose outcome may be another."""

    @property
    def slots(self) -> Slots:
        """The slots."""
        return Slots(self.folder)

    def site(self) -> Site:
        """The site, as its files say it now. Raises `SiteError`."""
        return open_site(self.site_profile, self.trusted_keys, station=self.station)

    def asked(self, bundle: Path, running: Path | None) -> TrialRequest:
        """What a trial is asked."""
        return TrialRequest(
            bundle,
            running,
            self.journal,
            self.key_file,
            self.frames,
            self.engine,
            self.precision,
            self.site_profile,
            self.trusted_keys,
            self.station,
        )


@dataclass(frozen=True)
class Installed:
    """What came of an installation."""

    bundle: Bundle
    fresh: bool
    """False: it was there already."""
    trial: Trial


def install(means: Means, source: Path, *, sha256: str | None = None, whole_signed: bool = False) -> Installed:
    """Unpack, check, build plans, try and compare; the bundle lies in its slot afterwards, and is not active.

    sha256: which bundle it has to be, None takes any that the site vouches for. whole_signed: somebody whom the site
    trusts signed all of the package's bytes, its plans too. A bundle that fails its self-test stays in its slot, where
    `activate` refuses it. Raises `ScreeningError`s.
    """
    site, slots = means.site(), means.slots

    def check(found: Bundle) -> None:
        site.check_bundle(found)
        if not whole_signed:
            _check_plans(found, site)
        if sha256 not in (None, found.sha256):
            raise PackageRefused(f"package: holds {found.sha256[:12]}..., expected {str(sha256)[:12]}...; get it anew")

    bundle, fresh = slots.add(source, check)
    plans = build_plans(bundle.path, site, find_builder())
    trial = replace(_try(means, bundle), plans=plans)
    return Installed(bundle, fresh, trial)


def _check_plans(found: Bundle, site: Site) -> None:
    """What a package brings runs in place of the graphs, so that a site with keys takes signed ones only.

    Also where it allows plans without a signature: those are the ones that this cart builds of graphs it checked.
    """
    if site.profile is not None:
        site = replace(site, profile=site.profile.model_copy(update={"allow_unsigned_plans": False}))
    for folder in sorted((found.path / PLANS).glob("*")):
        try:
            body = read_at_most(folder / PLAN_MANIFEST, MANIFEST_LIMIT_BYTES)
        except OSError as error:
            raise PackageRefused(
                f"package: {folder.name}: {error.strerror or error}; have its plans built anew"
            ) from None
        site.check_plan(folder, body)


def activate(
    means: Means, word: str, *, despite: str = "", why: str = "", seen: Active | EllipsisType | None = ...
) -> tuple[Active, list[str]]:
    """Make an installed bundle the active one; also what a person should know.

    word: see `Slots.find`. despite: why it is activated although the trial objects; nothing helps against a failed
    self-test, a wrong signature, or a bundle that is damaged. why: what is kept with it, in place of the usual words
    and of `despite`. seen: what was active when it was chosen; where that is another one by now, or another one becomes
    active during the trial, nothing is switched. Raises `NotActivated` or another `ScreeningError`.
    """
    slots, site = means.slots, means.site()
    sha256 = slots.find(word)
    bundle = slots.bundle(sha256)
    site.check_bundle(bundle)
    state = None
    with suppress(BundleError):
        state = slots.read()
    if state is not None and state.active == sha256:
        return state, ["it was active already"]
    seen = state if seen is ... else seen
    running = _running(slots)
    asked = means.asked(bundle.path, running)
    trial = kept_trial(slots, sha256, asked)
    if trial is None or not trial.answers(asked):
        trial = _try(means, bundle)
    objections = trial.objections(means.most_changed, means.budget_ms)
    if trial.problem:
        raise NotActivated(f"{bundle.manifest.name} {bundle.manifest.version}: {trial.problem}; it stays inactive")
    if objections and not despite:
        raise NotActivated(
            f"{bundle.manifest.name} {bundle.manifest.version}: {'; '.join(objections)}; look at it, and activate it "
            f"with --despite REASON if it is meant"
        )
    by_hand = f"activated by hand, despite: {despite}" if objections else "activated by hand"
    state = slots.switch(sha256, why or by_hand, site, seen=seen)
    forget_starts(means.folder)
    return state, [*objections]


def rollback(means: Means, why: str = "went back by hand") -> Active:
    """Make the previous bundle the active one again, once it has been checked. Raises `ScreeningError`s."""
    slots, site = means.slots, means.site()
    state = slots.read()
    if state is None or state.previous is None:
        raise SlotsError(f"{means.folder}: there is no bundle to go back to; activate one")
    replace(site, issues=NoIssues()).check_bundle(slots.bundle(state.previous))
    state = slots.back(why, site, seen=state)
    forget_starts(means.folder)
    return state


def _running(slots: Slots) -> Path | None:
    with suppress(BundleError):
        state = slots.read()
        return None if state is None else slots.folder / state.active
    return None


def _try(means: Means, bundle: Bundle) -> Trial:
    running = _running(means.slots)
    asked = means.asked(bundle.path, None if running == bundle.path else running)
    trial = replace(try_bundle(asked), sample=asked.sample)
    if running == bundle.path and trial.not_compared:
        trial = replace(trial, not_compared="it is the active bundle itself")
    with suppress(OSError, SiteError):
        keep_trial(means.slots, bundle.sha256, asked, trial)
    return trial
