"""A site's decisions put into force: the Screener and the exam's rules as the signed profile wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.exam.rules import DEFAULT_RETAKES, ExamRules, rules_for
from runtime.exam.views import View
from runtime.quality import QualityLimits
from runtime.screener import Screener
from runtime.trust.errors import SiteError
from runtime.trust.guard import Guard
from runtime.trust.site import Site

if TYPE_CHECKING:
    from runtime.bundle import Bundle


def screener_for(
    site: Site,
    bundle: Bundle,
    *,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    budget: Budget = Budget(),  # noqa: B008 (frozen)
    reject_repeats: bool = True,
    threshold: float | None = None,
    drift_file: Path | None = None,
) -> Screener:
    """A Screener that is guarded, with threshold, budget and quality limits of the site where it set them.

    budget: of the caller; the site's milliseconds are an upper bound for each stage. threshold: of an exam that was
    opened under another one; None is the site's, or else the bundle's. Raises what `Guard` and `Screener` raise.
    """
    profile = site.profile
    return Screener(
        bundle,
        engine=engine,
        precision=precision,
        threads=threads,
        budget=_tighter(budget, profile.budget) if profile else budget,
        limits=profile.limits if profile else QualityLimits(),
        reject_repeats=reject_repeats,
        threshold=threshold or (profile.refer_threshold if profile else None),
        trust=Guard(bundle, site, drift_file=drift_file),
    )


def site_rules(
    site: Site, bundle: Bundle, *, required_views: Sequence[View] = tuple(View), retakes: int = DEFAULT_RETAKES
) -> ExamRules:
    """The rules of an exam at that site. What its profile sets stands; to ask for something else is a `SiteError`.

    Also raises what `Site.check_bundle` raises.
    """
    site.check_bundle(bundle)
    profile = site.profile
    if profile is None:
        return rules_for(bundle, required_views=required_views, retakes=retakes)
    if profile.required_views is not None:
        asked = tuple(required_views)
        _unless_default("views", asked == tuple(View), set(asked) == set(profile.required_views))
        required_views = profile.required_views
    if profile.retakes is not None:
        _unless_default("retakes", retakes == DEFAULT_RETAKES, retakes == profile.retakes)
        retakes = profile.retakes
    return rules_for(
        bundle,
        required_views=required_views,
        retakes=retakes,
        threshold=profile.refer_threshold,
        site_profile_sha256=site.profile_sha256,
    )


def _unless_default(what: str, default: bool, same: bool) -> None:
    if not (default or same):
        raise SiteError(f"{what}: the site's profile sets them; leave the option out, or have another profile signed")


def _tighter(asked: Budget, site: Budget) -> Budget:
    limits = {}
    for stage in fields(Budget):
        both = [value for value in (getattr(asked, stage.name), getattr(site, stage.name)) if value is not None]
        limits[stage.name] = min(both, default=None)
    return Budget(**limits)
