"""Nothing older than what was used is taken again, nothing withdrawn, nothing expired."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.signature import signature_line
from runtime.bundle import open_bundle
from runtime.engines.base import Engine
from runtime.errors import ScreeningError
from runtime.trust.errors import SignatureRefused, SiteError
from runtime.trust.guard import Guard
from runtime.trust.issues import STATE_FILE, WITHDRAWN_FILE, Issues, state_folder
from runtime.trust.site import MANIFEST_SIGNATURE, Site, open_site
from runtime.trust.told import LIMIT_BYTES
from tests.runtime.trust.conftest import sign
from tests.runtime.trust.test_guard import SeeingEngine, equip_with_a_positive

pytestmark = pytest.mark.usefixtures("without_draws")
Write = Callable[..., Path]
SOUND, BROKEN = SeeingEngine(), SeeingEngine((0.5, 0.5))
YESTERDAY, TODAY = date.today() - timedelta(days=1), date.today()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def use(write_bundle: Write, keys: Path, key: Ed25519PrivateKey) -> Callable[..., str]:
    """Use a signed bundle with such a manifest, by the keys and perhaps a profile; gives its SHA-256."""

    def use(profile: Path | None = None, engine: Engine = SOUND, **changes: Any) -> str:
        bundle = equip_with_a_positive(write_bundle(**changes))
        sign(bundle.path / "manifest.json", bundle.path / MANIFEST_SIGNATURE, key)
        guard = Guard(bundle, open_site(profile, keys))
        guard.engine_loaded(engine)
        assert bool(guard.problem) is (engine is BROKEN)
        return bundle.sha256

    return use


def withdraw(keys: Path, key: Ed25519PrivateKey, *sha256: str, issue: int = 1) -> None:
    body = json.dumps({"schema": "rop.withdrawn/1", "issue": issue, "sha256": sha256}).encode() + b"\n"
    (keys / WITHDRAWN_FILE).write_bytes(body + signature_line(body, key))


def test_an_older_bundle_is_refused_and_the_same_one_taken_again(use: Callable[..., str]) -> None:
    use(issue=3)
    use(issue=3)
    use(issue=5)
    use(issue=1, name="another")
    for issue in (4, 0):
        with pytest.raises(SiteError, match=r"its issue is (4|not numbered), this cart has used issue 5"):
            use(issue=issue)
    use(issue=5)


def test_a_bundle_that_fails_its_self_test_does_not_bar_the_one_before(use: Callable[..., str]) -> None:
    use(issue=3)
    use(issue=4, engine=BROKEN)
    use(issue=3)


def test_an_older_bundle_may_be_pinned_by_a_numbered_profile(use: Callable[..., str], write_profile: Write) -> None:
    older = use(issue=3)
    use(issue=5)
    with pytest.raises(SiteError, match="has used issue 5"):
        use(write_profile(bundle_sha256=older), issue=3)  # this profile may be as old as the bundle
    use(write_profile(bundle_sha256=older, issue=1), issue=3)
    with pytest.raises(SiteError, match="has used issue 5"):
        use(issue=3)


def test_an_older_profile_is_refused(keys: Path, write_profile: Write) -> None:
    open_site(write_profile(issue=2), keys)
    open_site(write_profile(issue=1, site="Ward 5"), keys)
    for issue in (1, 0):
        with pytest.raises(SiteError, match=r"site profile profile.signed: its issue is .* has used issue 2"):
            open_site(write_profile(issue=issue), keys)
    open_site(write_profile(issue=3), keys)


def test_a_site_that_numbers_nothing_keeps_nothing(use: Callable[..., str], write_profile: Write, state: Path) -> None:
    use(write_profile())
    assert not state.exists()


def test_what_nobody_signed_sets_no_number(write_bundle: Write, keys: Path, write_profile: Write, state: Path) -> None:
    site = open_site(write_profile(allow_unsigned=True), keys)
    assert site.check_bundle(open_bundle(write_bundle(issue=10**6))).state == "unsigned"
    assert not state.exists()


def test_a_numbered_profile_that_pins_nothing_lets_nothing_older_in(
    use: Callable[..., str], write_profile: Write
) -> None:
    use(issue=5)
    with pytest.raises(SiteError, match="its issue is 3, this cart has used issue 5"):
        use(write_profile(issue=1), issue=3)


@pytest.mark.parametrize("used", [1, 5])
def test_a_number_that_nobody_signed_is_none(
    use: Callable[..., str], write_bundle: Write, keys: Path, write_profile: Write, used: int
) -> None:
    use(issue=used)
    bundle = open_bundle(write_bundle(issue=used + 1))
    (bundle.path / MANIFEST_SIGNATURE).unlink()
    site = open_site(write_profile(allow_unsigned=True), keys)
    with pytest.raises(SiteError, match=f"its issue is not numbered, this cart has used issue {used}"):
        site.check_bundle(bundle)


def test_a_bundle_that_may_be_gone_back_to_may_not_without_its_signature(
    use: Callable[..., str], write_bundle: Write, keys: Path, write_profile: Write
) -> None:
    older = use(issue=3)
    use(issue=5)
    Issues().allow_back("bundle test", older)
    assert use(issue=3) == older
    bundle = equip_with_a_positive(write_bundle(issue=3))
    (bundle.path / MANIFEST_SIGNATURE).unlink()
    assert bundle.sha256 == older
    with pytest.raises(SiteError, match="its issue is not numbered"):
        open_site(write_profile(allow_unsigned=True), keys).check_bundle(bundle)


def test_what_was_withdrawn_is_refused_though_its_signature_is_right(
    use: Callable[..., str], keys: Path, key: Ed25519PrivateKey, write_profile: Write
) -> None:
    sha256 = use(version="7")
    withdraw(keys, key, sha256)
    with pytest.raises(SignatureRefused, match="was withdrawn"):
        use(version="7")
    use(version="8")
    profile = write_profile()
    site = open_site(profile, keys)
    assert site.profile_sha256 is not None
    withdraw(keys, key, site.profile_sha256, issue=2)
    with pytest.raises(SiteError, match="was withdrawn"):
        open_site(profile, keys)


def test_the_list_of_what_was_withdrawn_cannot_be_taken_away_or_turned_back(
    keys: Path, key: Ed25519PrivateKey, stranger: Ed25519PrivateKey
) -> None:
    withdraw(keys, key, "0" * 64, issue=2)
    open_site(trusted_keys=keys)
    withdraw(keys, key, issue=1)
    with pytest.raises(SiteError, match="has used issue 2"):
        open_site(trusted_keys=keys)
    (keys / WITHDRAWN_FILE).unlink()
    with pytest.raises(SiteError, match=r"withdrawn.signed: its issue is not numbered, this cart has used issue 2"):
        open_site(trusted_keys=keys)
    withdraw(keys, stranger, issue=3)
    with pytest.raises(SiteError, match="signed with key"):
        open_site(trusted_keys=keys)
    (keys / WITHDRAWN_FILE).write_bytes(b"{}\n")
    with pytest.raises(SiteError, match="no signature line"):
        open_site(trusted_keys=keys)


def test_an_expired_bundle_is_refused_and_ends_while_a_program_runs(
    use: Callable[..., str], write_bundle: Write, keys: Path, key: Ed25519PrivateKey
) -> None:
    use(expires=TODAY.isoformat())
    with pytest.raises(SignatureRefused, match=f"expired on {YESTERDAY}"):
        use(expires=YESTERDAY.isoformat())
    bundle, day = equip_with_a_positive(write_bundle(expires=TODAY.isoformat())), [TODAY]
    guard = Guard(bundle, Site(), today=lambda: day[0])
    guard.engine_loaded(SeeingEngine())
    assert guard.problem == ""
    day[0] += timedelta(days=1)
    assert guard.problem == f"the bundle expired on {TODAY}; have a new one signed"


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"schema": "rop.site-issues/1", "highest": {"bundle test": 0}}', b'{"highest": {}}', b"\xff"],
)
def test_numbers_that_cannot_be_read_are_not_taken_for_none(
    use: Callable[..., str], state: Path, content: bytes
) -> None:
    use(issue=2)
    (state / STATE_FILE).write_bytes(content)
    with pytest.raises(SiteError, match="cannot be read"):
        use(issue=2)


def test_where_numbers_cannot_be_kept_nothing_numbered_is_used(use: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(ScreeningError, match=r"cannot be kept .*ROP_SITE_STATE"):
        use(issue=2)
    use()


NOTES_WHEN_TOLD = """
import sys
from pathlib import Path
from runtime.trust.issues import Issues
issues = Issues(lambda: Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
issues.note("bundle x", int(sys.argv[2]))
"""


def test_of_several_programs_at_once_the_highest_number_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NOTES_WHEN_TOLD, str(tmp_path / "n")]
    with contextlib.ExitStack() as ends:
        programs = [
            ends.enter_context(subprocess.Popen([*command, issue], stdin=PIPE, stdout=PIPE, text=True))
            for issue in ("3", "9", "5", "1")
        ]
        assert [program.stdout.readline() for program in programs if program.stdout] == ["ready\n"] * 4
        for program in programs:
            assert program.stdin
            program.stdin.close()
    assert [program.returncode for program in programs] == [0] * 4
    with pytest.raises(SiteError, match="has used issue 9"):
        Issues(lambda: tmp_path / "n").check("bundle x", 8, what="x")


def test_who_notes_a_number_waits_for_another_who_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NOTES_WHEN_TOLD, str(tmp_path / "n"), "9"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        with Issues(lambda: tmp_path / "n")._locked():
            assert program.stdin
            program.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(1)
            assert program.poll() is None
        assert program.wait(300) == 0
    with pytest.raises(SiteError, match="has used issue 9"):
        Issues(lambda: tmp_path / "n").check("bundle x", 8, what="x")


@pytest.fixture
def anchor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file outside of the state folder, made by another as the site's technician makes it."""
    path = tmp_path / "anchor"
    path.touch()
    monkeypatch.setenv("ROP_SITE_ANCHOR", str(path))
    return path


def forget(state: Path, kept: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """What who may write the state folder can do: take the numbers away, or bring back older ones."""
    there = {path.name: path.read_bytes() for path in state.iterdir()}
    for path in state.iterdir():
        path.unlink()
    for name, content in (kept or {}).items():
        (state / name).write_bytes(content)
    return there


def test_who_writes_the_state_folder_brings_nothing_older_back(
    use: Callable[..., str], state: Path, anchor: Path
) -> None:
    older, sent = use(issue=3), forget(state)
    forget(state, sent)
    use(issue=5)
    forged = {"site-back.json": json.dumps({"schema": "rop.site-back/1", "back": {"bundle test": older}}).encode()}
    for kept in ({}, sent, sent | forged):
        forget(state, kept)
        with pytest.raises(SiteError, match="has used issue 5"):
            use(issue=3)
    Issues().allow_back("bundle test", older)
    forget(state)
    use(issue=3)
    assert [json.loads(line).get("issue") for line in anchor.read_text().splitlines()] == [3, 5, None]


def test_numbers_of_before_the_anchor_are_told_at_the_next_use(
    use: Callable[..., str], state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(issue=4)
    (tmp_path / "later").touch()
    monkeypatch.setenv("ROP_SITE_ANCHOR", str(tmp_path / "later"))
    use(issue=4)
    forget(state)
    with pytest.raises(SiteError, match="has used issue 4"):
        use(issue=2)


def test_a_number_is_on_the_disk_when_it_counts(
    use: Callable[..., str], state: Path, anchor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    use(issue=3)
    assert {anchor, state} <= flushed


def test_where_the_file_that_grows_says_less_the_higher_number_counts(
    use: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its owner made it anew, and no program has told it anything yet."""
    use(issue=4)
    (tmp_path / "anew").write_text('{"name": "bundle test", "issue": 2}\n')
    monkeypatch.setenv("ROP_SITE_ANCHOR", str(tmp_path / "anew"))
    with pytest.raises(SiteError, match="has used issue 4"):
        use(issue=3)


def test_a_lower_number_that_is_appended_lowers_nothing(use: Callable[..., str], state: Path, anchor: Path) -> None:
    """Who writes the state folder may append to the other file, too."""
    use(issue=5)
    forget(state)
    with anchor.open("ab") as file:
        file.write(b'{"name": "bundle test", "issue": 1}\n')
    with pytest.raises(SiteError, match="has used issue 5"):
        use(issue=3)


@pytest.mark.parametrize("told", [False, True], ids=["state folder", "anchor"])
def test_of_those_that_may_be_gone_back_to_the_last_one_counts(
    use: Callable[..., str], request: pytest.FixtureRequest, told: bool
) -> None:
    if told:
        request.getfixturevalue("anchor")
    first, second = use(issue=1), use(issue=2)
    use(issue=3)
    Issues().allow_back("bundle test", first)
    Issues().allow_back("bundle test", second)
    assert use(issue=2) == second
    with pytest.raises(SiteError, match="has used issue 3"):
        use(issue=1)


def test_going_back_with_one_bundle_leaves_what_was_allowed_of_another(use: Callable[..., str]) -> None:
    older = use(issue=1)
    use(issue=2)
    Issues().allow_back("bundle test", older)
    Issues().allow_back("bundle other", "0" * 64)
    assert use(issue=1) == older


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"name": "bundle test", "issue": 9', ""),  # a loss of power in the middle of a line
        (b'{"name": "bundle test", "is{"name": "bundle test", "issue": 2}\n', "line 2 was altered"),
        (b'{"name": "bundle test", "issue": "9"}\n', "line 2 was altered"),
        (b'{"name": "bundle test", "issue": 0}\n', "line 2 was altered"),
        (b'{"name": "bundle test", "issue": 9, "issue": 1}\n', "line 2 was altered"),
        (b"\xff\xfe\n", "line 2 was altered"),
        (b"\0" * 4096 + b"\n", "line 2 was altered"),
    ],
)
def test_an_altered_anchor_is_no_anchor_and_a_torn_line_ends_nothing(
    use: Callable[..., str], anchor: Path, content: bytes, said: str
) -> None:
    use(issue=2)
    with anchor.open("ab") as file:
        file.write(content)
    if said:
        with pytest.raises(SiteError, match=said):
            use(issue=2)
        return
    use(issue=3)
    with pytest.raises(SiteError, match="has used issue 3"):
        use(issue=2)


def test_an_anchor_that_is_gone_a_link_or_no_file_stops(use: Callable[..., str], anchor: Path) -> None:
    use(issue=2)
    anchor.rename(anchor.with_name("elsewhere"))
    with pytest.raises(SiteError, match=r"ROP_SITE_ANCHOR .* cannot be read .*has to be there"):
        use(issue=2)
    anchor.symlink_to("elsewhere")
    with pytest.raises(SiteError, match="ROP_SITE_ANCHOR"):
        use(issue=3)
    anchor.unlink()
    os.mkfifo(anchor)
    with pytest.raises(SiteError, match="ROP_SITE_ANCHOR"):
        use(issue=3)


def test_an_anchor_that_is_too_large_stops_for_what_counts_may_stand_at_its_end(
    use: Callable[..., str], state: Path, anchor: Path
) -> None:
    filler = b'{"name": "bundle other", "issue": 1}\n'
    anchor.write_bytes(filler * (LIMIT_BYTES // len(filler) + 1) + b'{"name": "bundle test", "issue": 9}\n')
    with pytest.raises(SiteError, match=rf"larger than {LIMIT_BYTES} bytes.* leaves of each name the highest issue"):
        use(issue=2)
    anchor.write_bytes(anchor.read_bytes()[len(filler) * 2 :])
    with pytest.raises(SiteError, match="has used issue 9"):
        use(issue=2)


def test_the_folder_is_the_one_that_is_named_first() -> None:
    everything = {"ROP_SITE_STATE": "/a", "STATE_DIRECTORY": "/b:/c", "XDG_STATE_HOME": "/d", "HOME": "/e"}
    assert state_folder(everything) == Path("/a")
    assert state_folder({k: v for k, v in everything.items() if k != "ROP_SITE_STATE"}) == Path("/b")
    assert state_folder({"XDG_STATE_HOME": "/d"}) == Path("/d/rop-screening")
    assert state_folder({"HOME": "/e"}) == Path("/e/.local/state/rop-screening")
    assert state_folder({}) == Path("/var/lib/.local/state/rop-screening")
