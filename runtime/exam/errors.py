"""What can go wrong with an exam and with the journal that keeps it.

ExamError (a ScreeningError)
|-- ExamRefused            the rules of an exam forbid the step
|   `-- ExamUnknown        no exam of that name is in the journal
|-- InfantInvalid          what was said of the infant cannot be so
|-- OrderInvalid           what was said of the order cannot be so, or is another infant's
`-- JournalError
    |-- JournalNewer       written by a newer version of this software
    |-- JournalDamaged     the file is no journal, or was altered
    |-- JournalUnwritable  read-only, not permitted, in use for too long, or the disk fails
    |-- JournalFull        no space left; nothing that was kept is harmed
    |-- WrongThread        called from another thread than the one that opened it; nothing is wrong with the journal
    `-- KeyUnusable        the key of the patients' fields is missing, malformed or another journal's
"""

from __future__ import annotations

from runtime.errors import ScreeningError


class ExamError(ScreeningError):
    """Base of every error about exams; its text says what, got, expected, do this, and never a patient's name."""


class ExamRefused(ExamError):
    """The rules of an exam forbid the step; nothing was changed."""


class ExamUnknown(ExamRefused):
    """No exam of that name is in the journal."""


class InfantInvalid(ExamError):
    """What was said of the infant cannot be so."""


class OrderInvalid(ExamError):
    """What was said of the order cannot be so, or is another infant's."""


class JournalError(ExamError):
    """Base of every error about the journal."""


class JournalNewer(JournalError):
    """The journal was written by a newer version of this software; nothing of it was touched."""


class JournalDamaged(JournalError):
    """The file is no journal, or something in it was altered."""


class JournalUnwritable(JournalError):
    """The journal cannot be opened or written: read-only, not permitted, busy, or a failing disk."""


class JournalFull(JournalError):
    """There is no space for it; what was kept before is whole."""


class KeyUnusable(JournalError):
    """The key of the patients' fields is missing, malformed, or another journal's."""


class WrongThread(JournalError):
    """The journal was called from another thread than the one that opened it; nothing is wrong with the journal."""
