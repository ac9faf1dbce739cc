"""What a site decides of every reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.quality import QualityLimits
from runtime.trust.errors import SiteError
from runtime.trust.profile import SiteProfile
from runtime.trust.site import Site
from runtime.trust.word import Word, sites_word
from tests.runtime.trust.conftest import profile_content

DIM = QualityLimits(brightness_min=10.0)


def site(**changes: Any) -> Site:
    return Site(None, SiteProfile.model_validate(profile_content(**changes)))


def test_without_a_profile_it_is_what_was_asked_or_else_the_bundles(bundle: Bundle) -> None:
    assert sites_word(Site(), bundle) == Word(0.5, Budget(), QualityLimits())
    asked = Budget(total=9, segment=1)
    assert sites_word(Site(), bundle, threshold=0.2, budget=asked, limits=DIM) == Word(0.2, asked, DIM)


def test_a_profile_that_says_nothing_changes_nothing(bundle: Bundle) -> None:
    assert sites_word(site(), bundle) == Word(0.5, Budget(), QualityLimits())
    assert sites_word(site(), bundle, threshold=0.2, limits=DIM) == Word(0.2, Budget(), DIM)


def test_a_profiles_threshold_and_limits_stand(bundle: Bundle) -> None:
    sites = site(bundle_sha256=bundle.sha256, refer_threshold=0.3, quality_limits={"brightness_min": 40.0})
    limits = QualityLimits(brightness_min=40.0)
    assert sites_word(sites, bundle) == Word(0.3, Budget(), limits)
    assert sites_word(sites, bundle, threshold=0.4, limits=limits).threshold == 0.4  # of an exam begun before
    with pytest.raises(SiteError, match="quality limits: the site's profile sets them"):
        sites_word(sites, bundle, limits=DIM)
    with pytest.raises(SiteError, match="quality limits: the site's profile sets them"):
        sites_word(sites, bundle, limits=QualityLimits())


@pytest.mark.parametrize("stage", [field.name for field in fields(Budget)])
def test_of_each_stage_the_smaller_of_both_budgets_counts(bundle: Bundle, stage: str) -> None:
    sites = site(budget_ms={stage: 20.0})
    for asked, counts in ((None, 20.0), (10.0, 10.0), (20.0, 20.0), (30.0, 20.0)):
        budget = replace(Budget(), **{stage: asked})
        assert sites_word(sites, bundle, budget=budget).budget == replace(Budget(), **{stage: counts})
    other = "total" if stage != "total" else "decide"
    both = replace(Budget(), **{stage: 20.0, other: 7.0})
    assert sites_word(sites, bundle, budget=replace(Budget(), **{other: 7.0})).budget == both


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.1, float("nan"), float("inf")])
def test_a_threshold_that_refers_nothing_or_everything_is_refused(bundle: Bundle, threshold: float) -> None:
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        sites_word(Site(), bundle, threshold=threshold)


def test_a_threshold_next_to_the_ends_is_taken(bundle: Bundle) -> None:
    assert sites_word(Site(), bundle, threshold=1e-9).threshold == 1e-9
    assert sites_word(Site(), bundle, threshold=1 - 1e-9).threshold == 1 - 1e-9


def test_every_screener_has_it(bundle: Bundle, write_bundle: Callable[..., Path]) -> None:
    from runtime.engines.fake import FakeEngine
    from runtime.screener import Screener
    from runtime.trust.guard import Guard

    sites = replace(site(bundle_sha256=bundle.sha256, refer_threshold=0.3), profile_sha256="0" * 64)
    with Screener(bundle, engine=FakeEngine(), trust=Guard(bundle, sites)) as screener:
        assert screener.threshold == 0.3
