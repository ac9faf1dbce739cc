"""What is said of an infant elsewhere under the same identifier: a slip of the wrist band's number is seen by it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from runtime.errors import ScreeningError
from runtime.exam.errors import JournalError
from runtime.exam.infant import Infant
from runtime.exam.journal import Journal
from runtime.exam.journal.orders import infants_of_exams
from runtime.exam.order import Order, Ordered

DO = "compare with the wrist band again, and correct the infant where it is a slip"


def said_otherwise(infant: Infant, ordered: Iterable[Mapping[str, Any]], journal: Journal, exam_id: str) -> list[str]:
    """Sentences for the screen, none where everything agrees; they repeat no name and no date.

    ordered: the worklist's lines; exam_id: the infant's own exam, which is not looked at.
    """
    found = list(_in_worklist(infant, ordered))
    try:
        exams = infants_of_exams(journal)
    except (JournalError, ValueError, KeyError):  # an exam is not to be refused for what another one's events hold
        return [*found, "what other exams of this cart say of this identifier could not be read"]
    for other_id, other in exams.items():
        if other_id != exam_id and same_identifier(other.infant_id, infant.infant_id):
            differ = Ordered(Order(), "", other.name, f"{other.born_at:%Y%m%d}", other.sex).differing(infant)
            found += _sentences(f"exam {other_id}", differ)
    return found


def _in_worklist(infant: Infant, ordered: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for line in ordered:
        if not same_identifier(str(line["patient_id"]), infant.infant_id):
            continue
        try:
            differ = replace(Ordered.from_dict(line), patient_id="").differing(infant)
        except ScreeningError:
            differ = ["fields that cannot be read"]
        yield from _sentences("the worklist", differ)


def _sentences(where: str, differ: list[str]) -> list[str]:
    return [f"{where} has this identifier with another {' and '.join(differ)}; {DO}"] if differ else []


def same_identifier(one: str, other: str) -> bool:
    """Whether two texts name one patient."""
    return folded(one) == folded(other)


def folded(identifier: str) -> str:
    """As accounts of light compare identifiers: spacing, case and width do not matter."""
    return " ".join(unicodedata.normalize("NFKC", identifier).casefold().split())
