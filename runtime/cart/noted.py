"""`Noted`: who did what on the Service screen, and why, so that it lies on the disk and no thief reads it."""

from __future__ import annotations

import base64
import binascii

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.secrets import Secrets

SEALED = "on the cart; its Service screen tells who and why: "
"""Before what is sealed: of all that may stand in `active.json`, nothing else begins so."""
UNKEPT = "on the cart, while its journal could not be opened"
PURPOSE, BOUND_TO = "service notes", "active bundle"


class Noted:
    """Seals words by the journal's secrets, and opens them; without those nothing that a person typed is kept."""

    def __init__(self) -> None:
        self.secrets: Secrets | None = None
        """Of the journal, once it is open."""

    def sealed(self, words: str) -> str:
        """What may lie on the disk in their place."""
        if self.secrets is None:
            return UNKEPT
        sealed = self.secrets.seal(PURPOSE, BOUND_TO, words.encode("utf-8", "surrogateescape"))
        return SEALED + base64.b64encode(sealed).decode("ascii")

    def told(self, why: str) -> str:
        """The words of `sealed`; what was not sealed by it, or by another journal's secrets, as it stands."""
        if not why.startswith(SEALED):
            return why
        if self.secrets is None:
            return UNKEPT
        try:
            sealed = base64.b64decode(why[len(SEALED) :], validate=True)
            return self.secrets.open(PURPOSE, BOUND_TO, sealed).decode("utf-8", "surrogateescape")
        except (binascii.Error, JournalDamaged):
            return "on the cart, with another journal"
