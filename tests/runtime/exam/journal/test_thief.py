"""What a thief of the cart's disk reads, and how the key is kept and changed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from device.frame import Frame
from runtime.exam.__main__ import main
from runtime.exam.errors import JournalUnwritable, KeyUnusable
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, Journal
from runtime.exam.journal.crypt import CREDENTIAL, KEY_VARIABLE, JournalKey, find_key, write_new_key
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.verify import verify
from runtime.exam.order import Order
from runtime.views import Eye, View
from tests.runtime.exam.journal.test_attacks import key_file
from tests.runtime.exam.making import REFER, RULES, frame, infant, journal_exam, reading

WORDS = (
    "Verysecret", "MRN-4711", "27w3d", "ACC-9", "Referrer", "nurse-nadia", "doctor-dora", "ridge-seen", "wrong-side",
    "incoming-name", "REFER", "NO_REFERRAL", "as told", "slow-archive", "ward-7",
)  # fmt: skip
HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"IHDR")


def fill(journal: Journal, exams: int) -> None:
    for number in range(exams):
        exam_id = journal.begin_exam(
            infant(infant_id=f"MRN-4711-{number}", name="Verysecret^Baby"), RULES, operator="nurse-nadia",
            station="ward-7", order=Order("ACC-9", "1.2.3", "RP-1", "SPS", "Referrer^Rita", "ROP"),
        )  # fmt: skip
        shot = frame(number)
        shot = Frame(shot.pixels, shot.sequence, "folder:incoming-name.png")
        taken = journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="nurse-nadia")
        journal.add_reading(exam_id, taken, reading(shot, REFER))
        journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong-side", operator="nurse-nadia")
        journal.document(exam_id, EyeFindings(Eye.OD, stage="2", note="ridge-seen"), clinician="doctor-dora")
        journal.close_exam(exam_id, operator="nurse-nadia")
        kept = Delivery(exam_id, "archive", 1, "waiting", last_error="slow-archive said MRN-4711")
        journal.deliveries.change(exam_id, "archive", lambda _, kept=kept: kept)  # type: ignore[misc]


def read_on(folder: Path) -> list[str]:
    """The words that can be read in any file of a folder, or in the names of its files."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found += [f"{word}: {path}" for word in WORDS if word.encode() in content or word in str(path)]
        found += [f"picture: {path}" for head in HEADS if content.startswith(head)]
    return found


@pytest.mark.parametrize("exams", [3, pytest.param(100, marks=pytest.mark.soak)])
def test_nothing_of_an_exam_can_be_read_on_the_disk(tmp_path: Path, exams: int) -> None:
    """In the journal while it is open and after, in its anchor, and in what the commands say without the key."""
    key = JournalKey.new()
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0, anchors=[tmp_path / "anchor"]) as journal:
        fill(journal, exams)
        assert read_on(tmp_path) == []
        assert verify(journal).findings == ()
        assert len(journal.exams()) == exams
    assert read_on(tmp_path) == []
    for verb in (["list"], ["show", "x"], ["verify"], ["export", "x"]):
        done = subprocess.run(
            [sys.executable, "-m", "runtime.exam", *verb, "--journal", str(tmp_path / "j")],
            capture_output=True, text=True, check=False, env={**os.environ, KEY_VARIABLE: ""},
        )  # fmt: skip
        assert not [word for word in WORDS if word in done.stdout + done.stderr]


def test_a_report_is_its_owners(tmp_path: Path) -> None:
    key = JournalKey.new()
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0) as journal:
        exam_id = journal_exam(journal, [REFER])
    for words in ([], ["--without-infant"]):
        out = tmp_path / f"report{len(words)}.html"
        where = ["--journal", str(tmp_path / "j"), "--key-file", str(key_file(tmp_path, key))]
        assert main(["export", exam_id, *where, "--out", str(out), *words]) == 0
        assert out.stat().st_mode & 0o077 == 0


def test_the_same_nonce_never_serves_two_contents() -> None:
    secrets = Secrets.new()
    sealed = [secrets.seal("event", bound, content) for bound in ("1", "2") for content in (b"a", b"b", b"ab")]
    assert len({one[:26] for one in sealed}) == len(sealed)
    assert secrets.seal("event", "1", b"a") == sealed[0]  # so that what is the same is the same
    assert secrets.seal("line", "1", b"a")[2:] != sealed[0][2:]
    assert secrets.seal("event", "12", b"3") != secrets.seal("event", "1", b"23")


