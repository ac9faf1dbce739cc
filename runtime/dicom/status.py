"""What an archive's answer to C-STORE means for the outbox (PS3.4 annex B.2.3, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """What follows from a status."""

    STORED = "stored"
    LATER = "later"
    """The archive cannot now; the same instance may be taken later."""
    REFUSED = "refused"
    """The archive will not take this instance until somebody changes something."""


@dataclass(frozen=True)
class Meaning:
    """A status, understood."""

    answer: Answer
    text: str
    """For people; empty for plain success."""


_SINGLE = {
    0x0000: Meaning(Answer.STORED, ""),
    # The instance is there. It has to be the cart's own, for no other can carry its UID; the proof comes later.
    0x0111: Meaning(Answer.STORED, "the archive had this instance already"),
    0x0107: Meaning(Answer.STORED, "warning: attribute list"),
    0x0110: Meaning(Answer.LATER, "processing failure"),
    0x0117: Meaning(Answer.REFUSED, "invalid object instance"),
    0x0122: Meaning(Answer.REFUSED, "SOP class not supported"),
    0x0124: Meaning(Answer.REFUSED, "not authorized"),
    0x0210: Meaning(Answer.LATER, "duplicate invocation"),
    0x0211: Meaning(Answer.REFUSED, "unrecognized operation"),
    0x0212: Meaning(Answer.REFUSED, "mistyped argument"),
    0x0213: Meaning(Answer.LATER, "resource limitation"),
    # What dcm4chee-arc says within a range that the standard has for a lack of resources.
    0xA770: Meaning(Answer.STORED, "the archive had this rejection already"),
    0xA771: Meaning(Answer.REFUSED, "it was rejected in the archive before, which takes it no more"),
    0xA772: Meaning(Answer.REFUSED, "what is to be rejected is not there"),
    0xA773: Meaning(Answer.REFUSED, "what is to be rejected has another class there"),
    0xA774: Meaning(Answer.STORED, "what is to be rejected was rejected already"),
    0xA775: Meaning(Answer.REFUSED, "the archive does not let the cart reject"),
    0xA776: Meaning(Answer.REFUSED, "the archive still has to keep what is to be rejected"),
    0xA777: Meaning(Answer.REFUSED, "it has no patient's identifier"),
    0xA778: Meaning(Answer.REFUSED, "its study is another patient's there; correct infant and order together"),
    0xA779: Meaning(Answer.REFUSED, "its patient's fields differ from those that the archive has; correct one of them"),
    0xB000: Meaning(Answer.STORED, "warning: the archive changed data elements"),
    0xB006: Meaning(Answer.STORED, "warning: the archive discarded data elements"),
    0xB007: Meaning(Answer.STORED, "warning: the data set does not match the SOP class"),
}
_RANGES = (
    (0xA700, 0xA7FF, Meaning(Answer.LATER, "out of resources")),
    (0xA900, 0xA9FF, Meaning(Answer.REFUSED, "data set does not match the SOP class")),
    (0xB000, 0xBFFF, Meaning(Answer.STORED, "warning")),
    (0xC000, 0xCFFF, Meaning(Answer.REFUSED, "the archive cannot understand it")),
    (0x0001, 0x0001, Meaning(Answer.STORED, "warning")),
)


def meaning(status: int) -> Meaning:
    """What a C-STORE status means; one that nobody defined counts as a refusal, never as success."""
    found = _SINGLE.get(status)
    if found is None:
        found = next((m for low, high, m in _RANGES if low <= status <= high), None)
    if found is None:
        found = Meaning(Answer.REFUSED, "unknown status")
    return Meaning(found.answer, f"{found.text} ({status:04X}h)" if found.text else "")
