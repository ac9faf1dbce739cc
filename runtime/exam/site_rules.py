"""A site's decisions put into force: the rules of an exam as the signed profile wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.exam.rules import ExamRules, rules_for
from runtime.trust.errors import SiteError
from runtime.trust.word import sites_word
from runtime.views import DEFAULT_RETAKES, View

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.trust.site import Site


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
        threshold=sites_word(site, bundle).threshold,
        site_profile_sha256=site.profile_sha256,
    )


def _unless_default(what: str, default: bool, same: bool) -> None:
    if not (default or same):
        raise SiteError(f"{what}: the site's profile sets them; leave the option out, or have another profile signed")