@pytest.mark.parametrize("wrap_only", [False, True])
def test_a_new_key(tmp_path: Path, wrap_only: bool) -> None:
    old = JournalKey.new()
    where = ["--journal", str(tmp_path / "j")]
    with Journal.open(tmp_path / "j", old, create=True, floor_bytes=0, anchors=[tmp_path / "anchor"]) as journal:
        fill(journal, 2)
        before = [journal.exam(line.exam_id) for line in journal.exams()]
        account = journal.unlocked().account("MRN")
    more = ["--wrap-only"] if wrap_only else []
    old_file, new_file = key_file(tmp_path, old), tmp_path / "new.key"
    rekey = ["rekey", *where, "--key-file", str(old_file), "--operator", "anna", "--new-key-file", str(new_file), *more]
    with Journal.open(tmp_path / "j", old, floor_bytes=0) as stale:
        assert main(rekey) == 0
        if not wrap_only:
            with pytest.raises(JournalUnwritable, match="its key was changed meanwhile"):
                journal_exam(stale, [REFER])
            with pytest.raises(JournalUnwritable, match="its key was changed meanwhile"):
                stale.deliveries.change("x", "archive", lambda _: Delivery("x", "archive", 1, "done"))
    with pytest.raises(KeyUnusable, match="another journal's"):
        Journal.open(tmp_path / "j", old)
    new = find_key(new_file)
    assert new is not None
    with Journal.open(tmp_path / "j", new, floor_bytes=0, anchors=[tmp_path / "anchor"]) as journal:
        assert [journal.exam(line.exam_id) for line in journal.exams()] == before
        assert journal.unlocked().account("MRN") == account
        assert len(journal.deliveries.all()) == 2
        fill(journal, 1)
        assert verify(journal).findings == ()
    assert read_on(tmp_path) == []


def test_wrapped_secrets_that_were_damaged_in_one_place_are_read_from_the_other(tmp_path: Path) -> None:
    key = JournalKey.new()
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0) as journal:
        fill(journal, 1)
        journal.database.connection.execute("UPDATE meta SET value = 'x' WHERE name = 'keys'")
    with Journal.open(tmp_path / "j", key, read_only=True) as journal:
        assert len(journal.exams()) == 1
        assert [f.where for f in verify(journal).findings] == ["meta 'keys', journal.keys"]
    (tmp_path / "j" / "journal.keys").unlink()
    with pytest.raises(KeyUnusable):
        Journal.open(tmp_path / "j", key)


def test_the_key_from_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = JournalKey.new()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv(KEY_VARIABLE, JournalKey.new().text)
    assert find_key().check != key.check  # type: ignore[union-attr]
    (tmp_path / CREDENTIAL).touch(0o400)
    os.chmod(tmp_path / CREDENTIAL, 0o600)
    (tmp_path / CREDENTIAL).write_text(key.text)
    assert find_key().check == key.check  # type: ignore[union-attr]


@pytest.mark.parametrize("room", ["exam", "dicom", "cart", "bundles", "fleet", "reread"])
def test_a_program_keeps_the_key_to_itself(room: str, tmp_path: Path) -> None:
    """Not in its environment, nor where it lies, so in no child's; no core; no other process in its memory."""
    key = write_new_key(tmp_path / CREDENTIAL)
    code = (
        f"import runpy, sys, os, resource, subprocess, ctypes\n"
        f"sys.argv = ['x', '--version']\n"
        f"try: runpy.run_module('runtime.{room}', run_name='__main__')\n"
        f"except SystemExit: pass\n"
        f"child = subprocess.run(['env'], capture_output=True, text=True).stdout\n"
        f"from runtime.exam.journal.crypt import find_key\n"
        f"print('KEY' in child or 'CREDENTIALS' in child, resource.getrlimit(resource.RLIMIT_CORE)[0], "
        f"ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), find_key().check == {key.check!r})\n"
    )
    environment = {**os.environ, KEY_VARIABLE: JournalKey.new().text, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "False 0 0 True"
    assert resource.getrlimit(resource.RLIMIT_CORE)
