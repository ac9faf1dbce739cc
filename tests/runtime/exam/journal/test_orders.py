"""What is read of all exams at once is what each exam itself says, and nothing of one that was altered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.orders import infants_listed
from tests.runtime.exam.making import NRF, REFER, infant, journal_exam


def filled(journal: Journal) -> dict[str, str]:
    """By what was done with it: an exam that was corrected twice, one voided, one retired, one plain."""
    corrected, voided, retired, plain = (journal_exam(journal, [NRF]) for _ in range(4))
    for name in ("Roe^Ada", "Poe^Ada"):
        journal.amend(corrected, infant=infant(name=name), reason="named", operator="anna")
    journal.void_exam(voided, reason="training", operator="anna")
    journal.retire_exam(retired, operator="anna")
    return {"corrected": corrected, "voided": voided, "retired": retired, "plain": plain}


def test_whom_a_list_names_is_whom_each_exam_names(journal: Journal) -> None:
    exams = filled(journal)
    there = [exams[name] for name in ("corrected", "voided", "plain")]
    assert infants_listed(journal, exams.values()) == {exam: journal.infant(exam) for exam in there}
    assert infants_listed(journal, exams.values())[exams["corrected"]].name == "Poe^Ada"
    assert list(infants_listed(journal, [exams["plain"], "20260101-NOSUCH00"])) == [exams["plain"]]
    assert infants_listed(journal, []) == {}


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM events WHERE kind = 'amended' AND seq = (SELECT max(seq) FROM events WHERE kind = 'amended')",
        "UPDATE events SET body = (SELECT body FROM events WHERE kind = 'opened' AND exam = :exam) "
        "WHERE kind = 'amended'",
        "UPDATE events SET body = NULL WHERE kind = 'amended'",
        "UPDATE events SET kind = 'documented' WHERE kind = 'amended'",
        "UPDATE events SET hash = replace(hash, 'a', 'b') WHERE kind = 'captured' AND exam = :exam",
    ],
)
def test_an_exam_that_was_altered_names_nobody_and_the_others_do(
    journal: Journal, key: JournalKey, tmp_path: Path, edit: str
) -> None:
    """Else a correction that was taken away would give the exam back to the infant whose it was not."""
    exams = filled(journal)
    journal_exam(journal, [REFER])
    journal.close()
    with closing(sqlite3.connect(journal.folder / "journal.sqlite3")) as connection, connection:
        connection.execute(edit, {"exam": exams["corrected"]})
    with Journal.open(journal.folder, key, read_only=True) as opened:
        try:
            found = infants_listed(opened, exams.values())
        except JournalDamaged:
            return  # a whole list that is refused names nobody
        assert exams["corrected"] not in found
        assert exams["plain"] in found
