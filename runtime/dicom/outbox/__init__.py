"""The outbox: closed exams on their way to the archive, kept in the journal until the archive answers for them."""

from __future__ import annotations

from runtime.dicom.outbox.report import OutboxState, outbox_state
from runtime.dicom.outbox.sender import Outbox

__all__ = ["Outbox", "OutboxState", "outbox_state"]
