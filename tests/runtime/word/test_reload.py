"""`reload` of a running daemon reads profile, keys and bundle as they are now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from runtime.trust.site import MANIFEST_SIGNATURE
from tests.runtime.trust.conftest import sign
from tests.runtime.word.conftest import MAKER, STRANGER, AtSite
from tests.runtime.word.drivers import Serving, serving

pytestmark = pytest.mark.system
YESTERDAY = (date.today() - timedelta(days=1)).isoformat()


@pytest.fixture
def own(at_site: AtSite) -> AtSite:
    """With a bundle that the test may change."""
    shutil.copytree(at_site.bundle, at_site.folder / "own")
    return AtSite(at_site.folder, at_site.folder / "own")


@pytest.fixture
def daemon(own: AtSite) -> Iterator[Serving]:
    with serving(own.folder / "s", own.options(refer_threshold=0.75)) as it:
        assert isinstance(it, Serving), it
        assert it.ask_python().outcome == "REFER"
        yield it


def test_a_new_profile_is_in_force_and_may_pin_a_new_bundle(own: AtSite, daemon: Serving) -> None:
    own.profile(refer_threshold=0.85)
    assert daemon.reload() == (True, "")
    assert daemon.threshold() == 0.85
    said = daemon.ask_python()
    assert (said.outcome, said.reason) == ("NO_REFERRAL_FINDINGS", "ridge 0.82, threshold 0.85")
    manifest = json.loads((own.bundle / "manifest.json").read_text())
    (own.bundle / "manifest.json").write_text(json.dumps(manifest | {"version": "4"}))
    sign(own.bundle / "manifest.json", own.bundle / MANIFEST_SIGNATURE, MAKER)
    own.profile(refer_threshold=0.65)  # which pins the new one
    assert daemon.reload() == (True, "")
    assert daemon.ask_python().reason == "ridge 0.82, threshold 0.65"


def test_a_site_that_no_longer_stands_for_the_bundle_ends_its_readings(own: AtSite, daemon: Serving) -> None:
    own.keys(STRANGER)  # as where the maker's key became known to others
    took, told = daemon.reload()
    assert not took
    assert "signed with key" in told
    said = daemon.ask_python()
    assert said.outcome == "NO_RESULT"
    assert said.reason is not None
    assert "signed with key" in said.reason
    own.keys()
    assert daemon.reload() == (True, "")
    assert daemon.ask_python().outcome == "REFER"
    own.profile(issued=YESTERDAY, expires=YESTERDAY)
    assert "expired on" in daemon.reload()[1]
    assert daemon.ask_python().outcome == "NO_RESULT"
    own.profile(bundle_sha256="0" * 64)
    assert "profile is for 000000000000" in daemon.reload()[1]
    assert daemon.ask_python().outcome == "NO_RESULT"


def test_a_half_copied_bundle_leaves_the_old_one_at_work(own: AtSite, daemon: Serving) -> None:
    (own.bundle / MANIFEST_SIGNATURE).unlink()
    took, told = daemon.reload()
    assert not took
    assert "has no manifest.sig" in told
    assert daemon.ask_python().outcome == "REFER"
    (own.bundle / "classifier.fp32.onnx").write_bytes(b"half")
    assert not daemon.reload()[0]
    assert daemon.ask_python().outcome == "REFER"
