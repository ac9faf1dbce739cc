"""Where exams stand with the archive, as Today says it: one word an exam, and counts of the very same exams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from runtime.dicom.outbox.steps import DESTINATION, DONE
from runtime.exam.journal import ExamSummary, Journal
from runtime.exam.journal.deliveries import Delivery
from runtime.exam.machine import Phase

NOWHERE = {"state": "", "word": "", "error": ""}
"""Where an exam stands with an archive that there is not."""
WORDS = {"waiting": "waiting", "proving": "sent, not yet answered for", "done": "in the archive", "held": "held"}


def standing_of(journal: Journal, exams: Sequence[ExamSummary]) -> dict[str, dict[str, str]]:
    """By exam where it stands; to be called within a `snapshot` of the journal's database."""
    sent = journal.deliveries
    behind = {exam_id for _, exam_id in (*sent.behind(DESTINATION), *sent.to_reject(DESTINATION))}
    known = {delivery.exam_id: delivery for delivery in sent.all(destination=DESTINATION)}
    return {one.exam_id: _standing(one, known.get(one.exam_id), behind=one.exam_id in behind) for one in exams}


def _standing(summary: ExamSummary, delivery: Delivery | None, *, behind: bool) -> dict[str, str]:
    """behind: something of it changed that no sender took up yet."""
    if summary.phase is Phase.OPEN:
        return {"state": "", "word": "not closed yet", "error": ""}
    if delivery is None and summary.phase is not Phase.CLOSED:
        return {"state": "", "word": "nothing to send", "error": ""}  # void before any of it was sent
    if delivery is None or (behind and delivery.state == DONE):
        return {"state": "waiting", "word": WORDS["waiting"], "error": ""}
    error = delivery.last_error if delivery.state != DONE else ""
    return {"state": delivery.state, "word": WORDS.get(delivery.state, delivery.state), "error": error}


def counted(standing: Mapping[str, Mapping[str, str]], shown: Collection[str]) -> dict[str, int]:
    """How many of the exams that are shown wait, are held, are done; `elsewhere`: how many others are not done yet."""
    states = Counter(one["state"] for exam_id, one in standing.items() if exam_id in shown)
    others = Counter(one["state"] for exam_id, one in standing.items() if exam_id not in shown)
    return {
        "waiting": states["waiting"] + states["proving"],
        "held": states["held"],
        "done": states["done"],
        "elsewhere": others["waiting"] + others["proving"] + others["held"],
    }
