"""The port on which archives call as a target: whatever bytes come, it ends the call, and answers the next one."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from tests.busy import at_a_calm_moment

if TYPE_CHECKING:
    from runtime.dicom.commitment import CommitmentDesk

AS_THEY_ARE, AS_A_REPORT = 0, 1
"""Kinds of input: bytes of a caller, or those of the data set of a commitment's report in a right association."""
ENDS_S = 45.0
"""By then the listener has let go of a caller that hung up, on any machine; its own limits are ten times that."""
HONEST_EVERY = 200


def dicom_listener() -> tuple[Callable[[bytes], None], list[bytes]]:
    """A caller on the socket of a real listener, its threads' exceptions told as faults."""
    from pynetdicom import AE

    from runtime.dicom.commitment import CommitmentDesk
    from runtime.dicom.configuration import CartNode, DicomConfig
    from runtime.dicom.listening import Listening
    from runtime.dicom.uids import COMMITMENT, VERIFICATION

    desk = CommitmentDesk(DicomConfig.model_validate({"schema": "rop.dicom/1", "cart": CartNode()}))
    entity = AE(ae_title="ROPCART")
    entity.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    entity.add_supported_context(VERIFICATION)
    listening = Listening(entity, "127.0.0.1", 0, desk.handlers)
    entity.acse_timeout = entity.network_timeout = entity.dimse_timeout = 10 * ENDS_S
    port = listening.server.server_address[1]
    threading.Thread(target=_note, args=(desk,), daemon=True).start()
    faults: list[BaseException] = []
    threading.excepthook = lambda told: faults.append(told.exc_value or RuntimeError(told.exc_type.__name__))
    tries = count(1)
    request, seeds = _request(), _reports()

    def one(data: bytes) -> None:
        said = data[1:]
        if data[:1] and data[0] % 2 == AS_A_REPORT:
            said = request + _pdata(said)
        at_a_calm_moment(lambda: _ends(port, said))
        if next(tries) % HONEST_EVERY == 0:
            _honest(port)
        if faults:
            raise faults.pop()

    return one, [b"\0" + request, *(b"\0" + request + _pdata(one) for one in seeds), *(b"\1" + one for one in seeds)]


def _ends(port: int, said: bytes) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), ENDS_S) as caller:
            caller.sendall(said)
            caller.shutdown(socket.SHUT_WR)
            while caller.recv(65536):
                pass
    except TimeoutError:
        raise AssertionError(f"the listener still holds a caller that hung up {ENDS_S:g} s ago") from None
    except OSError:
        pass  # it hung up first


def _note(desk: CommitmentDesk) -> None:
    while True:
        for heard in desk.take(60):
            heard.noted()


def _honest(port: int) -> None:
    from pynetdicom import AE

    entity = AE(ae_title="ARCHIVE")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", port, ae_title="ROPCART")
    try:
        if not association.is_established or association.send_c_echo().Status != 0:
            raise AssertionError("the listener does not answer an honest caller any more")
    finally:
        association.release()


def _request() -> bytes:
    """A-ASSOCIATE-RQ of an archive that reports."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
    )
    from pynetdicom.presentation import build_context

    from runtime.dicom.uids import COMMITMENT

    context = build_context(COMMITMENT)
    context.context_id = 1
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = COMMITMENT, False, True
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received, implementation.implementation_class_uid = 16384, "1.2.3"
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "ARCHIVE", "ROPCART"
    asked.presentation_context_definition_list = [context]
    asked.user_information = [longest, implementation, role]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    return pdu.encode()


def _pdata(dataset: bytes) -> bytes:
    """P-DATA-TF of an N-EVENT-REPORT with these bytes as its data set."""
    from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
    from pynetdicom.dimse_primitives import N_EVENT_REPORT
    from pynetdicom.pdu import P_DATA_TF

    from runtime.dicom.uids import COMMITMENT, COMMITMENT_INSTANCE

    event = N_EVENT_REPORT()
    event.MessageID, event.EventTypeID = 1, 1
    event.AffectedSOPClassUID, event.AffectedSOPInstanceUID = COMMITMENT, COMMITMENT_INSTANCE
    event.EventInformation = io.BytesIO(dataset)
    message = N_EVENT_REPORT_RQ()
    message.primitive_to_message(event)
    said = b""
    for part in message.encode_msg(1, 16384):
        pdu = P_DATA_TF()
        pdu.from_primitive(part)
        said += pdu.encode()
    return said


def _reports() -> list[bytes]:
    """Data sets of reports: all kept, one failed, none, and a sequence of no end."""
    from pydicom.dataset import Dataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    found = []
    for kept, failed in ((2, 0), (1, 1), (0, 0)):
        report = Dataset()
        report.TransactionUID = "1.2.3.4"
        items = []
        for number in range(kept + failed):
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", f"1.2.{number}"
            if number >= kept:
                item.FailureReason = 0x0112
            items.append(item)
        report.ReferencedSOPSequence, report.FailedSOPSequence = items[:kept], items[kept:]
        out = DicomBytesIO()
        out.is_little_endian, out.is_implicit_VR = True, True
        write_dataset(out, report)
        found.append(out.getvalue())
    return [*found, bytes.fromhex("08009911ffffffff"), b""]
