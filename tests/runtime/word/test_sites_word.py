"""Whatever a site's signed profile and keys say is obeyed by every command that gives a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest

from tests.runtime.daemon.c.clib import CClient
from tests.runtime.word.conftest import STRANGER, AtSite
from tests.runtime.word.drivers import Options, Refused, Said, Serving, Ways, serving
from tests.runtime.word.tiny import THRESHOLD

YESTERDAY = (date.today() - timedelta(days=1)).isoformat()
PROFILES: dict[str, tuple[dict[str, Any], str, str, bool]] = {
    "says nothing": ({}, "REFER", f"ridge 0.82, threshold {THRESHOLD:.2f}", False),
    "higher threshold": ({"refer_threshold": 0.85}, "NO_REFERRAL_FINDINGS", "ridge 0.82, threshold 0.85", False),
    "lower threshold": ({"refer_threshold": 0.65}, "REFER", "ridge 0.82, threshold 0.65", False),
    "one limit": ({"quality_limits": {"brightness_min": 250.0}}, "RETAKE", "too dark", False),
    "another limit": ({"quality_limits": {"detail_min": 13.0}}, "RETAKE", "blurred", False),
    "budget in total": ({"budget_ms": {"total": 1e-3}}, "NO_RESULT", "late: ", True),
    "budget of a stage": ({"budget_ms": {"preprocess": 1e-6}}, "NO_RESULT", "used up at preprocess", True),
}
"""What the profile sets, then outcome, words of the reason, and whether it is late."""


def holds(said: Said | Refused, outcome: str, words: str, late: bool, budget_ms: float | None) -> None:
    assert isinstance(said, Said), said
    assert said.outcome == outcome
    if said.reason is not None:
        assert words in said.reason
        assert said.late is late
        assert said.budget_ms == pytest.approx(budget_ms)
    if said.trust is not None:
        assert said.trust["bundle"]["state"] == "signed"
        assert said.trust["bundle"]["by"] == "maker"
        assert said.trust["site"]["name"] == "Ward 4"
        assert said.trust["self_test"]["state"] == "passed"


@pytest.mark.parametrize("way", ["screen", "exam", "bench"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_reaches_every_reading(at_site: AtSite, ways: Ways, way: str, profile: str) -> None:
    changes, outcome, words, late = PROFILES[profile]
    holds(
        getattr(ways, way)(at_site.options(**changes)), outcome, words, late, changes.get("budget_ms", {}).get("total")
    )


@pytest.mark.system
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_reaches_every_client_of_the_daemon(
    at_site: AtSite, profile: str, new_client: Callable[[], CClient]
) -> None:
    changes, outcome, words, late = PROFILES[profile]
    budget_ms = changes.get("budget_ms", {}).get("total")
    with serving(at_site.folder / "s", at_site.options(**changes)) as daemon:
        assert isinstance(daemon, Serving), daemon
        holds(daemon.ask_python(), outcome, words, late, budget_ms)
        holds(daemon.ask_c(new_client()), outcome, words, late, budget_ms)
        assert daemon.threshold() == changes.get("refer_threshold", THRESHOLD)


@pytest.mark.parametrize("way", ["screen", "exam", "daemon"])
@pytest.mark.parametrize(("sites_ms", "asked_ms"), [(1e-3, 60000.0), (60000.0, 1e-3)])
def test_of_the_sites_budget_and_the_callers_the_smaller_counts(
    at_site: AtSite, ways: Ways, way: str, sites_ms: float, asked_ms: float
) -> None:
    options, more = at_site.options(budget_ms={"total": sites_ms}), ("--budget-ms", str(asked_ms))
    if way == "daemon":
        with serving(at_site.folder / "s", options, *more) as daemon:
            assert isinstance(daemon, Serving), daemon
            said: Said | Refused = daemon.ask_python()
    else:
        said = getattr(ways, way)(options, *more)
    holds(said, "NO_RESULT", "late: ", True, 1e-3)


def foreign_keys(at_site: AtSite) -> Options:
    """The bundle's and the profile's signer is not among the trusted."""
    options = at_site.options()
    at_site.keys(STRANGER)
    return options


REFUSALS: dict[str, tuple[Callable[[AtSite], Options], str]] = {
    "a stranger signed": (foreign_keys, "signed with key"),
    "expired": (lambda site: site.options(issued=YESTERDAY, expires=YESTERDAY), "expired on"),
    "for another bundle": (lambda site: site.options(bundle_sha256="0" * 64), "profile is for 000000000000"),
    "for another cart": (lambda site: site.options(stations=["cart 7"]), "is for cart 7"),
    "no keys": (lambda site: [*site.options()[:4]], "no trusted keys to check it with"),
}


@pytest.mark.parametrize("way", ["screen", "exam", "bench", "daemon"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_the_site_does_not_vouch_for_gives_no_reading(at_site: AtSite, ways: Ways, way: str, refusal: str) -> None:
    make, words = REFUSALS[refusal]
    with refused(at_site, ways, way, make(at_site)) as found:
        assert isinstance(found, Refused), found
        assert found.code == 2
        assert words in found.told


@contextmanager
def refused(at_site: AtSite, ways: Ways, way: str, options: Options) -> Iterator[object]:
    if way == "daemon":
        with serving(at_site.folder / "s", options) as found:
            yield found
    else:
        yield getattr(ways, way)(options)


@pytest.mark.parametrize("way", ["screen", "exam", "bench", "daemon"])
def test_the_environment_names_the_site_where_no_option_does(
    at_site: AtSite, ways: Ways, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = at_site.options(quality_limits={"brightness_min": 250.0})
    monkeypatch.setenv("ROP_SITE_PROFILE", options[3])
    monkeypatch.setenv("ROP_TRUSTED_KEYS", options[5])
    if way == "daemon":
        with serving(at_site.folder / "s", options[:2]) as daemon:
            assert isinstance(daemon, Serving), daemon
            said: Said | Refused = daemon.ask_python()
    else:
        said = getattr(ways, way)(options[:2])
    holds(said, "RETAKE", "too dark", False, None)


def test_views_and_retakes_reach_the_rules_of_an_exam(at_site: AtSite, ways: Ways) -> None:
    options = at_site.options(required_views=["nasal", "temporal"], retakes=1, refer_threshold=0.85)
    for more, words in (
        (("--views", "disc-centred"), "views: the site's"),
        (("--retakes", "5"), "retakes: the site's"),
    ):
        found = ways.new_exam(options, *more)
        assert isinstance(found, Refused)
        assert found.code == 2
        assert words in found.told
    opened = ways.new_exam(options)
    assert isinstance(opened, dict), opened
    rules = opened["rules"]
    assert (rules["required_views"], rules["retakes"], rules["threshold"]) == (["nasal", "temporal"], 1, 0.85)
    assert rules["site_profile_sha256"] is not None


@pytest.mark.parametrize("way", ["screen", "exam", "bench", "daemon"])
def test_a_profile_for_some_carts_is_obeyed_on_the_one_that_the_line_names(
    at_site: AtSite, ways: Ways, way: str
) -> None:
    options = [*at_site.options(stations=["cart 1"], quality_limits={"brightness_min": 250.0}), "--station", "cart 1"]
    with refused(at_site, ways, way, options) as found:
        said = found.ask_python() if isinstance(found, Serving) else found
        assert isinstance(said, Said), said
        assert said.outcome == "RETAKE"


@pytest.mark.parametrize("station", ["cart 1", "cart 2"])
@pytest.mark.parametrize("way", ["screen", "exam"])
def test_the_carts_own_file_names_the_station_to_every_command(
    at_site: AtSite, ways: Ways, way: str, station: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROP_STATION", "cart 1")
    file = at_site.folder / "cart.toml"
    file.write_text(f'schema = "rop.cart/1"\nstation = "{station}"\n')
    options = [*at_site.options(stations=["cart 1"]), "--config", str(file)]
    found = getattr(ways, way)(options)
    if station == "cart 1":
        holds(found, "REFER", "ridge 0.82", False, None)
    else:
        assert isinstance(found, Refused), found
        assert (found.code, "is for cart 1, this is cart 2" in found.told) == (2, True)
