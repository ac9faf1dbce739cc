"""Verbs by which a person decides something of an exam: exclude, include, confirm, stop, void."""

from __future__ import annotations

from argparse import Namespace

from runtime.exam.commands.common import open_journal, say_whole
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import Journal


def exclude(options: Namespace) -> int:
    """Take a frame out of an exam."""
    with open_journal(options) as journal:
        journal.exclude(options.exam, options.capture, reason=options.reason, operator=options.operator)
        say_whole(journal, options.exam, as_json=options.json)
    return 0


def include(options: Namespace) -> int:
    """Take back that a frame was excluded."""
    with open_journal(options) as journal:
        journal.include(options.exam, options.capture, reason=options.reason, operator=options.operator)
        say_whole(journal, options.exam, as_json=options.json)
    return 0


def confirm(options: Namespace) -> int:
    """A frame shows its view although its picture is like another's."""
    with open_journal(options) as journal:
        journal.confirm_view(options.exam, options.capture, reason=options.reason, operator=options.operator)
        say_whole(journal, options.exam, as_json=options.json)
    return 0


def stop(options: Namespace) -> int:
    """Close the open exam early."""
    with open_journal(options) as journal:
        exam_id = options.exam or open_exam_of(journal)
        journal.stop_exam(exam_id, options.why, note=options.note, operator=options.operator)
        say_whole(journal, exam_id, as_json=options.json)
    return 0


def void(options: Namespace) -> int:
    """Make an exam count for nothing."""
    with open_journal(options) as journal:
        journal.void_exam(options.exam, reason=options.reason, operator=options.operator)
        say_whole(journal, options.exam, as_json=options.json)
    return 0


def open_exam_of(journal: Journal) -> str:
    """The id of the exam that is open. Raises `ExamRefused`."""
    summary = journal.open_exam()
    if summary is None:
        raise ExamRefused("no exam is open; `python -m runtime.exam list` shows all")
    return summary.exam_id
