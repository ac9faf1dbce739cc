"""Which exams were made on an order, and of which infant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.exam.infant import Infant
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


def _last_said(journal: JournalReader, what: str) -> dict[str, Mapping[str, Any]]:
    secrets, said = journal.unlocked(), dict[str, Mapping[str, Any] | None]()
    query = f"{WITH_BEFORE} WHERE kind IN (?, ?) ORDER BY seq"
    for values in journal.database.rows(query, (OPENED, AMENDED)):
        row = checked_event(secrets, values)
        if what in row.content:
            said[str(row.exam)] = row.content[what]
    counts = {line.exam_id for line in journal.exams() if line.phase in (Phase.OPEN, Phase.CLOSED)}
    return {exam: content for exam, content in said.items() if content is not None and exam in counts}


def exams_on(order: Order, orders: Mapping[str, Order]) -> list[str]:
    """Exams that were made on that order, of what `orders_of_exams` gave."""
    return [exam for exam, known in orders.items() if order.same_as(known)]
