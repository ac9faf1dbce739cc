"""What a site decides of every reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.budget import Budget
from runtime.bundle import Bundle, open_bundle
from runtime.errors import BundleError
from runtime.quality import QualityLimits
from runtime.trust.errors import SiteError
from runtime.trust.keys import read_trusted_keys
from runtime.trust.profile import SiteProfile
from runtime.trust.site import Site
from runtime.trust.word import Word, check_server, sites_word
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


SERVER = "triton://reader:8001"
NAMED = {"addresses": ["reader:8001", "other:8001"]}


@pytest.mark.parametrize(
    ("servers", "engine", "said"),
    [
        (None, "auto", ""),
        (None, "openvino", ""),
        (None, SERVER, "names none to read its frames"),
        (NAMED, "auto", ""),
        (NAMED, f"{SERVER}?tls=system", ""),
        (NAMED, SERVER, "wants it encrypted"),
        (NAMED | {"encrypted": False}, SERVER, ""),
        (NAMED | {"encrypted": False}, f"{SERVER}?tls=system", ""),
        (NAMED, "triton://reader:8002?tls=system", "names reader:8001, other:8001 to read its frames"),
        (NAMED, "triton://elsewhere:8001?tls=system", "names reader:8001, other:8001 to read its frames"),
    ],
)
def test_frames_go_only_to_servers_that_the_site_names(
    keys: Path, servers: dict[str, Any] | None, engine: str, said: str
) -> None:
    configured = replace(site(servers=servers), keys=read_trusted_keys(keys))
    if said:
        with pytest.raises(SiteError, match=said):
            check_server(configured, engine)
    else:
        check_server(configured, engine)
    check_server(replace(configured, keys=None), engine)  # a machine without a site may try any


def test_a_configured_cart_without_a_profile_asks_no_server(keys: Path) -> None:
    with pytest.raises(SiteError, match="names none to read its frames"):
        check_server(Site(read_trusted_keys(keys)), SERVER)


def test_the_bundles_own_limits_count_and_unknown_ones_are_refused(
    bundle: Bundle, write_bundle: Callable[..., Path]
) -> None:
    stated = open_bundle(write_bundle(gate={"brightness_min": 33.0}))
    assert sites_word(Site(), stated).limits == QualityLimits(brightness_min=33.0)
    assert sites_word(site(quality_limits={"detail_min": 2.0}), stated).limits == QualityLimits(
        brightness_min=33.0, detail_min=2.0
    )
    with pytest.raises(BundleError, match="its gate has the limit aaa, which this version does not know"):
        sites_word(Site(), open_bundle(write_bundle(gate={"zzz": 1.0, "aaa": 1.0})))
