"""Which exams were made on an order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.exam.errors import KeyUnusable
from runtime.exam.journal.crypt import HOW
from runtime.exam.journal.fold import AMENDED, OPENED
from runtime.exam.journal.reader import order_of
from runtime.exam.machine import Phase
from runtime.exam.order import Order

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader


def orders_of_exams(journal: JournalReader) -> dict[str, Order]:
    """By exam what was ordered, as it stands; voided, retired and unordered ones are left out.

    Raises `KeyUnusable` without the journal's key.
    """
    if journal.key is None:
        raise KeyUnusable(f"journal {journal.folder}: what was ordered is encrypted; {HOW}")
    boxes: dict[str, Mapping[str, Any] | None] = {}
    query = "SELECT exam, body FROM events WHERE kind IN (?, ?) AND body IS NOT NULL ORDER BY seq"
    for exam, body in journal.database.rows(query, (OPENED, AMENDED)):
        content = json.loads(body)
        if "order" in content:
            boxes[str(exam)] = content["order"]
    counts = {line.exam_id for line in journal.exams() if line.phase in (Phase.OPEN, Phase.CLOSED)}
    return {
        exam: Order.from_dict(journal.key.decrypt(dict(box), order_of(exam)))
        for exam, box in boxes.items()
        if box is not None and exam in counts
    }


def exams_on(order: Order, orders: Mapping[str, Order]) -> list[str]:
    """Exams that were made on that order, of what `orders_of_exams` gave."""
    return [exam for exam, known in orders.items() if order.same_as(known)]
