"""What happens between a look and the switch, and trials that tell of another question than the one that is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import runtime.bundles.actions
import runtime.bundles.starts
from device.signature import signature_line
from runtime.bundle import open_bundle
from runtime.bundles import trial_child
from runtime.bundles.actions import Means, activate, install, rollback
from runtime.bundles.errors import NotActivated, SlotsError
from runtime.bundles.left import left_bundles
from runtime.bundles.starts import Program, go_back
from runtime.bundles.trial import Compared, Trial, TrialRequest
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.fleet.fetch import PackageSource
from runtime.fleet.pull import pull
from runtime.fleet.push import push
from runtime.outcome import Outcome
from runtime.slots import read_active
from runtime.trust.errors import SignatureRefused
from tests.runtime.bundles.making import KEY, STRANGER, WORKS, bundle_folder, copy_of, packed, sha256_of
from tests.runtime.engines.tensorrt.fake_plans import both_plans, write_plans
from tests.runtime.exam.making import NRF, REFER, journal_exam
from tests.runtime.fleet.test_fleet import ALL
from tests.runtime.trust.conftest import profile_content

Trials = Callable[[Trial], list[TrialRequest]]
LOST = replace(WORKS, frames=(Compared("OD", "nasal", "REFER", "NO_REFERRAL_FINDINGS", 1, 1),) * 3)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return bundle_folder(tmp_path / "three", version="3", issue=3)


def during_a_trial(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Once, while the next trial goes on."""
    waiting = [happens]

    def try_bundle(asked: TrialRequest) -> Trial:
        if waiting:
            waiting.pop()()
        return WORKS

    for module in (runtime.bundles.actions, runtime.bundles.starts):
        monkeypatch.setattr(module, "try_bundle", try_bundle)


def active(means: Means) -> str:
    state = read_active(means.folder)
    assert state is not None
    return state.active


