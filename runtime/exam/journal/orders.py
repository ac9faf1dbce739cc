"""Which exams were made on an order, and of which infant: of all at once, without making each exam of its events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from runtime.exam.errors import InfantInvalid, JournalDamaged
from runtime.exam.infant import Infant
from runtime.exam.journal.chain import StoredRow, Strand, follows
from runtime.exam.journal.fold import AMENDED, OPENED
from runtime.exam.journal.trail import WITH_BEFORE, checked_event
from runtime.exam.machine import Phase
from runtime.exam.order import Order

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader


def orders_of_exams(journal: JournalReader) -> dict[str, Order]:
    """By exam what was ordered, as it stands; voided, retired and unordered ones are left out.

    Raises `KeyUnusable` without the journal's key.
    """
    return {exam: Order.from_dict(content) for exam, content in _last_said(journal, "order").items()}


def infants_of_exams(journal: JournalReader) -> dict[str, Infant]:
    """By exam who was examined, as it stands; voided and retired ones are left out. Raises `KeyUnusable`."""
    return {exam: Infant.from_dict(content) for exam, content in _last_said(journal, "patient").items()}


def earlier_infants(journal: JournalReader) -> dict[str, list[Infant]]:
    """By exam whose it was before it was corrected, oldest first; voided and retired ones are left out.

    Raises `KeyUnusable`, and `JournalDamaged` where an event was altered.
    """
    secrets, said = journal.unlocked(), dict[str, list[Infant]]()
    for values in journal.database.rows(_WHOM, (OPENED, AMENDED)):
        content = checked_event(secrets, values).content
        if "patient" in content:
            said.setdefault(str(values[1]), []).append(Infant.from_dict(content["patient"]))
    counts = {line.exam_id for line in journal.exams() if line.phase in (Phase.OPEN, Phase.CLOSED)}
    return {exam: infants[:-1] for exam, infants in said.items() if len(infants) > 1 and exam in counts}


def infants_listed(journal: JournalReader, exams: Collection[str]) -> dict[str, Infant]:
    """By exam who was examined, of those that a list shows; retired ones have nobody.

    One whose events are not those that its line seals is left out, as where the exam itself is read. Raises
    `KeyUnusable`.
    """
    secrets, found, strands = journal.unlocked(), dict[str, Infant](), dict[str, Strand]()
    with journal.database.snapshot():
        lines = {str(kept.line[0]): kept for kept in journal.lines() if kept.line[1] != Phase.RETIRED.value}
        for values in journal.database.rows(_LINKS):
            row, exam = StoredRow(*values[:-2]), str(values[1])
            if exam in exams and follows(row, values[-1]):
                strands[exam] = strands.get(exam, Strand()).after(row.seq, row.hash)
        rows = journal.database.rows(_WHOM, (OPENED, AMENDED))
    sound = {exam for exam in exams if exam in lines and strands.get(exam) == lines[exam].strand}
    for values in rows:
        if (exam := values[1]) in sound:
            try:
                content = checked_event(secrets, values).content
                if "patient" in content:
                    found[exam] = Infant.from_dict(content["patient"])
            except (JournalDamaged, InfantInvalid, ValueError, KeyError, TypeError):
                sound.remove(exam)
    return {exam: infant for exam, infant in found.items() if exam in sound}


_WHOM = f"{WITH_BEFORE} WHERE kind IN (?, ?) ORDER BY seq"
_LINKS = f"{WITH_BEFORE} ORDER BY seq".replace(" body,", " NULL,")


def _last_said(journal: JournalReader, what: str) -> dict[str, Mapping[str, Any]]:
    secrets, said = journal.unlocked(), dict[str, Mapping[str, Any] | None]()
    for values in journal.database.rows(_WHOM, (OPENED, AMENDED)):
        content = checked_event(secrets, values).content
        if what in content:
            said[str(values[1])] = content[what]
    counts = {line.exam_id for line in journal.exams() if line.phase in (Phase.OPEN, Phase.CLOSED)}
    return {exam: content for exam, content in said.items() if content is not None and exam in counts}


def exams_on(order: Order, orders: Mapping[str, Order]) -> list[str]:
    """Exams that were made on that order, of what `orders_of_exams` gave."""
    return [exam for exam, known in orders.items() if order.same_as(known)]
