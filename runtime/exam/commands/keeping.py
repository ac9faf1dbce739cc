"""Verbs on what is kept: key, verify, replay, export, retire."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from runtime.commands.say import say, say_json
from runtime.commands.text import error_text, printable, word
from runtime.exam.commands.common import bundle_of, open_journal, open_screener, say_gates
from runtime.exam.commands.journal import note_export
from runtime.exam.errors import ExamRefused
from runtime.exam.infant import now_utc
from runtime.exam.journal.crypt import find_key, write_new_key
from runtime.exam.journal.opening import seal_images
from runtime.exam.journal.reserve import Reserve
from runtime.exam.journal.retention import due_for_retirement
from runtime.exam.journal.verify import verify as verify_journal
from runtime.exam.replay import replay as replay_exam
from runtime.exam.report import report_page
from runtime.sinks.files import keep_inputs, write_file


def key(options: Namespace) -> int:
    """Make a key file."""
    write_new_key(options.file)
    say(f"{options.file}: a new key; without it nothing of its journal can be read, so keep a copy")
    return 0


def verify(options: Namespace) -> int:
    """Check the journal; 1 when anything in it was altered."""
    with open_journal(options, read_only=True, check=False) as journal:
        found = verify_journal(journal, _progress, events=options.told)
    if options.json:
        say_json({**asdict(found), "sound": not found.findings})
        return 1 if found.findings else 0
    say(*(printable(str(finding)) for finding in found.findings))
    if found.findings:
        say(f"altered: {len(found.findings)} finding(s), the first is {printable(found.findings[0].where)}")
        return 1
    seal = "sealed by this key" if found.sealed else "seals, exams and images not checked (no key given)"
    say(f"sound: {found.events} events of {found.exams} exams, {found.images} images; trail {seal}")
    return 0


def rekey(options: Namespace) -> int:
    """Give the journal a new key."""
    with open_journal(options) as journal:
        there = options.new_key_file.exists()
        new = find_key(options.new_key_file) if there else write_new_key(options.new_key_file)
        assert new is not None
        journal.rekey(new, operator=options.operator, wrap_only=options.wrap_only)
    say(f"{options.new_key_file}: the journal's key from here on; keep a copy, and destroy the old one")
    return 0


def seal(options: Namespace) -> int:
    """Seal the pictures of an older journal; 1 when some cannot be."""
    with open_journal(options) as journal:
        done = not journal.holds_plain_images() or seal_images(journal, math.inf)
    if not done:
        say("some pictures were altered and stay as they are; python -m runtime.exam verify names them")
        return 1
    say("every picture is sealed")
    return 0


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"looking at {what}\n")


def replay(options: Namespace) -> int:
    """Repeat the readings of an exam; 1 when one differs."""
    with open_journal(options, read_only=True) as journal:
        record = journal.exam(options.exam)
        rules = record.rules
        bundle = bundle_of(options, rules.bundle.sha256)
        with open_screener(options, bundle, live=False, threshold=rules.threshold, again=True) as screener:
            found = replay_exam(journal, options.exam, screener, bundle.sha256)
            if options.gates is not None:
                numbers = [repeat.number for repeat in found.repeats]
                say_gates(journal, options.exam, numbers, screener, options.gates)
    if options.json:
        say_json({**asdict(found), "same": found.same})
    else:
        for repeat in found.repeats:
            verdict = {True: "same", False: "DIFFERS", None: "not repeatable"}[repeat.same]
            kept = "-" if repeat.kept is None else word(repeat.kept)
            again = "-" if repeat.again is None else word(repeat.again)
            say(printable(f"{repeat.number:>3}  {verdict:<14} {kept} / {again}  {repeat.note}").rstrip())
        repeated = [one for one in found.repeats if one.same is not None]
        said = "same outcomes of the readings" if found.same else "the outcomes of the readings differ"
        said = said if repeated else "no reading could be repeated"
        say(f"{said}; the exam says {word(record.result.infant.outcome)}")
    return 0 if found.same else 1


def export(options: Namespace) -> int:
    """Write the report."""
    out = options.out or Path(f"{options.exam}.html")
    if out.suffix.lower() not in ("", ".html", ".htm") and not out.is_dir():
        raise ExamRefused(
            f"--out {out}: the report is an HTML page; name it .html (a PDF comes from the cart's Result page, and "
            "with the objects of python -m runtime.dicom)"
        )
    keep_inputs(out, [options.key_file])
    with open_journal(options, read_only=True) as journal:
        page = report_page(journal, options.exam, with_infant=not options.without_infant)
    write_file(out, page.encode("utf-8", "replace"))  # it names the infant
    note_export(options, options.exam, "report without the infant" if options.without_infant else "report")
    if options.json:
        say_json({"exam": options.exam, "report": str(out)})
    else:
        say(str(out))
    return 0


def retire(options: Namespace) -> int:
    """Retire exams after the retention time."""
    with Reserve(options.journal).given_back(), open_journal(options) as journal:
        journal.check_whole()  # nothing is removed on the word of what was altered
        age = timedelta(days=options.older_than_days)
        due = due_for_retirement(journal, age, now_utc(), trust_clock=options.trust_clock)
        done, kept = [], []
        for exam_id in due:
            try:
                journal.retire_exam(
                    exam_id,
                    operator=options.operator,
                    destinations=options.delivered_to,
                    discard_typed=options.discard_typed,
                )
                done.append(exam_id)
            except ExamRefused as error:
                kept.append(exam_id)
                sys.stderr.write(f"runtime.exam: {printable(error_text(error))}\n")
    if options.json:
        say_json({"retired": done, "kept": kept})
    else:
        say(f"{len(done)} exam(s) retired" + (f", {len(kept)} kept" if kept else ""))
    return 0
