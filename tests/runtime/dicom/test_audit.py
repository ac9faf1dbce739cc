"""The audit trail that leaves the cart: messages of PS3.15 A.5, by RFC 5424 over TLS and UDP, once each, in order."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom.sr._concepts_dict import concepts

from runtime.dicom.__main__ import main
from runtime.dicom.audit import FILE
from runtime.dicom.audit_messages import KINDS, TYPES, Audited, message
from runtime.dicom.outbox import steps
from runtime.exam.__main__ import main as exam_main
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, Journal
from runtime.tls import NOT_OF_HOSPITALS
from runtime.views import Eye
from tests.runtime.dicom.certificates import tls
from tests.runtime.dicom.exams import KEY, fill_journal

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
Rule = tuple[set[str], set[str], list[tuple[str, str]]]
CODE: Rule = ({"csd-code", "codeSystemName", "originalText"}, {"displayName"}, [])
SCHEMA: dict[str, Rule] = {
    "AuditMessage": (
        set(),
        set(),
        [
            ("EventIdentification", "1"),
            ("ActiveParticipant", "+"),
            ("AuditSourceIdentification", "1"),
            ("ParticipantObjectIdentification", "*"),
        ],
    ),
    "EventIdentification": (
        {"EventDateTime", "EventOutcomeIndicator"},
        {"EventActionCode"},
        [("EventID", "1"), ("EventTypeCode", "*"), ("EventOutcomeDescription", "?")],
    ),
    "EventID": CODE,
    "EventTypeCode": CODE,
    "RoleIDCode": CODE,
    "ParticipantObjectIDTypeCode": CODE,
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        [("RoleIDCode", "*"), ("MediaIdentifier", "?")],
    ),
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}, [("AuditSourceTypeCode", "*")]),
    "AuditSourceTypeCode": ({"csd-code"}, {"codeSystemName", "originalText", "displayName"}, []),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID"},
        {
            "ParticipantObjectTypeCode",
            "ParticipantObjectTypeCodeRole",
            "ParticipantObjectDataLifeCycle",
            "ParticipantObjectSensitivity",
        },
        [
            ("ParticipantObjectIDTypeCode", "1"),
            ("ParticipantObjectName", "1"),
            ("ParticipantObjectDetail", "*"),
            ("ParticipantObjectDescription", "*"),
        ],
    ),
    "ParticipantObjectName": (set(), set(), []),
}
"""The schema of PS3.15 A.5.1 as far as this program writes it: attributes that must and may be, and parts in order."""
VALUES = {
    "EventActionCode": set("CRUDE"),
    "EventOutcomeIndicator": {"0", "4", "8", "12"},
    "UserIsRequestor": {"true", "false"},
    "NetworkAccessPointTypeCode": set("12345"),
    "ParticipantObjectTypeCode": set("1234"),
    "ParticipantObjectTypeCodeRole": {str(n) for n in range(1, 27)},
}
LINE = re.compile(
    rb"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 \S+ rop-cart \d+ DICOM\+RFC3881 - \xef\xbb\xbf(<\?xml.*)",
    re.S,
)


def valid(element: ElementTree.Element) -> None:
    must, may, parts = SCHEMA[element.tag]
    names = set(element.attrib)
    assert must <= names <= must | may, (element.tag, names)
    for name, value in element.attrib.items():
        assert value in VALUES.get(name, {value}), (element.tag, name, value)
    told = "".join(f"<{part.tag}>" for part in element)
    assert re.fullmatch("".join(f"(?:<{n}>){'' if c == '1' else c}" for n, c in parts), told), (element.tag, told)
    for part in element:
        valid(part)


def kinds(lines: list[bytes]) -> list[tuple[str, str, str]]:
    """(what, action, who) of each message, which has to be valid."""
    found = []
    for one in lines:
        match = LINE.fullmatch(one)
        assert match is not None, one[:200]
        root = ElementTree.fromstring(match[1])
        valid(root)
        event = root[0]
        found.append((event[0].attrib["originalText"], event.attrib["EventActionCode"], root[1].attrib["UserID"]))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_as_the_schema_has_it(kind: str) -> None:
    for event in (
        Audited(kind, NOW, "ana"),
        Audited(kind, NOW, "a<b>\x00&\n", "20261129-AAAAAAAA", "", "", "ARCHIVE", "4"),
        Audited(kind, NOW, "", "20261129-AAAAAAAA", "1.2.3", "H-1\ud800"[:3], "ARCHIVE"),
    ):
        valid(ElementTree.fromstring(message(event, "cart 1", "host", "rop-cart")))


@contextmanager
def repository(folder: Path | None) -> Iterator[tuple[int, list[bytes]]]:
    """A listener, by TLS with a folder of certificates, else by UDP: its port and what it heard, line by line."""
    heard: list[bytes] = []
    if folder is None:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(0.3)
            yield udp.getsockname()[1], heard
            try:
                while True:
                    heard.append(udp.recv(65_536))
            except TimeoutError:
                return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "authority.pem"))
    context.verify_flags &= ~NOT_OF_HOSPITALS
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                    data = b""
                    while part := secured.recv(65_536):
                        data += part
                    while data:
                        length, _, data = data.partition(b" ")
                        heard.append(data[: int(length)])
                        data = data[int(length) :]

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join(180)
        assert not thread.is_alive()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two exams: one as it was, one documented, sent, and voided; somebody signed in."""
    monkeypatch.setenv("ROP_JOURNAL_KEY", KEY.text)
    folder = tmp_path / "journal"
    first, second = fill_journal(folder, exams=2, frames=1)
    with Journal.open(folder, KEY) as opened:
        opened.note_person("signed in", "ana")
        opened.document(first, EyeFindings(Eye.OD, stage="2", note="a ridge"), clinician="dr")
        revision = opened.summary(first).changed_seq
        opened.deliveries.change(first, "archive", lambda _: Delivery(first, "archive", revision, steps.DONE))
        opened.void_exam(second, reason="wrong infant", operator="ana")
    return folder


