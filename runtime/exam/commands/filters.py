"""Which exams `list` shows: by day, by the infant's name or identifier (with the key), by outcome, by delivery."""

from __future__ import annotations

from argparse import Namespace

from runtime.exam.errors import KeyUnusable
from runtime.exam.infant import Infant
from runtime.exam.journal import ExamSummary, Journal
from runtime.exam.journal.crypt import HOW
from runtime.exam.journal.orders import infants_listed
from runtime.exam.naming import readable_name

NOT_SENT = "none"
"""The word for an exam without a delivery."""


def fitting(journal: Journal, options: Namespace) -> list[ExamSummary]:
    """Exams that fit every filter that the options give, newest first. Raises `KeyUnusable` for a name without key."""
    if options.name is not None and journal.key is None:
        raise KeyUnusable(f"--name: names are encrypted; {HOW}")
    found = list[ExamSummary]()
    sent: dict[str, set[str]] = {}
    if options.delivery is not None:
        for delivery in journal.deliveries.all():
            sent.setdefault(delivery.exam_id, set()).add(delivery.state)
    for summary in journal.exams():
        if options.day is not None and summary.local(summary.opened_at).date() != options.day:
            continue
        if options.outcome is not None and summary.outcome is not options.outcome:
            continue
        if options.delivery is not None and options.delivery not in sent.get(summary.exam_id, {NOT_SENT}):
            continue
        found.append(summary)
    if options.name is None:
        return found
    infants = infants_listed(journal, {line.exam_id for line in found})
    return [line for line in found if _named(infants.get(line.exam_id), options.name)]


def _named(infant: Infant | None, asked: str) -> bool:
    """Whether the infant's name or identifier holds the words, however they are cased; nobody's once it is retired."""
    if infant is None:
        return False
    known = f"{infant.name} {readable_name(infant.name)} {infant.infant_id}".casefold()
    return all(part in known for part in asked.casefold().split())