def test_a_program_does_not_go_back_from_what_a_person_activated_meanwhile(
    means: Means, one: Path, two: Path, three: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went back to the very bundle that kept failing, and the new one was left for good."""
    for folder in (one, two):
        activate(means, install(means, folder).bundle.sha256)
    install(means, three)
    during_a_trial(monkeypatch, lambda: activate(means, sha256_of(three)))
    said: list[str] = []
    assert not go_back(Program("cart", means.folder, trusted_keys=means.trusted_keys), "crash loop", said.append)
    assert "meanwhile" in said[0]
    assert active(means) == sha256_of(three)
    assert sha256_of(three) not in left_bundles(means.folder)


def test_nothing_is_switched_over_what_a_person_did_during_the_trial(
    means: Means, one: Path, two: Path, three: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (one, two):
        activate(means, install(means, folder).bundle.sha256)
    install(means, three)
    means.slots.trial_file(sha256_of(three)).unlink()
    during_a_trial(monkeypatch, lambda: rollback(means))
    with pytest.raises(SlotsError, match="meanwhile"):
        activate(means, sha256_of(three))
    assert active(means) == sha256_of(one)
    activate(means, sha256_of(three))
    assert active(means) == sha256_of(three)


def test_a_pull_does_not_take_what_may_not_follow_what_is_active_by_now(
    means: Means, one: Path, two: Path, three: Path, tmp_path: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third may follow the second alone; a person went back to the first while it was installed."""
    shelf = PackageSource(str(tmp_path / "shelf"))
    for folder in (one, two):
        activate(means, install(means, folder).bundle.sha256)
    push(three, tmp_path / "shelf", KEY, follows=[sha256_of(two)], waves=ALL)
    during_a_trial(monkeypatch, lambda: rollback(means))
    found = pull(means, shelf)
    assert (found.result, active(means)) == ("failed", sha256_of(one))
    assert "meanwhile" in found.words
    assert pull(means, shelf).result == "nothing"


def test_two_bundles_of_different_names_are_not_taken_in_turns(
    means: Means, one: Path, tmp_path: Path, trials: Trials
) -> None:
    """Each may come after any, and neither number is lower than one of its own name: a cart took one each hour."""
    shelf, other = tmp_path / "shelf", bundle_folder(tmp_path / "other", name="other", version="1", issue=9)
    for folder in (one, other):
        push(folder, shelf, KEY, follows=None, waves=ALL)
    seen = [pull(means, PackageSource(str(shelf))).result for _ in range(4)]
    assert seen in (["activated", "nothing", "nothing", "nothing"], ["activated", "activated", "nothing", "nothing"])


def test_a_pull_does_not_undo_what_a_person_activated(means: Means, one: Path, tmp_path: Path, trials: Trials) -> None:
    shelf = PackageSource(str(tmp_path / "shelf"))
    push(one, tmp_path / "shelf", KEY, follows=None, waves=ALL)
    assert pull(means, shelf).result == "activated"
    by_hand = install(means, bundle_folder(tmp_path / "other", name="other", version="1", issue=1)).bundle.sha256
    activate(means, by_hand)
    for spoilt in (False, True):
        if spoilt:
            (means.folder / "left.json").unlink()
        assert (pull(means, shelf).result, active(means)) == ("nothing", by_hand)


def test_a_trial_that_was_not_compared_is_made_anew_for_a_journal(
    means: Means, one: Path, two: Path, tmp_path: Path, trials: Trials
) -> None:
    """One that was installed without a journal became active without any comparison, whatever it would have lost."""
    activate(means, install(means, one).bundle.sha256)
    trials(replace(WORKS, not_compared="no journal was named"))
    second = install(means, two).bundle.sha256
    asked = trials(LOST)
    asked.clear()
    compared = replace(means, journal=tmp_path / "exams")
    for tried in (1, 1):
        with pytest.raises(NotActivated, match="were REFER"):
            activate(compared, second)
        assert len(asked) == tried
    with pytest.raises(NotActivated, match="were REFER"):  # what was found is not forgotten for want of the option
        activate(means, second)
    for other in (replace(compared, frames=200), replace(means, journal=tmp_path / "other")):
        with pytest.raises(NotActivated, match="were REFER"):
            activate(other, second)
    assert len(asked) == 3


def test_plans_of_a_package_are_signed_whatever_the_site_allows_of_its_own(
    means: Means, one: Path, tmp_path: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan runs in place of the graphs; of a signed bundle from anywhere it may be any other network."""
    monkeypatch.setattr(runtime.bundles.actions, "build_plans", lambda *_: "")
    profile = tmp_path / "site.profile"
    body = json.dumps(profile_content(allow_unsigned_plans=True)).encode() + b"\n"
    profile.write_bytes(body + signature_line(body, KEY))
    means = replace(means, site_profile=profile)
    bare = copy_of(one, tmp_path / "bare")
    bundle = open_bundle(one)
    plan = write_plans(bundle, both_plans(bundle))
    for line in (None, signature_line((plan / "plan.json").read_bytes(), STRANGER)):
        if line is not None:
            (plan / "plan.sig").write_bytes(line)
        with pytest.raises(SignatureRefused, match=r"plan\.sig"):
            install(means, packed(one, tmp_path / "stick.tar"))
    (plan / "plan.sig").write_bytes(signature_line((plan / "plan.json").read_bytes(), KEY))
    assert install(means, packed(one, tmp_path / "stick.tar")).fresh
    (plan / "plan.sig").unlink()
    means.slots.remove(sha256_of(bare))
    push(one, tmp_path / "shelf", KEY, follows=None, waves=ALL)  # the release signs the whole package
    assert pull(means, PackageSource(str(tmp_path / "shelf"))).result == "activated"


class _Reads:
    """A screener that reads nothing, for what a trial does around it."""

    problem = ""
    facts = SimpleNamespace(backend="fake", precision="fp32", device="none")
    trust = SimpleNamespace(self_test=SimpleNamespace(state="passed"))

    def __enter__(self) -> _Reads:
        return self

    def __exit__(self, *_: object) -> None: ...

    def knows(self, image: object) -> None: ...

    def outcome_of(self, image: object) -> Outcome:
        return Outcome.REFER

    def screen(self, frame: object) -> SimpleNamespace:
        return SimpleNamespace(outcome=Outcome.REFER, timings_ms=SimpleNamespace(total=1.0))


def _damage(folder: Path) -> None:
    for image in (folder / "images").rglob("*.*"):
        if image.is_file():
            image.write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("key", "spoil", "objects"),
    [
        (True, lambda folder: None, ""),
        (False, lambda folder: None, "key"),
        (True, _damage, "stored frames cannot be read"),
        (True, lambda folder: (folder / "journal.sqlite3").write_bytes(b"no database" * 100), "cannot be read"),
        (True, lambda folder: (folder / "journal.sqlite3").unlink(), ""),
    ],
    ids=["whole", "no key", "damaged pictures", "damaged", "no journal yet"],
)
def test_stored_frames_that_cannot_be_read_are_an_objection(
    means: Means,
    one: Path,
    two: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: bool,
    spoil: Callable[[Path], object],
    objects: str,
) -> None:
    """It was said as a remark, and a pull made the bundle active without any comparison."""
    folder, secret = tmp_path / "exams", JournalKey.new()
    with Journal.open(folder, secret, create=True) as journal:
        journal_exam(journal, [NRF, REFER])
    spoil(folder)
    monkeypatch.delenv("ROP_JOURNAL_KEY", raising=False)
    monkeypatch.setattr(trial_child, "_screener", lambda *_: _Reads())
    asked = asdict(TrialRequest(two, one, folder))
    found = trial_child._try({**asked, "key": secret.text if key else None})
    said = [line for line in found.lacking if "not compared" in line]
    assert bool(said) == bool(objects)
    assert objects in "".join(said)
    assert bool(found.frames) == (not objects and found.not_compared == "")
    assert len(found.frames) in (0, 2)
