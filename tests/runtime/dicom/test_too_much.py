"""A peer that says more than anybody can use is given up: by its bytes, by their parts, and by what they unpack to."""

from __future__ import annotations

import contextlib
import io
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_FIND, N_EVENT_REPORT

from runtime.dicom.association import associated, proposed
from runtime.dicom.commitment import CommitmentDesk, request_commitment
from runtime.dicom.configuration import DicomConfig, WorklistNode
from runtime.dicom.connection import MOST_BYTES, MOST_ITEMS
from runtime.dicom.errors import ArchiveRefused, DicomError
from runtime.dicom.find import instances_kept
from runtime.dicom.uids import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    PERFORMED_STEP,
    STUDY_ROOT_FIND,
    VERIFICATION,
    WORKLIST_FIND,
)
from runtime.dicom.worklist import query_worklist
from tests.runtime.dicom.answers import Answer, answer
from tests.runtime.dicom.archives import CART_PORT, site

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("private_network")]
MOST_CPU_S = 30
"""Of processor time, where pydicom alone sits over a million items for forty seconds, and memory is full."""


def items(count: int, tag: int = 0x00400100) -> bytes:
    """A sequence, the scheduled steps unless another is named, of so many items that hold nothing; implicit VR."""
    begin = struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 0xFFFFFFFF)
    return begin + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@contextmanager
def system(*answers: bytes) -> Iterator[int]:
    """One that answers every question with these, as they are."""

    def find(event: Any) -> Iterator[tuple[int, None]]:
        for raw in answers:
            response = C_FIND()
            response.MessageIDBeingRespondedTo = event.request.MessageID
            response.AffectedSOPClassUID = event.request.AffectedSOPClassUID
            response.Status = 0xFF00
            response.Identifier = io.BytesIO(raw)
            event.assoc.dimse.send_msg(response, event.context.context_id)
        yield 0x0000, None

    entity = AE(ae_title="ARCHIVE")
    for sop_class in (WORKLIST_FIND, STUDY_ROOT_FIND, COMMITMENT, VERIFICATION):
        entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def worklist(where: DicomConfig, port: int) -> WorklistNode:
    return WorklistNode(ae_title="ARCHIVE", host="127.0.0.1", port=port)


@pytest.mark.parametrize(
    "answers",
    [
        [items(1_000_000)],
        [items(MOST_ITEMS // 4)] * 5,
        [answer(Answer()) + items(MOST_ITEMS + 1, 0x00401001)],
        [answer(Answer(name=b"x" * 10_000))] * (MOST_BYTES // 10_000 + 1),
    ],
    ids=["a million items", "many in all", "in another sequence", "without an end"],
)
def test_a_worklist_that_says_more_than_anybody_can_use_is_given_up(tmp_path: Path, answers: list[bytes]) -> None:
    where, began_s = site(tmp_path, answer_s=60), time.process_time()
    said = "more than 16 MiB, or 100000 items of sequences; ask for less"
    with system(*answers) as port, pytest.raises(ArchiveRefused, match=said):
        query_worklist(where, worklist(where, port))
    assert time.process_time() - began_s < MOST_CPU_S


def test_an_archive_that_lists_without_an_end_is_given_up(tmp_path: Path) -> None:
    where = site(tmp_path, answer_s=60)
    assert where.archive is not None
    many = [struct.pack("<HHI", 0x0008, 0x0018, 6) + b"1.2.3\0" + b"\x20\0\0\x40\xf8\xff\0\0" + bytes(0xFFF8)] * 300
    with system(*many) as port, pytest.raises(ArchiveRefused, match="more than 16 MiB"):
        instances_kept(where, where.archive.model_copy(update={"ae_title": "ARCHIVE", "port": port}), "1.2", ["1.3"])


@pytest.mark.parametrize("count", [0, MOST_ITEMS + 1])
def test_a_report_of_more_items_than_anybody_asked_for_is_not_taken(tmp_path: Path, count: int) -> None:
    where = site(tmp_path, ae_title="ROPCART", port=CART_PORT, listen_port=CART_PORT)
    assert where.archive is not None
    with CommitmentDesk(where) as desk, associated(where, where.archive, [proposed(COMMITMENT)]) as caller:
        began_s = time.process_time()
        report = N_EVENT_REPORT()
        report.MessageID, report.EventTypeID = 7, 1
        report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = COMMITMENT, COMMITMENT_INSTANCE
        uid = b"1.2.3\0"
        transaction = struct.pack("<HHI", 0x0008, 0x1195, len(uid)) + uid
        report.EventInformation = io.BytesIO(transaction + items(count, 0x00081199))
        caller._reactor_checkpoint.clear()
        number = caller.accepted_contexts[0].context_id
        assert number is not None
        caller.dimse.send_msg(report, number)
        if count == 0:
            assert wait_for(desk)
            return
        _, said = caller.dimse.get_msg(block=True)
        caller._reactor_checkpoint.set()
        assert said is None or said.Status != 0
        assert desk.take() == []
        assert time.process_time() - began_s < MOST_CPU_S


def wait_for(desk: CommitmentDesk) -> bool:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for heard in desk.take():
            heard.noted()
            return True
        time.sleep(0.01)
    return False


CALLS: dict[str, Callable[[DicomConfig, int], object]] = {
    "worklist": lambda where, port: query_worklist(where, worklist(where, port)),
    "find": lambda where, port: instances_kept(where, named(where, port), "1.2", ["1.3"]),
    "commitment": lambda where, port: request_commitment(
        where, named(where, port), CommitmentDesk(where), "1.2.3", [("1.2", "1.3")]
    ),
}


def named(where: DicomConfig, port: int) -> Any:
    assert where.archive is not None
    return where.archive.model_copy(update={"ae_title": "ARCHIVE", "port": port})


@pytest.mark.parametrize("called", CALLS)
def test_nothing_deflated_is_asked_for(tmp_path: Path, called: str) -> None:
    """A few kilobytes of it are gigabytes, and pynetdicom unpacks them whole."""
    asked: list[str] = []

    def heard(event: Any) -> None:
        asked.extend(str(syntax) for one in event.assoc.requestor.requested_contexts for syntax in one.transfer_syntax)

    entity = AE(ae_title="ARCHIVE")
    for sop_class in (WORKLIST_FIND, STUDY_ROOT_FIND, COMMITMENT, PERFORMED_STEP):
        entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, heard)])
    assert server is not None
    try:
        with contextlib.suppress(DicomError):
            CALLS[called](site(tmp_path, answer_s=5), server.server_address[1])
    finally:
        server.shutdown()
    assert asked
    assert DeflatedExplicitVRLittleEndian not in asked


def test_nothing_deflated_is_taken_from_a_caller(tmp_path: Path) -> None:
    with CommitmentDesk(site(tmp_path, ae_title="ROPCART", port=CART_PORT, listen_port=CART_PORT)):
        entity = AE(ae_title="ROPCART")
        entity.add_requested_context(VERIFICATION, [DeflatedExplicitVRLittleEndian])
        entity.add_requested_context(COMMITMENT, [DeflatedExplicitVRLittleEndian])
        caller = entity.associate("127.0.0.1", CART_PORT, ae_title="ROPCART")
        assert caller.accepted_contexts == []
        caller.abort()
