"""dcmtk's programs and TLS: an archive that only stores, one that is full, one in implicit VR, certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pydicom
import pytest

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig, DicomNode, Tls, WorklistNode
from runtime.dicom.errors import ArchiveRefused, SiteUnusable
from runtime.dicom.find import instances_kept
from runtime.dicom.outbox import Outbox, outbox_state
from runtime.dicom.outbox.sender import Pass
from runtime.dicom.worklist import query_worklist
from runtime.exam.journal import Journal
from tests.runtime.dicom.archives import (
    CART_PORT,
    STORESCP_PORT,
    WORKLIST_PORT,
    Orthanc,
    installed,
    site,
    storescp,
    wlmscpfs,
)
from tests.runtime.dicom.certificates import tls
from tests.runtime.dicom.exams import KEY, fill_journal
from tests.runtime.dicom.test_orthanc import write_worklist

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("private_network"),
]


@pytest.fixture(autouse=True)
def dcmtk() -> None:
    if said := installed("storescp", "wlmscpfs", "dump2dcm"):
        pytest.skip(said)


def attempt(folder: Path, where: DicomConfig) -> tuple[Pass, int]:
    with Journal.open(folder / "journal", KEY) as journal, CommitmentDesk(where) as desk:
        result = Outbox(journal, where).send_due(desk, now=True)
        return result, outbox_state(journal, datetime.now(timezone.utc)).done


def receiver(folder: Path, **more: object) -> DicomConfig:
    return site(folder, ae_title="STORESCP", port=STORESCP_PORT, **more)


@pytest.mark.parametrize("options", [(), ("+xi",)], ids=["explicit", "implicit only"])
def test_an_archive_that_only_stores_has_it_all_and_proves_nothing(options: tuple[str, ...], tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal", frames=2)
    with storescp(tmp_path, *options):
        result, done = attempt(tmp_path, receiver(tmp_path))
    assert (result.done, done) == (0, 0)
    assert "supports none" in result.error
    kept = [pydicom.dcmread(path) for path in (tmp_path / "in").iterdir()]
    with Journal.open(tmp_path / "journal", KEY) as journal:
        expected = {i.uid: i.state for i in journal.deliveries.all()[0].instances}
    assert {d.SOPInstanceUID for d in kept} == set(expected)
    assert set(expected.values()) == {"stored"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted: not root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_archive_and_then_one_with_space(small_disk: Path, tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal", frames=4, width=128, height=96)
    with storescp(small_disk):
        result, _ = attempt(tmp_path, receiver(tmp_path))
    assert "out of resources (A700h)" in result.error
    with Journal.open(tmp_path / "journal", KEY) as journal:
        delivery = journal.deliveries.all()[0]
        assert {instance.state for instance in delivery.instances} == {"stored", "unsent"}
        assert delivery.state == "waiting"
        assert delivery.next_try is not None
    with storescp(tmp_path):
        attempt(tmp_path, receiver(tmp_path))
    files = [path.name for folder in (small_disk, tmp_path) for path in (folder / "in").iterdir()]
    whole = {name for name in files if any(i.uid in name for i in delivery.instances)}
    assert len(whole) == 9


def test_orthanc_on_a_full_disk_gets_it_once_there_is_space(small_disk: Path, tmp_path: Path) -> None:
    if said := installed("Orthanc"):
        pytest.skip(said)
    fill_journal(tmp_path / "journal", frames=6, width=128, height=96)
    with Orthanc(tmp_path / "orthanc", storage=small_disk / "storage") as server:
        assert isinstance(server, Orthanc)
        result, done = attempt(tmp_path, site(tmp_path, proof="find"))
        assert (result.failed, done) == (1, 0)
        subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
        result, done = attempt(tmp_path, site(tmp_path, proof="find"))
        assert (result.error, done) == ("", 1)
        assert len(server.instances()) == 13


def test_a_worklist_of_dcmtk(tmp_path: Path) -> None:
    server = wlmscpfs(tmp_path)
    write_worklist(tmp_path / "ROPWL", "MRN-9", "Doe^Baby", f"{datetime.now():%Y%m%d}")
    peer = DicomNode(ae_title="ROPWL", host="127.0.0.1", port=WORKLIST_PORT)
    with server:
        items = query_worklist(site(tmp_path), peer, day=datetime.now().date())
        assert [(item.patient_id, item.birth_date, item.sex) for item in items] == [("MRN-9", "20261001", "F")]
        assert query_worklist(site(tmp_path), peer, modality="CT") == []
        other = DicomNode(ae_title="NOBODY", host="127.0.0.1", port=WORKLIST_PORT)
        with pytest.raises(ArchiveRefused, match="called AE title NOBODY"):
            query_worklist(site(tmp_path), other)


def test_a_name_in_dcmtks_default_character_set_is_not_guessed(tmp_path: Path) -> None:
    """wlmscpfs gives bytes on as they lie in its file and, unless told otherwise, leaves out the character set."""
    (tmp_path / "in").mkdir()
    write_worklist(tmp_path / "in", "MRN-9", "Müßig^Zoë", f"{datetime.now():%Y%m%d}")
    server = wlmscpfs(tmp_path)
    (tmp_path / "in" / "MRN-9.wl").rename(tmp_path / "ROPWL" / "MRN-9.wl")
    peer: dict[str, Any] = {"ae_title": "ROPWL", "host": "127.0.0.1", "port": WORKLIST_PORT}
    with server:
        [item] = query_worklist(site(tmp_path), WorklistNode(**peer))
        assert (item.patient_name, item.unreadable) == ("", ("patient_name",))
        [item] = query_worklist(site(tmp_path), WorklistNode(**peer, character_set="ISO_IR 192"))
        assert (item.patient_name, item.unreadable) == ("Müßig^Zoë", ())


def test_orthanc_over_tls_both_ways(certificates: Path, tmp_path: Path) -> None:
    if said := installed("Orthanc"):
        pytest.skip(said)
    fill_journal(tmp_path / "journal", frames=2)
    files = {"server_cert": "server.pem", "server_key": "server.key", "authority": "authority.pem"}
    server = Orthanc(tmp_path / "orthanc", tls={name: certificates / file for name, file in files.items()})
    with server:
        where = site(tmp_path, listen_port=CART_PORT, tls=tls(), cart_tls=tls())
        result, done = attempt(tmp_path, where)
        assert (result.error, done) == ("", 1)
        assert len(server.instances()) == 5
        for refused in (tls("strangers_cart"), tls(authority="stranger"), {"authority": "authority.pem"}):
            with pytest.raises(ArchiveRefused, match="TLS was refused"):
                instances_kept(site(tmp_path, tls=refused), _archive(site(tmp_path, tls=refused)), "1.2", ["1.3"])


def test_an_archive_that_wants_tls_and_a_cart_that_does_not(certificates: Path, tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal", frames=1)
    options = ("+tls", str(certificates / "server.key"), str(certificates / "server.pem"))
    with storescp(tmp_path, *options, "+cf", str(certificates / "authority.pem")):
        result, _ = attempt(tmp_path, receiver(tmp_path, connect_s=2, answer_s=2))
        assert "does it expect TLS" in result.error
        result, _ = attempt(tmp_path, receiver(tmp_path, tls=tls()))
        assert "supports none" in result.error  # stored, and no way to prove it
        assert len(list((tmp_path / "in").iterdir())) == 3


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    where = receiver(tmp_path, tls=Tls(authority=Path("nowhere.pem")).model_dump())
    with pytest.raises(SiteUnusable, match=r"nowhere\.pem"):
        instances_kept(where, _archive(where), "1.2", ["1.3"])


def _archive(where: DicomConfig) -> DicomNode:
    assert where.archive is not None
    return where.archive
