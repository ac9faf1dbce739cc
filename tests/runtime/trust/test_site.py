from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.signature import signature_line
from runtime.bundle import open_bundle
from runtime.errors import BundleError, ScreeningError
from runtime.exam.site_rules import site_rules
from runtime.plans import find_plan
from runtime.trust.errors import SignatureRefused, SiteError
from runtime.trust.site import (
    MANIFEST_SIGNATURE,
    PLAN_SIGNATURE,
    Site,
    named_in_environment,
    open_site,
    watched,
)
from runtime.views import View
from tests.runtime.engines.tensorrt.fake_plans import KEY, write_plans
from tests.runtime.trust.conftest import profile_content, public_pem, sign

Write = Callable[..., Path]
PLAN = {"segmentation": b"segmentation plan", "classifier": b"classifier plan"}


@pytest.fixture
def signed(write_bundle: Write, key: Ed25519PrivateKey) -> Path:
    """A bundle that the maker signed."""
    folder = write_bundle()
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, key)
    return folder


def test_a_signed_bundle_is_named_after_its_signer(signed: Path, keys: Path, key: Ed25519PrivateKey) -> None:
    found = open_site(trusted_keys=keys).check_bundle(open_bundle(signed))
    assert (found.state, found.by) == ("signed", "maker")
    assert found.key == key.public_key().public_bytes_raw().hex()


def test_a_site_with_keys_refuses_a_bundle_without_a_signature(write_bundle: Write, keys: Path) -> None:
    with pytest.raises(SignatureRefused, match=r"has no manifest.sig.*sign it: python -m build_engines sign"):
        open_site(trusted_keys=keys).check_bundle(open_bundle(write_bundle()))


def test_an_unsigned_bundle_runs_only_where_the_profile_says_so(
    write_bundle: Write, keys: Path, write_profile: Write
) -> None:
    bundle = open_bundle(write_bundle())
    with pytest.raises(SignatureRefused, match="has no manifest"):
        open_site(write_profile(), keys).check_bundle(bundle)
    assert open_site(write_profile(allow_unsigned=True), keys).check_bundle(bundle).state == "unsigned"


def test_a_strangers_signature_is_refused_even_where_none_is_needed(
    write_bundle: Write, keys: Path, write_profile: Write, stranger: Ed25519PrivateKey
) -> None:
    folder = write_bundle()
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, stranger)
    with pytest.raises(SignatureRefused, match=r"signed with key .*expected one of 1 trusted keys"):
        open_site(write_profile(allow_unsigned=True), keys).check_bundle(open_bundle(folder))


def test_a_cart_that_nobody_configured_runs_demonstrations_only(write_bundle: Write) -> None:
    assert Site().check_bundle(open_bundle(write_bundle())).state == "unchecked"
    with pytest.raises(SignatureRefused, match="made for clinical use, and no site is configured"):
        Site().check_bundle(open_bundle(write_bundle(clinical_use=True)))


def test_a_manifest_that_changed_since_it_was_opened_is_refused(signed: Path, keys: Path) -> None:
    bundle = open_bundle(signed)
    (signed / "manifest.json").write_bytes((signed / "manifest.json").read_bytes() + b"\n")
    with pytest.raises(SignatureRefused, match="changed while it was opened"):
        open_site(trusted_keys=keys).check_bundle(bundle)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not a public key in PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key in PEM"),
        (
            X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "expected an Ed25519 public key",
        ),
    ],
)
def test_a_key_file_that_is_none_is_named(keys: Path, content: bytes, expected: str) -> None:
    (keys / "other.pem").write_bytes(content)
    with pytest.raises(SiteError, match=rf"other.pem: .*{expected}"):
        open_site(trusted_keys=keys)


@pytest.mark.parametrize(
    ("opened", "mode"),
    [("", 0o777), ("maker.pem", 0o777), pytest.param("", 0o1777, id="where everybody may add his own, as in /tmp")],
)
def test_keys_that_anybody_could_have_put_there_are_not_trusted(keys: Path, opened: str, mode: int) -> None:
    (keys / opened).chmod(mode)
    with pytest.raises(SiteError, match=r"every user of this machine may write .*; chmod o-w"):
        open_site(None, keys)


def test_a_key_has_one_owner(keys: Path, key: Ed25519PrivateKey) -> None:
    (keys / "zoe.pem").write_bytes(public_pem(key))
    with pytest.raises(SiteError, match=r"zoe.pem: the same key as maker.pem"):
        open_site(trusted_keys=keys)


def test_no_keys_no_site(tmp_path: Path, write_profile: Write) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SiteError, match=r"holds no \*.pem"):
        open_site(trusted_keys=tmp_path / "empty")
    with pytest.raises(SiteError, match="cannot be read"):
        open_site(trusted_keys=tmp_path / "nowhere")
    with pytest.raises(SiteError, match="no trusted keys to check it with"):
        open_site(write_profile())


