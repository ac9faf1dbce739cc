"""The audit trail of a journal told outside: what happened since last time, in the trail's order, at least once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.checked_file import read_whole
from runtime.dicom import uids
from runtime.dicom.audit_messages import KINDS, MINOR_FAILURE, SUCCESS, Audited, message
from runtime.dicom.configuration import Audit, DicomConfig
from runtime.dicom.errors import SiteUnusable
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.outbox import steps
from runtime.dicom.syslog import deliver, line
from runtime.errors import ScreeningError
from runtime.exam.errors import JournalDamaged
from runtime.exam.infant import now_utc
from runtime.exam.journal import Journal
from runtime.sinks.files import write_file

FILE = "journal.audited"
BATCH = 500
LARGEST_BYTES = 64 << 20
_PURPOSE = "audited"


@dataclass
class _Told:
    """What was told already; sealed, so that nobody without the key can have something left out."""

    seq: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    """By exam the revision whose arrival was told."""


def tell(journal: Journal, site: DicomConfig, folder: Path) -> int:
    """Tell the site's audit repository all that is new; how many messages. Raises `SiteUnusable`, `ArchiveUnreachable`.

    Where it breaks off the same is told again: the repository knows each by its time and content.
    """
    if site.audit is None:
        raise SiteUnusable("the site's file names no audit repository; add `audit` to it")
    told, sent = _read(journal, folder), 0
    while True:
        events, seq = journal.events_after(told.seq, BATCH)
        found = list(_of_trail(journal, site, events))
        arrived = dict(_arrived(journal, told)) if seq == told.seq else {}
        found += [_of_delivery(journal, site, exam_id) for exam_id in arrived]
        if found:
            sent += deliver(site, site.audit, [_line(site.audit, site, one) for one in found])
        if seq == told.seq and not arrived:
            return sent
        told.seq, told.sent = seq, {**told.sent, **arrived}
        _write(journal, folder, told)


def _of_trail(journal: Journal, site: DicomConfig, events: list[Any]) -> Iterator[Audited]:
    for row in events:
        if row.kind not in KINDS:
            continue
        exam_id = row.exam or row.content.get("exam", "")
        outcome = MINOR_FAILURE if row.kind == "sign-in refused" else SUCCESS
        yield Audited(row.kind, journal.moment(row), row.who, exam_id, *_whose(journal, site, exam_id), outcome=outcome)


def _whose(journal: Journal, site: DicomConfig, exam_id: str) -> tuple[str, str]:
    """(study, patient) of an exam; empty where it is retired, or holds what cannot be read."""
    if not exam_id:
        return "", ""
    try:
        return uids.study(exam_from_journal(journal, exam_id, site.cart)), journal.infant(exam_id).infant_id
    except ScreeningError:
        return "", ""


def _arrived(journal: Journal, told: _Told) -> Iterator[tuple[str, int]]:
    for delivery in journal.deliveries.all(states=[steps.DONE]):
        if delivery.revision > told.sent.get(delivery.exam_id, 0):
            yield delivery.exam_id, delivery.revision


def _of_delivery(journal: Journal, site: DicomConfig, exam_id: str) -> Audited:
    title = "" if site.archive is None else site.archive.ae_title
    return Audited("sent", now_utc(), "software", exam_id, *_whose(journal, site, exam_id), destination=title)


def _line(peer: Audit, site: DicomConfig, event: Audited) -> bytes:
    host = socket.gethostname()
    return line(
        event.at, host, message(event, peer.source or site.cart.station or site.cart.ae_title, host, "rop-cart")
    )


def _read(journal: Journal, folder: Path) -> _Told:
    """From the start where nothing was told yet, or the file was altered: twice is better than not at all."""
    try:
        content = journal.unlocked().open_json(_PURPOSE, "", read_whole(folder / FILE, LARGEST_BYTES))
        return _Told(int(content["seq"]), {str(exam): int(at) for exam, at in content["sent"].items()})
    except (OSError, JournalDamaged, ValueError, TypeError, LookupError, AttributeError):
        return _Told()


def _write(journal: Journal, folder: Path, told: _Told) -> None:
    write_file(folder / FILE, journal.unlocked().seal_json(_PURPOSE, "", {"seq": told.seq, "sent": told.sent}))
