"""Audit messages of PS3.15 A.5, from what a journal knows: who did what, when, with whose exam; pure.

Of the infant they hold the identifier, which the standard asks for, and nothing else; of a person who works at the cart
the name by which they signed in. No infant's name, no finding, no reason that a person typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

SUCCESS, MINOR_FAILURE = "0", "4"
_DCM, _RFC3881 = "DCM", "RFC-3881"
_AUTHENTICATION = ("110114", "User Authentication")
_LOGIN = ("110122", "Login")
_PROCEDURE, _PATIENT = ("110111", "Procedure Record"), ("110110", "Patient Record")
_EXPORT, _TRANSFERRED = ("110106", "Export"), ("110104", "DICOM Instances Transferred")
_DELETED, _ACCESSED = ("110105", "DICOM Study Deleted"), ("110103", "DICOM Instances Accessed")
_SECURITY, _KEYS = ("110113", "Security Alert"), ("110129", "Security Configuration")
_ATTRIBUTES = ("110137", "User Security Attributes Changed")
KINDS: dict[str, tuple[tuple[str, str], str]] = {
    "signed in": (_AUTHENTICATION, "E"),
    "sign-in refused": (_AUTHENTICATION, "E"),
    "opened": (_PROCEDURE, "C"),
    "relabelled": (_PROCEDURE, "U"),
    "excluded": (_PROCEDURE, "U"),
    "included": (_PROCEDURE, "U"),
    "confirmed view": (_PROCEDURE, "U"),
    "documented": (_PROCEDURE, "U"),
    "stopped": (_PROCEDURE, "U"),
    "closed": (_PROCEDURE, "U"),
    "voided": (_PROCEDURE, "U"),
    "amended": (_PATIENT, "U"),
    "exported": (_EXPORT, "R"),
    "sent": (_TRANSFERRED, "C"),
    "rejected in archive": (_ACCESSED, "D"),
    "retired": (_DELETED, "D"),
    "rekeyed": (_SECURITY, "E"),
    "PIN changed": (_SECURITY, "E"),
}
"""By the kind of an event of the journal, and `sent` of a delivery: what the standard calls it, and its action."""
TYPES = {"signed in": _LOGIN, "sign-in refused": _LOGIN, "rekeyed": _KEYS, "PIN changed": _ATTRIBUTES}
"""What the standard calls it more closely, where it does."""


@dataclass(frozen=True)
class Audited:
    """One thing that somebody did."""

    kind: str
    """Of `KINDS`."""
    at: datetime
    who: str
    exam_id: str = ""
    study_uid: str = ""
    """Where it is known: not of an exam that is retired."""
    patient_id: str = ""
    destination: str = ""
    """AE title of the archive, of what was sent."""
    outcome: str = SUCCESS


def message(event: Audited, source: str, host: str, program: str) -> bytes:
    """The XML, UTF-8. source: how the site names this cart; host: its network name; program: what it is there."""
    (code, name), action = KINDS[event.kind]
    root = ElementTree.Element("AuditMessage")
    about = ElementTree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=action,
        EventDateTime=event.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=event.outcome,
    )
    _code(about, "EventID", code, _DCM, name)
    if event.kind in TYPES:
        _code(about, "EventTypeCode", TYPES[event.kind][0], _DCM, TYPES[event.kind][1])
    person = {"UserID": _text(event.who), "UserIsRequestor": "true"}
    ElementTree.SubElement(root, "ActiveParticipant", person)
    node = {"UserID": program, "UserIsRequestor": "false", "NetworkAccessPointID": host}
    own = ElementTree.SubElement(root, "ActiveParticipant", {**node, "NetworkAccessPointTypeCode": "1"})
    if event.kind in ("sent", "exported"):
        _code(own, "RoleIDCode", "110153", _DCM, "Source Role ID")
        other = event.destination or "file"
        there = ElementTree.SubElement(root, "ActiveParticipant", UserID=_text(other), UserIsRequestor="false")
        _code(there, "RoleIDCode", "110152", _DCM, "Destination Role ID")
    where = ElementTree.SubElement(root, "AuditSourceIdentification", AuditSourceID=_text(source))
    ElementTree.SubElement(where, "AuditSourceTypeCode", {"csd-code": "2"})
    if event.exam_id:
        _exam(root, event)
    if event.patient_id:
        patient = _object(root, event.patient_id, "1", "1")
        _code(patient, "ParticipantObjectIDTypeCode", "2", _RFC3881, "Patient Number")
        ElementTree.SubElement(patient, "ParticipantObjectName")
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _exam(root: ElementTree.Element, event: Audited) -> None:
    exam = _object(root, event.study_uid or event.exam_id, "2", "3")
    if event.study_uid:
        _code(exam, "ParticipantObjectIDTypeCode", "110180", _DCM, "Study Instance UID")
    else:
        _code(exam, "ParticipantObjectIDTypeCode", "9", _RFC3881, "Report Number")
    ElementTree.SubElement(exam, "ParticipantObjectName").text = event.exam_id


def _object(root: ElementTree.Element, name: str, kind: str, role: str) -> ElementTree.Element:
    facts = {
        "ParticipantObjectID": _text(name),
        "ParticipantObjectTypeCode": kind,
        "ParticipantObjectTypeCodeRole": role,
    }
    return ElementTree.SubElement(root, "ParticipantObjectIdentification", facts)


def _code(parent: ElementTree.Element, tag: str, code: str, system: str, meaning: str) -> None:
    ElementTree.SubElement(
        parent, tag, {"csd-code": code, "codeSystemName": system, "originalText": meaning, "displayName": meaning}
    )


def _text(text: str) -> str:
    """What XML can hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
