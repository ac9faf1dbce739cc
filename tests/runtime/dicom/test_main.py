"""The command, as a person or a script calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pydicom
import pytest

from runtime.dicom.__main__ import main
from runtime.dicom.commands import verbs
from runtime.dicom.configuration import load_dicom_config
from runtime.dicom.outbox import Outbox
from runtime.dicom.outbox.sender import Pass
from runtime.dicom.trial import Hospital
from runtime.exam.errors import JournalFull
from runtime.exam.journal import Journal
from runtime.exam.journal.records import RejectedInstance
from tests.runtime.dicom.archives import ORTHANC_DICOM, Orthanc, wait_until
from tests.runtime.dicom.exams import KEY, fill_journal
from tests.runtime.dicom.test_orthanc import write_worklist


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    fill_journal(tmp_path / "journal", exams=1, frames=2)
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(KEY.text)
    return tmp_path / "journal"


def write_site(folder: Path, **more: object) -> str:
    peer = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM, "connect_s": 2, "answer_s": 10}
    content = {"schema": "rop.dicom/1", "archive": {**peer, "proof": "find"}, "worklist": peer} | more
    (folder / "site.json").write_text(json.dumps(content))
    return str(folder / "site.json")


def options(journal: Path) -> list[str]:
    return ["--journal", str(journal), "--key-file", str(journal.parent / "key")]


@pytest.mark.parametrize(
    ("host", "words"), [("127.0.0.1", "Connection refused"), ("no-such-host.invalid", "the host name does not resolve")]
)
def test_an_archive_that_is_down_is_a_line_and_a_code(
    host: str, words: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = {"ae_title": "X", "host": host, "port": 1}
    where = write_site(journal.parent, archive=peer, worklist=peer)
    assert main(["send", *options(journal), "--dicom-config", where, "--json"]) == 1
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert f"X at {host}:1: {words}" in said.err
    assert json.loads(said.out)["waiting"] == 1
    assert main(["worklist", "--dicom-config", where]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["outbox", *options(journal), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["waiting"], shown["held"], shown["done"]) == (1, 0, 0)
    assert words in shown["last_error"]
    assert shown["oldest_age_s"] >= 0


def test_the_outbox_counts_exams_that_no_sender_saw(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["outbox", *options(journal)]) == 0
    assert "0 exams done, 1 waiting" in capsys.readouterr().out


def test_an_export_names_nobody(journal: Path, tmp_path: Path) -> None:
    with Journal.open(journal, KEY, read_only=True) as kept:
        exam_id = kept.exams()[0].exam_id
    assert main(["export-deidentified", exam_id, *options(journal), "--out", str(tmp_path / "out")]) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 3
    for path in files:
        assert b"MRN-0-0" not in path.read_bytes()
        assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"
    assert main(["export-deidentified", exam_id, *options(journal), "--out", str(tmp_path / "out")]) == 2


WRONG = {
    "no file": (None, "cannot be read"),
    "no json": ("{", "not JSON"),
    "another schema": ('{"schema": "rop.dicom/2"}', "schema"),
    "an unknown field": ('{"schema": "rop.dicom/1", "archiv": {}}', "archiv"),
    "a title too long": (
        '{"schema": "rop.dicom/1", "archive": {"ae_title": "SEVENTEEN-LETTERS", "host": "h", "port": 1}}',
        "archive.ae_title",
    ),
    "a port too high": (
        '{"schema": "rop.dicom/1", "archive": {"ae_title": "A", "host": "h", "port": 70000}}',
        "archive.port",
    ),
    "no archive": ('{"schema": "rop.dicom/1"}', "names no archive"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_configuration_is_a_line_and_code_2(
    name: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = WRONG[name]
    path = journal.parent / "site.json"
    if content is not None:
        path.write_text(content)
    assert main(["send", *options(journal), "--dicom-config", str(path)]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 2


def test_a_configuration_that_anybody_may_write_is_not_followed(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = write_site(journal.parent)
    Path(where).chmod(0o666)
    assert main(["send", *options(journal), "--dicom-config", where]) == 2
    assert "every user of this machine may write" in capsys.readouterr().err


def test_without_the_key_nothing_is_sent_and_nothing_is_marked(
    journal: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROP_JOURNAL_KEY", raising=False)
    assert main(["send", "--journal", str(journal), "--dicom-config", write_site(journal.parent)]) == 2
    assert "key" in capsys.readouterr().err
    main(["outbox", *options(journal), "--json"])
    assert json.loads(capsys.readouterr().out)["last_error"] == ""


def test_a_missing_package_is_named(
    journal: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    assert main(["outbox", *options(journal)]) == 2
    assert capsys.readouterr().err.startswith("runtime.dicom: pynetdicom: not installed")


@pytest.mark.system
def test_send_and_worklist_with_orthanc(orthanc: Orthanc, journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = write_site(journal.parent)
    assert main(["send", *options(journal), "--dicom-config", where]) == 0
    assert "1 exams done, 0 waiting" in capsys.readouterr().out
    assert len(orthanc.instances()) == 6  # two photographs, two overlays, the report and its page
    write_worklist(orthanc.worklists, "MRN-5", "Doe^Baby", f"{datetime.now():%Y%m%d}")
    assert main(["worklist", "--dicom-config", where, "--json"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["patient_id"] for item in items if item["patient_id"] == "MRN-5"] == ["MRN-5"]


@pytest.mark.system
def test_a_watching_sender_sees_new_exams_and_ends_when_told(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal", frames=1)
    command = [
        sys.executable,
        "-m",
        "runtime.dicom",
        "send",
        "--watch",
        "--json",
        "--journal",
        str(tmp_path / "journal"),
    ]
    sender = subprocess.Popen(
        [*command, "--dicom-config", write_site(tmp_path)],
        env=os.environ | {"ROP_JOURNAL_KEY": KEY.text},
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with sender:
        try:
            wait_until(lambda: len(orthanc.instances()) == 4, what="the first exam")
            fill_journal(tmp_path / "journal", frames=1, seed=50)
            wait_until(lambda: len(orthanc.instances()) == 8, what="the second exam")
            sender.send_signal(signal.SIGTERM)
            said, _ = sender.communicate(timeout=300)
        finally:
            sender.kill()
    assert sender.returncode == 128 + signal.SIGTERM
    assert json.loads(said)["waiting"] == 0


def test_a_watching_sender_outlives_a_disk_that_is_full_for_a_while(
    journal: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def full(*_: object, **__: object) -> Pass:
        calls.append(1)
        if len(calls) < 4:
            raise JournalFull("journal: no space left")
        os.kill(os.getpid(), signal.SIGTERM)
        return Pass(0, 0)

    monkeypatch.setattr(Outbox, "send_due", full)
    monkeypatch.setattr(verbs, "LOOK_AGAIN_S", 0.01)
    where = write_site(journal.parent)
    assert main(["send", *options(journal), "--dicom-config", where, "--watch"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err.splitlines() == ["runtime.dicom: journal: no space left"]
    assert len(calls) == 4
    calls.clear()
    assert main(["send", *options(journal), "--dicom-config", where]) == 2


def test_what_has_to_be_removed_by_hand_is_listed(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = options(journal)
    assert main(["rejected", *where]) == 0
    assert "nothing was sent" in capsys.readouterr().out
    with Journal.open(journal, KEY) as kept:
        [line] = kept.exams()
        wrong = RejectedInstance("1.2.3", "1.2.840.10008.5.1.4.1.1.7")
        kept.rejected_in_archive(line.exam_id, "archive", [wrong], reason="wrong twin")
        kept.rejected_in_archive(
            line.exam_id, "archive", [RejectedInstance("1.2.4", "1.2")], reason="x", document_uid="2.25.9"
        )
    assert main(["rejected", *where, "--json"]) == 1
    [told] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (told["sop_instance_uid"], told["reason"], told["rejected_by"]) == ("1.2.3", "wrong twin", None)
    assert main(["rejected", *where, "--all"]) == 1
    assert "rejected by 2.25.9" in capsys.readouterr().out


def test_a_written_site_file_has_tls_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["site", "--archive", "ORTHANC@10.0.0.5:4242", "--worklist", "RIS@ris.example:104", "--listen", "11113"]
    assert main([*call, "--out", str(tmp_path / "site.json")]) == 0
    written = load_dicom_config(tmp_path / "site.json")
    assert written.archive is not None
    assert written.worklist is not None
    assert written.archive.tls is not None
    assert written.worklist.tls is not None
    assert written.cart.tls is not None
    assert written.cart.listen_address == "127.0.0.1"
    assert main([*call, "--out", str(tmp_path / "site.json")]) == 2
    assert main([*call, "--out", str(tmp_path / "plain.json"), "--without-tls"]) == 0
    assert '"tls"' not in (tmp_path / "plain.json").read_text()
    assert main(["site", "--archive", "10.0.0.5", "--out", str(tmp_path / "x.json")]) == 2
    assert "expected TITLE@HOST:PORT" in capsys.readouterr().err


def test_the_first_example(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive and a worklist that come with it: site, worklist, send, as the README has them."""
    told = list[str]()
    hospital = Hospital(date.today(), told=told.append)
    try:
        node, site = f"DEMOARCHIVE@127.0.0.1:{hospital.port}", str(journal.parent / "trial.json")
        assert main(["site", "--archive", node, "--worklist", node, "--without-tls", "--out", site]) == 0
        assert main(["worklist", "--dicom-config", site]) == 0
        assert "Okafor^Chidi" in capsys.readouterr().out
        named = ["--journal", str(journal), "--key-file", str(journal.parent / "key")]
        assert main(["send", *named, "--dicom-config", site]) == 0
        assert "1 exams done, 0 waiting" in capsys.readouterr().out
        assert len(told) == len(hospital.kept) >= 4
        assert main(["hospital", "--port", str(hospital.port)]) == 2
        assert "name a free one" in capsys.readouterr().err
    finally:
        hospital.close()


@pytest.mark.parametrize("port", ["0", "70000", "-1", "x"])
def test_a_wrong_port_is_a_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["hospital", f"--port={port}"])
    assert ended.value.code == 2
    assert "expected a port from 1 to 65535" in capsys.readouterr().err


def test_missing_certificates_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = str(tmp_path / "site.json")
    assert main(["site", "--archive", "A@127.0.0.1:4242", "--worklist", "A@127.0.0.1:4242", "--out", site]) == 0
    assert "hospital.pem, cart-tls.pem, cart-tls.key" in capsys.readouterr().err
    assert main(["worklist", "--dicom-config", site]) == 2
    assert f"no file {tmp_path / 'hospital.pem'}, the site's `authority`" in capsys.readouterr().err
