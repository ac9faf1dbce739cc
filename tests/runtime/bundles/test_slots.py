"""Install, activate, go back, remove: and what programs see of it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device.signature import signature_line
from runtime.bundle import DEMONSTRATION, open_bundle
from runtime.bundles.actions import Means, activate, install, rollback
from runtime.bundles.errors import NotActivated, PackageRefused, SlotsError
from runtime.bundles.trial import Compared, Trial, TrialRequest
from runtime.errors import BundleError, ScreeningError
from runtime.reading import Signature
from runtime.slots import ACTIVE, installed, read_active
from runtime.trust.errors import SignatureRefused, SiteError
from tests.runtime.bundles.making import KEY, STRANGER, WORKS, bundle_folder, packed, sha256_of
from tests.runtime.trust.conftest import profile_content

Trials = Callable[[Trial], list[TrialRequest]]
SIGNED = Signature("signed", "maker", "")


def both(means: Means, *folders: Path) -> list[str]:
    for folder in folders:
        found = install(means, folder)
        activate(means, found.bundle.sha256)
    return [sha256_of(folder) for folder in folders]


def test_programs_take_the_active_bundle(
    means: Means, one: Path, two: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROP_BUNDLES", str(means.folder))
    assert open_bundle().path == DEMONSTRATION
    first, second = both(means, one, two)
    assert (open_bundle().sha256, open_bundle(means.folder).sha256) == (second, second)
    assert open_bundle(one).path == one  # a folder that is named is taken as it is
    assert open_bundle(sha256=first).sha256 == first  # an exam's own goes before the active one
    assert open_bundle(means.folder, sha256=first).sha256 == first
    assert rollback(means).active == first
    assert open_bundle().sha256 == first


def test_an_exam_of_the_shipped_demonstration_finds_it(
    means: Means, one: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROP_BUNDLES", str(means.folder))
    both(means, one)
    shipped = open_bundle(DEMONSTRATION).sha256
    assert open_bundle(sha256=shipped).path == DEMONSTRATION
    assert open_bundle(sha256="0" * 64).sha256 == sha256_of(one)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_text(json.dumps({"schema": "rop.slots/2"})),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"active": "../../etc"})),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1})),
        lambda path: path.write_text(path.read_text().replace('"returned"', '"retu\\ned"')),
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"active": "0" * 64})),
        lambda path: path.unlink(),
    ],
)
def test_spoilt_slots_are_never_the_demonstration(
    means: Means, one: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("ROP_BUNDLES", str(means.folder))
    (sha256,) = both(means, one)
    spoil(means.folder / ACTIVE)
    with pytest.raises(BundleError) as refused:
        open_bundle()
    assert "\n" not in str(refused.value)
    activate(means, sha256)  # as the message says
    assert open_bundle().sha256 == sha256


def test_what_is_not_installed(means: Means, tmp_path: Path, one: Path, trials: Trials) -> None:
    refused: dict[str, tuple[Path, type[ScreeningError]]] = {
        "foreign": (bundle_folder(tmp_path / "foreign", sign=STRANGER), SignatureRefused),
        "unsigned": (bundle_folder(tmp_path / "unsigned", sign=None), SignatureRefused),
        "expired": (bundle_folder(tmp_path / "expired", expires="2020-01-01"), SignatureRefused),
        "another disease": (bundle_folder(tmp_path / "disease", disease="glaucoma"), BundleError),
        "altered": (bundle_folder(tmp_path / "altered"), BundleError),
        "more than signed": (bundle_folder(tmp_path / "more"), PackageRefused),
        "no bundle": (tmp_path / "keys", BundleError),
        "missing": (tmp_path / "missing", PackageRefused),
    }
    (tmp_path / "altered" / "classifier.fp32.onnx").write_bytes(b"other")
    (tmp_path / "more" / "run.py").write_bytes(b"print()")
    for what, (folder, kind) in refused.items():
        with pytest.raises(kind) as said:
            install(means, folder)
        assert "\n" not in str(said.value), what
        assert ".aside-" not in str(said.value), what  # it is gone by then: the package is named
        assert installed(means.folder) == (), what
    assert [path for path in means.folder.iterdir() if path.is_dir()] == []
    install(means, one)


def test_a_withdrawn_bundle(means: Means, tmp_path: Path, one: Path, two: Path, trials: Trials) -> None:
    first, second = both(means, one, two)
    assert means.trusted_keys is not None
    body = json.dumps({"schema": "rop.withdrawn/1", "issue": 1, "sha256": [first]}).encode() + b"\n"
    (means.trusted_keys / "withdrawn.signed").write_bytes(body + signature_line(body, KEY))
    with pytest.raises(SignatureRefused, match="withdrawn"):
        rollback(means)
    assert read_active(means.folder).active == second  # type: ignore[union-attr]


def test_going_back_is_allowed_to_the_last_one_alone(means: Means, tmp_path: Path, one: Path, trials: Trials) -> None:
    """The site's numbers forbid older bundles; the one that was in use here may come back, and no other."""
    folders = [one, *(bundle_folder(tmp_path / f"n{n}", version=str(n), issue=n) for n in (2, 3))]
    hashes = both(means, *folders)
    site = means.site()
    for folder in folders:
        site.note_used(open_bundle(folder), SIGNED)
    assert rollback(means).active == hashes[1]
    means.site().check_bundle(means.slots.bundle(hashes[1]))  # what every Screener asks
    with pytest.raises(SiteError, match="issue"):
        means.site().check_bundle(means.slots.bundle(hashes[0]))
    with pytest.raises(SiteError, match="issue"):
        activate(means, hashes[0])
    with pytest.raises(SiteError, match="issue"):
        install(means, bundle_folder(tmp_path / "old", version="0", issue=1))


