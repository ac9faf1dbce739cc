"""The outbox against Orthanc: commitment, query, archive down, killed, restarted, wrong titles, worklist."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.outbox import Outbox, outbox_state
from runtime.dicom.outbox.sender import AnotherSender, Pass
from runtime.dicom.worklist import query_worklist
from runtime.exam.journal import Journal
from runtime.exam.journal.records import CaptureRecord
from runtime.views import Eye, View
from tests.runtime.dicom.archives import CART_PORT, ORTHANC_DICOM, Orthanc, site
from tests.runtime.dicom.exams import KEY, fill_journal

# pynetdicom drops, and does not close, a socket that could not connect; Python closes it and warns.
pytestmark = [
    pytest.mark.system,
]


def send(folder: Path, where: DicomConfig, *, now: bool = True) -> Pass:
    with Journal.open(folder, KEY) as journal, CommitmentDesk(where) as desk:
        return Outbox(journal, where).send_due(desk, now=now)


def planned_uids(folder: Path) -> list[str]:
    with Journal.open(folder, KEY) as journal:
        return sorted(i.uid for delivery in journal.deliveries.all() for i in delivery.instances)


def state(folder: Path):  # type: ignore[no-untyped-def]
    with Journal.open(folder, KEY) as journal:
        return outbox_state(journal, datetime.now(timezone.utc))


@pytest.mark.parametrize("way", [{"listen_port": CART_PORT}, {"proof": "find"}])
def test_exams_reach_the_archive_once(way: dict[str, object], orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=2, frames=3)
    assert state(tmp_path).waiting == 2
    assert send(tmp_path, site(tmp_path, **way)) == Pass(done=2, failed=0)
    assert orthanc.instances() == planned_uids(tmp_path)
    assert len(orthanc.instances()) == 14
    assert (state(tmp_path).done, state(tmp_path).undone, state(tmp_path).oldest_age_s) == (2, 0, None)
    assert send(tmp_path, site(tmp_path, **way)) == Pass(done=0, failed=0)


def test_what_the_archive_shows_is_what_was_sent(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=2)
    send(tmp_path, site(tmp_path, proof="find"))
    kinds = {item["MainDicomTags"].get("Modality") for item in orthanc.rest("/series?expand")}
    assert kinds == {"OP", "SR"}
    study = orthanc.rest("/studies?expand")[0]
    assert study["PatientMainDicomTags"]["PatientID"] == "MRN-0-0"


def test_without_a_way_back_commitment_is_not_taken_for_given(orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc reports only by calling; where nobody listens, the exam is stored but not done."""
    fill_journal(tmp_path, frames=1)
    result = send(tmp_path, site(tmp_path, proof="commitment", commitment_s=0.5))
    assert "no report of storage commitment in 0.5 s" in result.error
    assert (state(tmp_path).proving, state(tmp_path).done) == (1, 0)
    assert len(orthanc.instances()) == 3
    assert send(tmp_path, site(tmp_path, listen_port=CART_PORT)).done == 1
    assert len(orthanc.instances()) == 3


def test_what_the_archive_lost_is_sent_again(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=2)
    where = site(tmp_path, listen_port=CART_PORT)
    send(tmp_path, site(tmp_path, proof="commitment", commitment_s=0.1))
    assert state(tmp_path).proving == 1
    lost = orthanc.rest("/instances")[0]
    orthanc.rest(f"/instances/{lost}", "DELETE")
    result = send(tmp_path, where)
    assert "answers for 4 of them" in result.error
    assert send(tmp_path, where).done == 1
    assert orthanc.instances() == planned_uids(tmp_path)


def test_an_archive_that_is_down_and_comes_up(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=2, frames=1)
    where = site(tmp_path, listen_port=CART_PORT)
    orthanc.kill()
    result = send(tmp_path, where)
    assert (result.done, result.failed) == (0, 1)
    assert "Connection refused" in result.error
    shown = state(tmp_path)
    assert (shown.waiting, shown.last_error) == (2, result.error)
    assert shown.oldest_age_s is not None
    orthanc.start()
    assert send(tmp_path, where).done == 2
    assert orthanc.instances() == planned_uids(tmp_path)


