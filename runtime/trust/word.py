"""`sites_word`: what a site decides of every reading, in the one place where it is decided.

Every `Screener` asks here, by its guard's site; no command says it again, and none can forget it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.engines.address import is_address, parse_address
from runtime.errors import BundleError
from runtime.quality import QualityLimits
from runtime.trust.errors import SiteError
from runtime.trust.site import Site

if TYPE_CHECKING:
    from runtime.bundle import Bundle


@dataclass(frozen=True)
class Word:
    """What decides a reading beside its bundle's networks."""

    threshold: float
    """REFER when the refer classes' probabilities add up to this or more."""
    budget: Budget
    limits: QualityLimits


def sites_word(
    site: Site,
    bundle: Bundle,
    *,
    threshold: float | None = None,
    budget: Budget = Budget(),  # noqa: B008 (frozen)
    limits: QualityLimits | None = None,
) -> Word:
    """The signed profile's word where it says something, then what the caller asks, then the bundle's and our own.

    threshold: between 0 and 1, of an exam that was opened under another profile; it alone goes before the site's.
    budget: of each stage the smaller of the caller's and the site's counts. Raises `SiteError` for limits beside those
    of the profile, `BundleError` for a bundle of another gate, `ValueError` for a threshold that would refer nothing or
    everything.
    """
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold: got {threshold}, expected between 0 and 1: over 1 nothing would be referred")
    profile = site.profile
    if threshold is None:
        sites = profile.refer_threshold if profile else None
        threshold = bundle.manifest.refer_threshold if sites is None else sites
    own = bundles_limits(bundle)
    if profile is None:
        return Word(threshold, budget, limits or own)
    sites_limits = replace(own, **profile.quality_limits)
    if profile.quality_limits and limits not in (None, sites_limits):
        raise SiteError("quality limits: the site's profile sets them; leave them out, or have another profile signed")
    return Word(threshold, _tighter(budget, profile.budget), sites_limits if limits is None else limits)


def check_server(site: Site, engine: str) -> None:
    """Raise `SiteError` for a server that the site does not let its frames be read by.

    engine: as it was asked for; one of this machine, or a machine without a site, may be what it likes.
    """
    if not is_address(engine) or site.keys is None:
        return
    address = parse_address(engine)
    servers = None if site.profile is None else site.profile.servers
    if servers is None or address.target not in servers.addresses:
        named = "none" if servers is None else ", ".join(servers.addresses)
        raise SiteError(
            f"engine {address}: the site's profile names {named} to read its frames; have one signed that names "
            f"{address.target} under servers, or read with --engine auto"
        )
    if servers.encrypted and not address.tls:
        raise SiteError(f"engine {address}: the site's profile wants it encrypted; add ?ca=FILE or ?tls=system to it")


def bundles_limits(bundle: Bundle) -> QualityLimits:
    """The gate's limits as the bundle states them, else our own. Raises `BundleError` for a limit of another gate."""
    stated = bundle.manifest.gate or {}
    unknown = sorted(stated.keys() - {limit.name for limit in fields(QualityLimits)})
    if unknown:
        raise BundleError(
            f"bundle {bundle.path}: its gate has the limit {unknown[0]}, which this version does not know; "
            f"use the version that made it"
        )
    return QualityLimits(**stated)


def _tighter(asked: Budget, site: Budget) -> Budget:
    limits = {}
    for stage in fields(Budget):
        both = [value for value in (getattr(asked, stage.name), getattr(site, stage.name)) if value is not None]
        limits[stage.name] = min(both, default=None)
    return Budget(**limits)