def site(folder: Path, **audit: Any) -> str:
    content = {"schema": "rop.dicom/1", "audit": {"host": "127.0.0.1", "source": "cart 1", **audit}}
    (folder / "site.json").write_text(json.dumps(content))
    return str(folder / "site.json")


EXPECTED = [
    ("Procedure Record", "C", "nurse"),
    ("Procedure Record", "U", "nurse"),
    ("Procedure Record", "C", "nurse"),
    ("Procedure Record", "U", "nurse"),
    ("User Authentication", "E", "ana"),
    ("Procedure Record", "U", "dr"),
    ("Procedure Record", "U", "ana"),
    ("DICOM Instances Transferred", "C", "software"),
]


@pytest.mark.parametrize("transport", ["tls", "udp"])
def test_what_was_done_is_told_once_in_order_and_without_a_name(
    journal: Path, certificates: Path, transport: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secured = {"tls": tls()} if transport == "tls" else {}
    with repository(certificates if secured else None) as (port, heard):
        where = site(certificates, port=port, transport=transport, **secured)
        call = ["audit", "--journal", str(journal), "--site", where]
        assert main(call) == 0
        assert capsys.readouterr().out == "8 messages\n"
        assert main(call) == 0  # nothing is new
        assert (
            exam_main(["export", exams(journal)[0], "--journal", str(journal), "--out", str(journal / "r.html")]) == 0
        )
        assert main(call) == 0
        assert main(call) == 0
    found = kinds(heard)
    assert found[:8] == EXPECTED
    assert [(what, action) for what, action, _ in found[8:]] == [("Export", "R")]
    said = b"".join(heard)
    assert b"MRN-0-0" in said  # the identifier is asked for
    for never in (b"Infant0", b"Test", b"ridge", b"wrong infant", b"REFER"):
        assert never not in said


def exams(journal: Path) -> list[str]:
    with Journal.open(journal, KEY, read_only=True) as opened:
        return [line.exam_id for line in reversed(opened.exams())]


def test_nothing_is_lost_where_nobody_listens_and_nothing_left_out_by_a_forged_place(
    journal: Path, certificates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        dead = taken.getsockname()[1]
    call = ["audit", "--journal", str(journal), "--site", site(certificates, port=dead, tls=tls())]
    assert main(call) == 1
    assert "audit repository 127.0.0.1" in capsys.readouterr().err
    assert not (journal / FILE).exists()
    with repository(certificates) as (port, heard):
        site(certificates, port=port, tls=tls("strangers_cart", "stranger"))
        assert main(call) == 1
        assert "TLS was refused: its certificate is of an unknown authority" in capsys.readouterr().err
        site(certificates, port=port, tls=tls())
        assert main(call) == 0
        (journal / FILE).write_bytes(json.dumps({"seq": 10**6, "sent": {}}).encode())
        assert main(call) == 0
    assert kinds(heard) == EXPECTED * 2


@pytest.mark.parametrize(
    "audit", [{"transport": "tls"}, {"transport": "udp", "tls": tls()}, {"port": 0}, {"transport": "tcp"}, {"host": ""}]
)
def test_a_wrong_site_file_is_refused(journal: Path, tmp_path: Path, audit: dict[str, Any]) -> None:
    assert main(["audit", "--journal", str(journal), "--site", site(tmp_path, **audit)]) == 2


def test_a_site_without_a_repository_says_so(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.json").write_text('{"schema": "rop.dicom/1"}')
    assert main(["audit", "--journal", str(journal), "--site", str(tmp_path / "site.json")]) == 2
    assert "names no audit repository" in capsys.readouterr().err


def test_each_code_means_what_the_standard_says() -> None:
    """A system that shows the meaning by the code would show another event than happened."""
    dcm: dict[str, dict[str, Any]] = concepts["DCM"]  # type: ignore[assignment]
    words = {code: said[0] for codes in dcm.values() for code, said in codes.items()}
    used = [event for event, _ in KINDS.values()] + list(TYPES.values())
    assert [(code, words[code]) for code, _ in used] == used
