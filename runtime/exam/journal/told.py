"""What the screen told of an infant's identity before pictures were taken, and who went on all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.exam.journal.trail import WITH_BEFORE, checked_event

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader

TOLD, WENT_ON = "told", "went on"
"""Kinds of the journal's own events: nothing that is sent changes by them, and they stay when the exam is retired."""
_WHAT = {TOLD: "was told, as the exam was opened or corrected", WENT_ON: "took pictures although it was told"}


@dataclass(frozen=True)
class IdentityTold:
    """One such event. It repeats no name and no date."""

    event: int
    at: str
    who: str
    kind: str
    said: tuple[str, ...]
    """Sentences about the identifier, as the screen had them."""
    alike: tuple[str, ...]
    """Why the chosen line of the worklist may be taken for another: `same surname`, ..."""

    def to_change(self) -> dict[str, Any]:
        """As one of the changes of `rop.exam/1`."""
        said = [*(f"another infant on the worklist has the {why}" for why in self.alike), *self.said]
        return {
            "event": self.event,
            "at": self.at,
            "who": self.who,
            "what": _WHAT[self.kind],
            "reason": "; ".join(said) or "nothing any more",
        }


def told_of(journal: JournalReader, exam_id: str) -> tuple[IdentityTold, ...]:
    """What was told of an exam, oldest first. Raises `KeyUnusable`, `JournalDamaged`."""
    secrets = journal.unlocked()
    query = f"{WITH_BEFORE} WHERE exam IS NULL AND kind IN (?, ?) ORDER BY seq"
    rows = [checked_event(secrets, values) for values in journal.database.rows(query, (TOLD, WENT_ON))]
    return tuple(
        IdentityTold(row.seq, row.at, row.who, row.kind, _texts(row.content, "said"), _texts(row.content, "alike"))
        for row in rows
        if row.content.get("exam") == exam_id
    )


def _texts(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(content.get(name, ()))
