"""What is said of an infant elsewhere under the same identifier, or of it under another: slips are seen by it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from runtime.commands.text import word
from runtime.errors import ScreeningError
from runtime.exam.errors import JournalError
from runtime.exam.infant import Infant
from runtime.exam.journal import Journal
from runtime.exam.journal.orders import earlier_infants, infants_of_exams
from runtime.exam.machine import Phase
from runtime.exam.naming import cleaned, same_name, says_nothing
from runtime.exam.order import Order, Ordered, day_of
from runtime.outcome import Outcome

DO = "compare with the wrist band again, and correct the infant where it is a slip"
LOOK = "a second person looks whose it is"
ALREADY = {
    one: f"this infant has an exam of today already: {word(one)}"
    for one in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
}
"""What is said before, and in, a second exam of an infant; one that found nothing out is to be done again."""
UNDER = "the worklist has this name and birth date under"


def said_otherwise(infant: Infant, ordered: Iterable[Mapping[str, Any]], journal: Journal, exam_id: str) -> list[str]:
    """Sentences for the screen, none where everything agrees; they repeat no name and no date.

    ordered: the worklist's lines; exam_id: the infant's own exam, which is not looked at. What is kept of the sentences
    is what `for_the_trail` leaves of them.
    """
    lines = list(ordered)
    found = [*_in_worklist(infant, lines), *_under_another(infant, lines)]
    try:
        exams = infants_of_exams(journal)
        found += _corrected_away(infant, exams, journal)
    except (JournalError, ValueError, KeyError):  # an exam is not to be refused for what another one's events hold
        return [*found, "what other exams of this cart say of this identifier could not be read; look under Today"]
    for other_id, other in exams.items():
        if other_id != exam_id and same_identifier(other.infant_id, infant.infant_id):
            differ = Ordered(Order(), "", other.name, f"{other.born_at:%Y%m%d}", other.sex).differing(infant)
            found += _sentences(f"exam {other_id}", differ)
    return found


def _corrected_away(infant: Infant, exams: Mapping[str, Infant], journal: Journal) -> Iterator[str]:
    """Of exams that refer and were this infant's until one person said that they are another's."""
    refer = {line.exam_id for line in journal.exams() if line.outcome is Outcome.REFER}
    for exam_id, earlier in earlier_infants(journal).items():
        was = any(same_identifier(one.infant_id, infant.infant_id) for one in earlier)
        if exam_id in refer and was and not same_identifier(exams[exam_id].infant_id, infant.infant_id):
            yield f"exam {exam_id}, which refers, was this infant's until it was corrected to another; {LOOK}"


def said_of_today(infant: Infant, journal: Journal) -> list[str]:
    """What an exam of today that is over says of the infant, in a sentence; none where there is none."""
    try:
        outcome = examined(journal, date.today()).get(folded(infant.infant_id))
    except (JournalError, ValueError, KeyError):  # an exam is not to be refused for what another one's events hold
        return ["whether this infant has an exam of today already could not be read; look under Today"]
    return [] if outcome is None else [ALREADY[outcome]]


def examined(journal: Journal, day: date) -> dict[str, Outcome]:
    """The infants of whom an exam of that day, by the clock on the wall then, is over and says something: by folded
    identifier the worst. One that was stopped or closed with nothing found out is to be done again."""
    of_day = [one for one in journal.exams() if one.local(one.opened_at).date() == day]
    done = [one for one in of_day if one.phase is Phase.CLOSED and one.outcome in ALREADY]
    worst_last = sorted(done, key=lambda one: one.outcome is Outcome.REFER)
    return {folded(journal.infant(one.exam_id).infant_id): one.outcome for one in worst_last}


def _in_worklist(infant: Infant, ordered: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for line in ordered:
        if not same_identifier(str(line["patient_id"]), infant.infant_id):
            continue
        try:
            differ = replace(Ordered.from_dict(line), patient_id="").differing(infant)
        except ScreeningError:
            differ = ["fields that cannot be read"]
        yield from _sentences("the worklist", differ)


def _under_another(infant: Infant, ordered: Iterable[Mapping[str, Any]]) -> list[str]:
    """By the very identifier, not as `same_identifier` has it: to an archive `d-1004` is another patient."""
    found = {str(line["patient_id"]).strip(" ") for line in ordered if _names(line, infant)}
    if not found - {""} or infant.infant_id.strip(" ") in found:
        return []
    return [f"{UNDER} {' and '.join(cleaned(one) for one in sorted(found - {''}))}; {DO}"]


def _names(line: Mapping[str, Any], infant: Infant) -> bool:
    """Whether a line of the worklist has the infant's name and day of birth."""
    name = str(line["patient_name"])
    try:
        born = day_of(str(line["birth_date"]))
    except ValueError:
        return False
    return born == f"{infant.born_at:%Y%m%d}" and not says_nothing(name) and same_name(name, infant.name)


def for_the_trail(said: Iterable[str]) -> list[str]:
    """The same without the worklist's identifiers, which would outlive an exam that is retired."""
    return [f"{UNDER} another identifier; {DO}" if one.startswith(UNDER) else one for one in said]


def _sentences(where: str, differ: list[str]) -> list[str]:
    return [f"{where} has this identifier with another {' and '.join(differ)}; {DO}"] if differ else []


def same_identifier(one: str, other: str) -> bool:
    """Whether two texts name one patient."""
    return folded(one) == folded(other)


def folded(identifier: str) -> str:
    """As accounts of light compare identifiers: spacing, case and width do not matter."""
    return " ".join(unicodedata.normalize("NFKC", identifier).casefold().split())