def test_the_environment_names_site_and_station(
    keys: Path, write_profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROP_SITE_PROFILE", str(write_profile(stations=["cart 1"])))
    monkeypatch.setenv("ROP_TRUSTED_KEYS", str(keys))
    with pytest.raises(SiteError, match=r"is for cart 1, this is a cart without a name"):
        open_site()
    monkeypatch.setenv("ROP_STATION", "cart 1")
    facts = open_site().facts
    assert facts is not None
    assert (facts.name, facts.by) == ("Ward 4", "maker")


def test_without_the_library_a_signature_is_refused_and_not_skipped(
    signed: Path, keys: Path, write_profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site(trusted_keys=keys)
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SiteError, match="cryptography is missing; install it: pip install"):
        site.check_bundle(open_bundle(signed))
    with pytest.raises(SiteError, match="cryptography is missing"):
        open_site(write_profile(allow_unsigned=True), keys)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schema": "rop.site/2"}, "schema"),
        ({"surprise": 1}, "surprise"),
        ({"expires": (date.today() - timedelta(days=1)).isoformat()}, "expired on"),
        ({"issued": (date.today() + timedelta(days=2)).isoformat()}, "set this machine's clock right"),
        ({"issued": "2026-02-02", "expires": "2026-01-01"}, "before issued"),
        ({"stations": ["cart 7"]}, "is for cart 7, this is cart 1"),
        ({"refer_threshold": 0.4}, "a threshold belongs to one model"),
        ({"refer_threshold": 1.0, "bundle_sha256": "0" * 64}, "refer_threshold"),
        ({"required_views": []}, "required_views"),
        ({"required_views": ["nasal", "nasal"]}, "named twice"),
        ({"required_views": ["macula"]}, "required_views"),
        ({"retakes": 21}, "retakes"),
        ({"budget_ms": {"lunch": 100}}, "lunch is not known"),
        ({"budget_ms": {"brightness_min": 100}}, "budget_ms"),
        ({"budget_ms": {"total": 0}}, "budget_ms"),
        ({"allow_unsigned": "false"}, "allow_unsigned"),
        ({"allow_unsigned": "no"}, "allow_unsigned"),
        ({"allow_unsigned_plans": 1}, "allow_unsigned_plans"),
        ({"retakes": "3"}, "retakes"),
        ({"retakes": 3.0}, "retakes"),
        ({"retakes": True}, "retakes"),
        ({"bundle_sha256": "0" * 64, "refer_threshold": "0.4"}, "refer_threshold"),
        ({"budget_ms": {"total": "500"}}, "budget_ms"),
        ({"quality_limits": {"brightness_min": float("nan")}}, "NaN is not a number"),
        ({"stations": "cart 1"}, "stations"),
        ({"quality_limits": {"sparkle": 1.0}}, "sparkle is not known"),
        ({"self_test_every_s": 1e9}, "self_test_every_s"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(
    keys: Path, write_profile: Write, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(SiteError, match=expected):
        open_site(write_profile(**changes), keys, station="cart 1")


def test_a_profile_that_says_a_thing_twice_is_refused(keys: Path, tmp_path: Path, key: Ed25519PrivateKey) -> None:
    text = json.dumps(profile_content(allow_unsigned=False))
    body = text.replace('"allow_unsigned": false', '"allow_unsigned": false, "allow_unsigned": true').encode() + b"\n"
    (tmp_path / "profile.signed").write_bytes(body + signature_line(body, key))
    with pytest.raises(SiteError, match="'allow_unsigned' stands twice"):
        open_site(tmp_path / "profile.signed", keys)


def test_pipes_in_the_place_of_a_sites_files_do_not_keep_it_waiting(
    keys: Path, tmp_path: Path, signed: Path, write_profile: Write
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SiteError, match="not a regular file"):
        open_site(tmp_path / "pipe", keys)
    (signed / MANIFEST_SIGNATURE).unlink()
    os.mkfifo(signed / MANIFEST_SIGNATURE)
    with pytest.raises(SignatureRefused, match="not a regular file"):
        open_site(trusted_keys=keys).check_bundle(open_bundle(signed))
    os.mkfifo(keys / "other.pem")
    with pytest.raises(SiteError, match="not a regular file"):
        open_site(trusted_keys=keys)


def test_a_profile_by_a_stranger_is_refused(keys: Path, write_profile: Write, stranger: Ed25519PrivateKey) -> None:
    with pytest.raises(SiteError, match=r"profile.signed: signed with key"):
        open_site(write_profile(stranger), keys)


def test_a_profile_for_another_bundle_refuses_this_one(signed: Path, keys: Path, write_profile: Write) -> None:
    with pytest.raises(SiteError, match=r"profile is for 000000000000\.\.\."):
        open_site(write_profile(bundle_sha256="0" * 64), keys).check_bundle(open_bundle(signed))


def test_what_the_profile_sets_goes_into_the_rules_of_an_exam(signed: Path, keys: Path, write_profile: Write) -> None:
    bundle = open_bundle(signed)
    path = write_profile(
        bundle_sha256=bundle.sha256, refer_threshold=0.3, required_views=["nasal", "temporal"], retakes=1
    )
    site = open_site(path, keys)
    rules = site_rules(site, bundle)
    assert (rules.threshold, rules.retakes) == (0.3, 1)
    assert rules.required_views == (View.NASAL, View.TEMPORAL)
    assert rules.site_profile_sha256 == site.profile_sha256 is not None
    with pytest.raises(SiteError, match="retakes: the site's profile sets them"):
        site_rules(site, bundle, retakes=5)
    with pytest.raises(SiteError, match="views: the site's profile sets them"):
        site_rules(site, bundle, required_views=(View.DISC,))


@pytest.mark.parametrize(
    "asked", [[View.TEMPORAL, View.NASAL], [View.NASAL, View.TEMPORAL], list(View)], ids=["turned", "same", "default"]
)
def test_an_exam_may_ask_for_what_the_profile_sets(
    signed: Path, keys: Path, write_profile: Write, asked: list[View]
) -> None:
    bundle = open_bundle(signed)
    path = write_profile(bundle_sha256=bundle.sha256, required_views=["nasal", "temporal"], retakes=1)
    rules = site_rules(open_site(path, keys), bundle, required_views=asked, retakes=1)
    assert (rules.required_views, rules.retakes) == ((View.NASAL, View.TEMPORAL), 1)


def test_there_are_no_rules_for_a_bundle_that_the_site_refuses(write_bundle: Write, keys: Path) -> None:
    with pytest.raises(SignatureRefused):
        site_rules(open_site(trusted_keys=keys), open_bundle(write_bundle()))


def test_without_a_profile_the_rules_are_as_asked(write_bundle: Write) -> None:
    rules = site_rules(Site(), open_bundle(write_bundle()), required_views=(View.DISC,), retakes=2)
    assert (rules.threshold, rules.retakes, rules.required_views) == (0.5, 2, (View.DISC,))
    assert rules.site_profile_sha256 is None


def test_a_plan_is_checked_before_it_is_taken(
    signed: Path, keys: Path, write_profile: Write, key: Ed25519PrivateKey
) -> None:
    bundle = open_bundle(signed)
    folder = write_plans(bundle, PLAN)
    passed: dict[str, object] = {}
    strict = watched(bundle, open_site(trusted_keys=keys).check_plan, passed.__setitem__)
    with pytest.raises(SignatureRefused, match=r"has no plan.sig, and this site runs signed ones only"):
        find_plan(strict, KEY)
    for profile in ({}, {"allow_unsigned": True}):  # a bundle without a signature is no plan without one
        with pytest.raises(SignatureRefused, match=r"has no plan\.sig"):
            find_plan(watched(bundle, open_site(write_profile(**profile), keys).check_plan, passed.__setitem__), KEY)
    assert not passed
    lenient = open_site(write_profile(allow_unsigned_plans=True), keys)
    assert find_plan(watched(bundle, lenient.check_plan, passed.__setitem__), KEY).sha256 in passed
    sign(folder / "plan.json", folder / PLAN_SIGNATURE, key)
    assert find_plan(strict, KEY).sha256 in passed


def test_one_flipped_byte_anywhere_is_found(
    signed: Path, keys: Path, write_profile: Write, key: Ed25519PrivateKey
) -> None:
    """Every byte of manifest, graphs, plan, profile and signatures, or 1,000 of them."""
    bundle = open_bundle(signed)
    profile = write_profile(bundle_sha256=bundle.sha256, allow_unsigned=True, allow_unsigned_plans=True)
    plan = write_plans(bundle, PLAN)
    sign(plan / "plan.json", plan / PLAN_SIGNATURE, key)

    def use() -> None:
        site = open_site(profile, keys)
        opened = open_bundle(signed)
        site.check_bundle(opened)
        found = find_plan(watched(opened, site.check_plan, lambda *_: None), KEY)
        for name in found.names:
            found.read(name)

    use()
    files = [profile, *(path for path in signed.rglob("*") if path.is_file())]
    tried = missed = 0
    for path, place in _spread(files, 1000):
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[place] ^= 1 << (tried % 8)
        path.write_bytes(flipped)
        try:
            use()
            missed += 1
        except ScreeningError:
            pass
        path.write_bytes(content)
        tried += 1
    use()
    assert (tried, missed) == (1000, 0)


def _spread(files: list[Path], wanted: int) -> Iterator[tuple[Path, int]]:
    """Places over all files, small ones whole, so that none is left out."""
    sizes = {path: path.stat().st_size for path in files}
    left = wanted
    for index, path in enumerate(sorted(files, key=sizes.__getitem__)):
        share = min(sizes[path], left // (len(files) - index))
        left -= share
        for number in range(share):
            yield path, number * sizes[path] // share


def test_every_refusal_is_one_that_the_commands_tell() -> None:
    assert issubclass(SignatureRefused, BundleError)
    assert issubclass(SiteError, ScreeningError)
    assert json.dumps(Site().facts) == "null"


def test_the_last_day_of_a_bundle_still_counts(write_bundle: Write, keys: Path, key: Ed25519PrivateKey) -> None:
    today = datetime.now(timezone.utc).date()
    for days, state in ((0, "signed"), (1, "signed"), (-1, "expired")):
        folder = write_bundle(expires=(today + timedelta(days=days)).isoformat())
        sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, key)
        site = open_site(trusted_keys=keys)
        if state == "signed":
            assert site.check_bundle(open_bundle(folder)).state == state
        else:
            with pytest.raises(SignatureRefused, match="expired on"):
                site.check_bundle(open_bundle(folder))


def test_a_plan_or_profile_that_was_withdrawn_is_refused(
    signed: Path,
    keys: Path,
    write_profile: Write,
    key: Ed25519PrivateKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    profile, bundle = write_profile(allow_unsigned_plans=True), open_bundle(signed)
    plan = write_plans(bundle, PLAN) / "plan.json"
    assert open_site(profile, keys).check_plan(plan.parent, plan.read_bytes()).state == "unsigned"
    site = open_site(profile, keys)
    gone = [hashlib.sha256(plan.read_bytes()).hexdigest()]
    assert site.profile_sha256 is not None
    for number, listed in enumerate((gone, [*gone, site.profile_sha256]), 1):
        body = json.dumps({"schema": "rop.withdrawn/1", "issue": number, "sha256": listed}).encode() + b"\n"
        (keys / "withdrawn.signed").write_bytes(body + signature_line(body, key))
        if number == 1:
            with pytest.raises(SignatureRefused, match="was withdrawn by whoever signs for this site; build it again"):
                open_site(profile, keys).check_plan(plan.parent, plan.read_bytes())
        else:
            with pytest.raises(SiteError, match="was withdrawn; get the new one"):
                open_site(profile, keys)


def test_a_cart_without_keys_checks_no_plan(signed: Path) -> None:
    assert Site().check_plan(signed, b"whatever").state == "unchecked"


def test_another_process_of_ours_obeys_the_same_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_in_environment(None, None) == {}
    assert named_in_environment(Path("profile.signed"), Path("keys")) == {
        "ROP_SITE_PROFILE": str(tmp_path / "profile.signed"),
        "ROP_TRUSTED_KEYS": str(tmp_path / "keys"),
    }
    assert named_in_environment(None, None, "cart 1") == {"ROP_STATION": "cart 1"}


def test_what_is_named_goes_before_the_environment(
    keys: Path, write_profile: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = write_profile(stations=["cart 1"])
    monkeypatch.setenv("ROP_SITE_PROFILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("ROP_TRUSTED_KEYS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("ROP_STATION", "cart 2")
    site = open_site(profile, keys, station="cart 1")
    assert site.facts is not None
    assert site.facts.profile_sha256 == site.profile_sha256
    for name in ("ROP_SITE_PROFILE", "ROP_TRUSTED_KEYS"):
        monkeypatch.setenv(name, "")  # as good as none
    assert open_site() == Site()
    with pytest.raises(SiteError, match="expired on"):
        open_site(profile, keys, station="cart 1", today=date.today() + timedelta(days=40))


def test_a_profile_may_be_used_from_the_day_it_was_issued_to_its_last_one(keys: Path, write_profile: Write) -> None:
    first, last = date(2027, 3, 1), date(2027, 3, 31)
    profile = write_profile(issued=first.isoformat(), expires=last.isoformat())
    for today in (first, last):
        assert open_site(profile, keys, today=today).profile is not None
    with pytest.raises(SiteError, match="set this machine's clock right"):
        open_site(profile, keys, today=first - timedelta(days=1))
    with pytest.raises(SiteError, match="expired on 2027-03-31, today is 2027-04-01"):
        open_site(profile, keys, today=last + timedelta(days=1))
