"""The journal: every exam of a cart, whole or not there, with a trail that shows any edit.

A journal is a folder:

    journal.sqlite3     events (the hash-chained trail, which is the truth), and tables derived from them
    images/ab/ab….png   frames, lossless, named by the SHA-256 of the file; on disk before the row that names them
    incoming/           files on their way in; what a crash left here is cleaned up at the next opening

What another package may use:

    journal = Journal.open(folder, key=None)          one thread at a time; any number of processes
    journal.exams(phase=None) -> list[ExamSummary]    newest first; no key needed
    journal.exam(exam_id) -> ExamRecord               captures with readings (rop.reading/1, a dict); no key
    journal.infant(exam_id) -> Infant                 needs the key
    journal.order(exam_id) -> Order                   what the worklist said; needs the key
    journal.image(sha256) -> uint8 [H, W, 3] RGB      checked against its name
    journal.vessels(exam_id, number) -> uint8 [256, 256] | None
    journal.deliveries -> Deliveries                  the outbox's table: behind, closed_exams_after, get, all, change
    journal.journal_id                                a UUID, to tell the exams of two carts apart

`Delivery` says what the outbox keeps of one exam and one destination; `Deliveries.change` is one transaction.
"""

from __future__ import annotations

from runtime.exam.journal.deliveries import Deliveries, Delivery, DeliveryInstance
from runtime.exam.journal.journal import Journal
from runtime.exam.journal.records import CaptureRecord, ExamRecord, ExamSummary

__all__ = ["CaptureRecord", "Deliveries", "Delivery", "DeliveryInstance", "ExamRecord", "ExamSummary", "Journal"]