def test_an_archive_that_forbids_commitment_is_asked_by_query(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal", frames=1)
    orthanc.kill()  # the other one has its port
    with Orthanc(tmp_path / "orthanc", commitment=False) as server:
        where = site(tmp_path, listen_port=CART_PORT, proof="commitment")
        said = send(tmp_path / "journal", where).error
        assert "aborted the association while storage commitment was asked for" in said
        assert send(tmp_path / "journal", site(tmp_path, listen_port=CART_PORT)) == Pass(1, 0)
        assert isinstance(server, Orthanc)
        assert len(server.instances()) == 3
    orthanc.start()


def test_while_the_archive_rests_nobody_calls_it(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, exams=3, frames=1)
    where = site(tmp_path, proof="find", port=ORTHANC_DICOM + 1)
    with Journal.open(tmp_path, KEY) as journal, CommitmentDesk(where) as desk:
        box = Outbox(journal, where)
        assert box.send_due(desk).failed == 1
        assert box.send_due(desk) == Pass(0, 0)


def test_a_wrong_title_is_said_and_held(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    result = send(tmp_path, site(tmp_path, ae_title="NOBODY"))
    assert "does not know the called AE title NOBODY" in result.error
    assert state(tmp_path).held == 1
    right = site(tmp_path, proof="find")
    assert send(tmp_path, right).done == 1


def test_a_corrected_eye_is_sent_as_a_new_image(orthanc: Orthanc, tmp_path: Path) -> None:
    exam_id = fill_journal(tmp_path, frames=2)[0]
    where = site(tmp_path, proof="find")
    send(tmp_path, where)
    before = set(orthanc.instances())
    with Journal.open(tmp_path, KEY) as journal:
        first: CaptureRecord = journal.exam(exam_id).captures[0]
        assert first.eye is Eye.OD
        journal.relabel(exam_id, 1, Eye.OS, View.NASAL, reason="wrong eye set", operator="nurse")
    assert send(tmp_path, where).done == 1
    new = set(orthanc.instances()) - before
    assert len(new) == 4  # photograph, overlay, report, and the note that rejects those before
    assert new < set(planned_uids(tmp_path))
    with Journal.open(tmp_path, KEY) as journal:
        [told] = journal.rejections(exam_id)
    # Orthanc keeps the note and goes on showing what it rejects: its administrator has to know.
    assert (len(told.instances), told.document_uid) == (3, "")


def test_one_sender_at_a_time(orthanc: Orthanc, tmp_path: Path) -> None:
    fill_journal(tmp_path, frames=1)
    where = site(tmp_path, proof="find")
    with Journal.open(tmp_path, KEY) as journal, CommitmentDesk(where) as desk:
        box = Outbox(journal, where)
        with box._only_sender(), pytest.raises(AnotherSender):
            Outbox(journal, where).send_due(desk)
        assert box.send_due(desk).done == 1


WORKLIST = """
(0008,0005) CS [ISO_IR 192]
(0008,0050) SH [ACC-1]
(0010,0010) PN [{name}]
(0010,0020) LO [{patient}]
(0010,0030) DA [20261001]
(0010,0040) CS [F]
(0020,000d) UI [1.2.826.0.1.3680043.8.498.1]
(0032,1060) LO [ROP screening]
(0040,1001) SH [RP-1]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [OP]
(0040,0001) AE [ROPCART]
(0040,0002) DA [{day}]
(0040,0003) TM [101500]
(0040,0007) LO [Both eyes]
(0040,0009) SH [SPS-1]
(fffe,e00d) -
(fffe,e0dd) -
"""


def write_worklist(folder: Path, patient: str, name: str, day: str) -> None:
    source, target = folder / f"{patient}.dump", folder / f"{patient}.wl"
    source.write_text(WORKLIST.format(patient=patient, name=name, day=day), encoding="utf-8")
    subprocess.run(["dump2dcm", "-q", str(source), str(target)], check=True)


def test_the_worklist_of_a_day(orthanc: Orthanc, tmp_path: Path) -> None:
    today = datetime.now()
    write_worklist(orthanc.worklists, "MRN-2", "Müßig^Zoë", f"{today:%Y%m%d}")
    write_worklist(orthanc.worklists, "MRN-3", "Doe" * 30 + "^Later", f"{today + timedelta(days=1):%Y%m%d}")
    peer = DicomNode(ae_title="ORTHANC", host="127.0.0.1", port=ORTHANC_DICOM)
    items = query_worklist(site(tmp_path), peer, day=today.date())
    assert [(item.patient_id, item.patient_name) for item in items] == [("MRN-2", "Müßig^Zoë")]
    first = items[0]
    assert (first.accession, first.study_uid, first.step_id) == ("ACC-1", "1.2.826.0.1.3680043.8.498.1", "SPS-1")
    assert [item.patient_id for item in query_worklist(site(tmp_path), peer)] == ["MRN-2", "MRN-3"]
    assert [item.patient_id for item in query_worklist(site(tmp_path), peer, patient_id="MRN-3")] == ["MRN-3"]
