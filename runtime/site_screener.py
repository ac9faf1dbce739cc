"""A site's decisions put into force: the Screener as the signed profile wants it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.quality import QualityLimits
from runtime.screener import Screener
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


def _tighter(asked: Budget, site: Budget) -> Budget:
    limits = {}
    for stage in fields(Budget):
        both = [value for value in (getattr(asked, stage.name), getattr(site, stage.name)) if value is not None]
        limits[stage.name] = min(both, default=None)
    return Budget(**limits)
