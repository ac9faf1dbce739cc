"""What an archive's answer to C-STORE means for the outbox (PS3.4 annex B.2.3, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Disposition(Enum):
    """What follows from a status."""

    STORED = "stored"
    LATER = "later"
    """The archive cannot now; the same instance may be taken later."""
    REFUSED = "refused"
    """The archive will not take this instance until somebody changes something."""


@dataclass(frozen=True)
class StatusMeaning:
    """A status, understood."""

    answer: Disposition
    text: str
    """For people; empty for plain success."""


_SINGLE = {
    0x0000: StatusMeaning(Disposition.STORED, ""),
    # The instance is there. It has to be the cart's own, for no other can carry its UID; the proof comes later.
    0x0111: StatusMeaning(Disposition.STORED, "the archive had this instance already"),
    0x0107: StatusMeaning(Disposition.STORED, "warning: attribute list"),
    0x0110: StatusMeaning(Disposition.LATER, "processing failure"),
    0x0117: StatusMeaning(Disposition.REFUSED, "invalid object instance"),
    0x0122: StatusMeaning(Disposition.REFUSED, "SOP class not supported"),
    0x0124: StatusMeaning(Disposition.REFUSED, "not authorized"),
    0x0210: StatusMeaning(Disposition.LATER, "duplicate invocation"),
    0x0211: StatusMeaning(Disposition.REFUSED, "unrecognized operation"),
    0x0212: StatusMeaning(Disposition.REFUSED, "mistyped argument"),
    0x0213: StatusMeaning(Disposition.LATER, "resource limitation"),
    # What dcm4chee-arc says within a range that the standard has for a lack of resources.
    0xA770: StatusMeaning(Disposition.STORED, "the archive had this rejection already"),
    0xA771: StatusMeaning(Disposition.REFUSED, "it was rejected in the archive before, which takes it no more"),
    0xA772: StatusMeaning(Disposition.REFUSED, "what is to be rejected is not there"),
    0xA773: StatusMeaning(Disposition.REFUSED, "what is to be rejected has another class there"),
    0xA774: StatusMeaning(Disposition.STORED, "what is to be rejected was rejected already"),
    0xA775: StatusMeaning(Disposition.REFUSED, "the archive does not let the cart reject"),
    0xA776: StatusMeaning(Disposition.REFUSED, "the archive still has to keep what is to be rejected"),
    0xA777: StatusMeaning(Disposition.REFUSED, "it has no patient's identifier"),
    0xA778: StatusMeaning(
        Disposition.REFUSED, "its study is another patient's there; correct infant and order together"
    ),
    0xA779: StatusMeaning(
        Disposition.REFUSED, "its patient's fields differ from those that the archive has; correct one of them"
    ),
    0xB000: StatusMeaning(Disposition.STORED, "warning: the archive changed data elements"),
    0xB006: StatusMeaning(Disposition.STORED, "warning: the archive discarded data elements"),
    0xB007: StatusMeaning(Disposition.STORED, "warning: the data set does not match the SOP class"),
}
_RANGES = (
    (0xA700, 0xA7FF, StatusMeaning(Disposition.LATER, "out of resources")),
    (0xA900, 0xA9FF, StatusMeaning(Disposition.REFUSED, "data set does not match the SOP class")),
    (0xB000, 0xBFFF, StatusMeaning(Disposition.STORED, "warning")),
    (0xC000, 0xCFFF, StatusMeaning(Disposition.REFUSED, "the archive cannot understand it")),
    (0x0001, 0x0001, StatusMeaning(Disposition.STORED, "warning")),
)


def meaning(status: int) -> StatusMeaning:
    """What a C-STORE status means; one that nobody defined counts as a refusal, never as success."""
    found = _SINGLE.get(status)
    if found is None:
        found = next((m for low, high, m in _RANGES if low <= status <= high), None)
    if found is None:
        found = StatusMeaning(Disposition.REFUSED, "unknown status")
    return StatusMeaning(found.answer, f"{found.text} ({status:04X}h)" if found.text else "")