OBJECTIONS = {
    "changed": Trial("", "passed", "e", tuple(Compared("OD", "nasal", "RETAKE", "REFER", 1, 1) for _ in range(3))),
    "referral lost": Trial("", "passed", "e", (Compared("OD", "nasal", "REFER", "NO_REFERRAL_FINDINGS", 1, 1),) * 30),
    "slow": Trial("", "passed", "e", (Compared("OS", "nasal", "REFER", "REFER", 1, 5000),) * 20),
}


@pytest.mark.parametrize("what", OBJECTIONS)
def test_a_person_decides_on_objections(means: Means, one: Path, trials: Trials, what: str) -> None:
    trials(OBJECTIONS[what])
    sha256 = install(means, one).bundle.sha256
    with pytest.raises(NotActivated):
        activate(means, sha256)
    assert read_active(means.folder) is None
    state, notes = activate(means, sha256, despite="looked at all of them")
    assert state.active == sha256
    assert notes
    assert "looked at all of them" in state.why


def test_nothing_helps_against_a_failed_self_test(means: Means, one: Path, two: Path, trials: Trials) -> None:
    (first,) = both(means, one)
    trials(Trial("self-test failed: frame 1"))
    sha256 = install(means, two).bundle.sha256
    with pytest.raises(NotActivated, match="self-test failed"):
        activate(means, sha256, despite="please")
    assert read_active(means.folder).active == first  # type: ignore[union-attr]


def test_a_trial_is_kept_for_the_same_machine(means: Means, one: Path, trials: Trials) -> None:
    asked = trials(WORKS)
    sha256 = install(means, one).bundle.sha256
    activate(means, sha256)
    assert len(asked) == 1
    both(means, one)
    activate(replace(means, precision="fp32"), sha256)
    spoilt = means.slots.trial_file(sha256)
    spoilt.write_text("{")
    rollback_to = bundle_folder(means.folder.parent / "three", version="3", issue=3)
    both(means, rollback_to)
    activate(means, sha256, despite="tried anew")
    assert len(asked) == 4


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_trial_is_made_anew_once_the_site_says_otherwise(
    means: Means, one: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Under the same name: that is how a site renews its profile."""
    profile, asked = means.folder.parent / "site.profile", trials(WORKS)

    def says(**changes: object) -> None:
        body = json.dumps(profile_content(stations=["cart-1"], **changes)).encode() + b"\n"
        profile.write_bytes(body + signature_line(body, KEY))

    says()
    if named == "environment":
        monkeypatch.setenv("ROP_SITE_PROFILE", str(profile))
    else:
        means = replace(means, site_profile=profile)
    sha256 = install(means, one).bundle.sha256
    says(quality_limits={"detail_min": 13.0})
    activate(means, sha256)
    assert len(asked) == 2


def test_the_active_bundle_installed_again_says_why_nothing_is_compared(
    means: Means, one: Path, trials: Trials
) -> None:
    trials(replace(WORKS, not_compared="no bundle was active"))
    assert install(means, one).trial.not_compared == "no bundle was active"
    activate(means, sha256_of(one))
    assert install(means, one).trial.not_compared == "it is the active bundle itself"


def test_a_bundle_that_is_in_use_stays(means: Means, one: Path, two: Path, trials: Trials) -> None:
    first, second = both(means, one, two)
    with pytest.raises(SlotsError, match="active"):
        means.slots.remove(second)
    with pytest.raises(SlotsError, match="go back"):
        means.slots.remove(first)
    means.slots.remove(first, previous_too=True)
    assert installed(means.folder) == (second,)
    with pytest.raises(SlotsError, match="no bundle to go back to"):
        rollback(means)


def test_a_damaged_slot_is_put_right_by_installing_again(means: Means, one: Path, trials: Trials) -> None:
    (sha256,) = both(means, one)
    (means.folder / sha256 / "classifier.fp32.onnx").write_bytes(b"rot")
    assert "was altered" in means.slots.slots()[0].problem or "bytes" in means.slots.slots()[0].problem
    assert install(means, one).fresh
    assert means.slots.slots()[0].problem == ""


@pytest.mark.parametrize("word", ["nothing", "abc", "test"])
def test_a_name_that_means_none_or_several(means: Means, one: Path, two: Path, trials: Trials, word: str) -> None:
    both(means, one, two)
    with pytest.raises(SlotsError):
        means.slots.find(word)
    assert means.slots.find("test@2") == means.slots.find("2") == sha256_of(two)


def test_a_full_disk_leaves_nothing(
    means: Means, one: Path, two: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = both(means, one)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("runtime.bundles.store.os.fsync", full)
    with pytest.raises(SlotsError, match="No space"):
        install(means, two)
    monkeypatch.undo()
    assert installed(means.folder) == (first,)
    assert read_active(means.folder).active == first  # type: ignore[union-attr]


class Died(BaseException):
    """As by a power cut: no handler of ours runs but `finally`."""


STEPS = ("os.rename", "os.replace", "os.fsync", "os.open", "tempfile.mkdtemp", "tempfile.mkstemp")


@pytest.mark.parametrize("action", ["install", "activate", "rollback", "remove", "again"])
def test_dying_at_any_step_leaves_one_whole_bundle_active(
    means: Means, tmp_path: Path, one: Path, two: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The short form of `tests/bench/bundle_kills.py`: every call that changes the disk, one after the other."""
    three = bundle_folder(tmp_path / "three", version="3", issue=3)
    first, second = both(means, one, two)
    third = sha256_of(three)
    doing: dict[str, Callable[[], object]] = {
        "install": lambda: install(means, packed(three, tmp_path / "three.tar")),
        "activate": lambda: activate(means, third),
        "rollback": lambda: rollback(means),
        "remove": lambda: means.slots.remove(first, previous_too=True),
        "again": lambda: install(means, one),
    }
    if action == "activate":
        install(means, three)
    died, whole = 0, means.folder
    for step in range(1, 200):
        means = replace(means, folder=Path(shutil.copytree(whole, tmp_path / f"step{step}")))
        if action == "again":
            (means.folder / first / "classifier.fp32.onnx").write_bytes(b"rot")
        if not _dies_at(step, doing[action], monkeypatch):
            break
        died += 1
        state = read_active(means.folder)
        assert state is not None
        assert state.active in (first, second, third)
        assert open_bundle(means.folder).sha256 == state.active
    assert died >= 3


def _dies_at(step: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    calls = 0
    with monkeypatch.context() as patch:

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def call(*words: object, **named: object) -> object:
                nonlocal calls
                calls += 1
                if calls >= step:
                    raise Died
                return real(*words, **named)

            return call

        for module, name in ((os, "rename"), (os, "replace"), (os, "fsync"), (tempfile, "mkstemp")):
            patch.setattr(module, name, counted(getattr(module, name)))
        try:
            act()
        except Died:
            return True
    return False


def test_what_is_renamed_was_written_to_the_disk_first(
    means: Means, one: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename may reach the disk before the content does, so every file and folder is flushed before it."""
    flushed: set[int] = set()
    real_fsync, real_rename, real_replace = os.fsync, os.rename, os.replace

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        flushed.add(os.fstat(descriptor).st_ino)

    def rename(source: str, target: str) -> None:
        path = Path(source)
        missing = [p.name for p in (path, *path.rglob("*")) if p.stat().st_ino not in flushed]
        assert missing == [], f"{path} -> {target}"
        real_rename(source, target)

    def replace_(source: str, target: str) -> None:
        assert Path(source).stat().st_ino in flushed, target
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "replace", replace_)
    both(means, one)


def test_what_was_removed_meanwhile_is_not_made_active(means: Means, one: Path, two: Path, trials: Trials) -> None:
    first, second = both(means, one, two)
    gone = install(means, bundle_folder(means.folder.parent / "three", version="3", issue=3)).bundle.sha256
    means.slots.remove(gone)
    with pytest.raises(SlotsError, match="not installed any more"):
        means.slots.switch(gone, "too late", means.site())
    assert read_active(means.folder).active == second  # type: ignore[union-attr]
    assert first in installed(means.folder)
