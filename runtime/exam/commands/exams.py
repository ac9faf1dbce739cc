"""Verbs on one exam: new, capture, correct, document, close, list, show."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from device.cameras import open_camera
from device.errors import CameraError, FrameUnreadable
from device.schemes import is_simulated
from runtime.budget import LIVE_BUDGET_MS
from runtime.commands.say import aside, say, say_json
from runtime.commands.text import printable
from runtime.exam.alone import alone
from runtime.exam.commands.common import (
    bundle_of,
    open_journal,
    open_screener,
    read_infant,
    read_order,
    say_exam,
    say_gates,
    say_whole,
    site_of,
)
from runtime.exam.commands.filters import fitting
from runtime.exam.commands.persons import open_exam_of
from runtime.exam.corrected import corrected
from runtime.exam.describe import capture_line, exam_dict, summary_dict, summary_line
from runtime.exam.disagreement import disagreements
from runtime.exam.errors import ExamRefused, JournalDamaged
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.infant import Infant, now_utc
from runtime.exam.journal import ExamRecord, ExamSummary, Journal
from runtime.exam.journal.orders import exams_on, infants_listed, orders_of_exams
from runtime.exam.look_twice import said_of_today, said_otherwise
from runtime.exam.machine import Phase
from runtime.exam.order import FINISHED, Order, Ordered
from runtime.exam.result import still_to_take
from runtime.exam.session import ExamSession
from runtime.exam.site_rules import site_rules
from runtime.trust.site import this_station
from runtime.views import place

ALONE_S = 30.0
"""How long another capture may take."""
WAITS = "runtime.exam: another program takes a picture into this journal; waiting for it"


def new(options: Namespace) -> int:
    """Open an exam."""
    if options.infant == options.order == "-":
        raise ExamRefused("--infant and --order cannot both be read from standard input; put one into a file")
    ordered = read_order(options.order, accession=options.accession, step_id=options.step)
    bundle, infant = bundle_of(options), read_infant(options.infant, ordered)
    order = None if ordered is None else ordered.order
    infant.check_born(now_utc())  # before a journal may be made for it
    rules = site_rules(site_of(options), bundle, required_views=options.views, retakes=options.retakes)
    with open_journal(options, create=True) as journal:
        _look_twice(ordered)
        if order is not None and not options.again:
            _not_again(_made_on(order, journal))
        station = this_station(options.station)
        exam_id = journal.begin_exam(infant, rules, operator=options.operator, station=station, order=order)
        for sentence in (*said_of_today(infant, journal), *said_otherwise(infant, (), journal, exam_id)):
            aside(f"runtime.exam: look twice: {printable(sentence)}")
        if options.json:
            say_json(exam_dict(journal.exam(exam_id), infant, journal.order(exam_id)))
        else:
            say(exam_id)
    return 0


def _made_on(order: Order, journal: Journal) -> Sequence[str]:
    try:
        return exams_on(order, orders_of_exams(journal))
    except JournalDamaged:  # no infant is to wait for what another one's events hold
        aside("runtime.exam: look twice: whether this order has an exam already could not be read; see verify")
        return ()


def _not_again(exams: Sequence[str]) -> None:
    """A second exam on one order is asked about at a terminal; elsewhere it needs `--again`."""
    if not exams:
        return
    said = f"the order has exam {', '.join(exams)} already"
    if not sys.stdin.isatty():
        raise ExamRefused(f"{said}; give --again to open another one on it, or take the right order")
    if input(f"{said}; open another one on it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ExamRefused(f"{said}; no other one was opened")


def _look_twice(ordered: Ordered | None) -> None:
    """Say what the worklist knows and a person should look at before the first picture."""
    if ordered is None:
        return
    if ordered.alike:
        sys.stderr.write(f"runtime.exam: look twice: the worklist has {printable(ordered.alike)}\n")
    if ordered.lost:
        lost = ", ".join(ordered.lost)
        sys.stderr.write(f"runtime.exam: the worklist's {lost} could not be read and is left out of the exam\n")
    if ordered.status in FINISHED:
        sys.stderr.write(f"runtime.exam: look twice: the worklist says that this step is {ordered.status.lower()}\n")


def _look_at_correction(
    before: tuple[Infant, Order | None], ordered: Ordered | None, journal: Journal, exam_id: str
) -> None:
    """Say which fields are other than before, and what a person should look at as when an exam is opened."""
    after = journal.infant(exam_id), journal.order(exam_id)
    for told in corrected(before, after):
        aside(f"runtime.exam: {told}")
    _look_twice(ordered)
    if ordered is not None and (others := [one for one in _made_on(ordered.order, journal) if one != exam_id]):
        aside(f"runtime.exam: look twice: the order has exam {', '.join(others)} too")
    if before[0] != after[0]:
        for sentence in said_otherwise(after[0], (), journal, exam_id):
            aside(f"runtime.exam: look twice: {printable(sentence)}")


@contextmanager
def _only_one(options: Namespace) -> Iterator[None]:
    """What another program is about to read would look like what a crash left unread."""
    with alone(options.journal, wait_s=ALONE_S, waits=partial(aside, WAITS)) as held:
        if not held:
            raise ExamRefused(
                f"journal {options.journal}: another program, such as a cart, takes pictures into it; "
                "take them there, or end it first"
            )
        yield


def capture(options: Namespace) -> int:
    """Take one frame; first finish what a crash left unread."""
    with open_journal(options) as journal, _only_one(options):
        summary = journal.open_exam()
        if summary is None:
            raise ExamRefused("no exam is open; open one with: python -m runtime.exam new")
        rules = journal.exam(summary.exam_id).rules
        asked = rules.bundle
        bundle = bundle_of(options, asked.sha256)
        if bundle.sha256 != asked.sha256:
            raise ExamRefused(
                f"exam {summary.exam_id}: opened with bundle {asked.name} {asked.version} ({asked.sha256[:12]}), "
                f"got {bundle.sha256[:12]}; name its bundle with --bundle"
            )
        with (
            open_camera(options.source) as camera,
            open_screener(
                options,
                bundle,
                live=camera.live,
                threshold=rules.threshold,
                budget_ms=options.budget_ms or (LIVE_BUDGET_MS if camera.live else None),
                counted=True,
            ) as screener,
        ):
            several = not is_simulated(options.source) and camera.frame_count not in (None, 1)
            if options.skip is None and several:
                raise ExamRefused(
                    f"{options.source} holds {camera.frame_count} pictures, one is taken at a time; name the picture, "
                    "or say with --skip how many to pass over"
                )
            session = ExamSession(journal, screener, operator=options.operator)
            session.resume(bundle.sha256, rules.threshold)
            session.aim(options.eye, options.view)  # before a folder decodes ahead what is taken
            for _ in range(options.skip or 0):
                camera.read()
            lost: CameraError | None = None
            try:
                frame = camera.read()
                if frame is None:
                    lost = CameraError(f"{options.source} gave no frame")
                else:
                    session.take(frame)
            except CameraError as error:
                lost = error
            if lost is not None:
                session.miss(lost)
            elif options.gates is not None:
                exam_id = summary.exam_id
                say_gates(journal, exam_id, [len(journal.exam(exam_id).captures)], screener, options.gates)
        _say_last_capture(journal, summary.exam_id, as_json=options.json)
    if lost is not None and not isinstance(lost, FrameUnreadable):
        raise lost
    return 0


def finish(options: Namespace) -> int:
    """Read the frames that a crash left unread, each under the threshold of its exam."""
    done = 0
    with open_journal(options) as journal, _only_one(options):
        all_rules = [journal.exam(exam_id).rules for exam_id in {exam_id for exam_id, _ in journal.pending()}]
        for sha256, threshold in sorted({(rules.bundle.sha256, rules.threshold) for rules in all_rules}):
            bundle = bundle_of(options, sha256)
            if bundle.sha256 != sha256:
                continue
            with open_screener(options, bundle, live=False, threshold=threshold) as screener:
                session = ExamSession(journal, screener, operator=options.operator)
                done += session.finish_all(bundle.sha256, threshold)
        left = len(journal.pending())
    if options.json:
        say_json({"read": done, "left": left})
    else:
        say(f"{done} frame(s) read" + (f", {left} left for another bundle" if left else ""))
    return 0


def _say_last_capture(journal: Journal, exam_id: str, *, as_json: bool) -> None:
    record = journal.exam(exam_id)
    if as_json:
        say_json(exam_dict(record))
        return
    last = record.captures[-1]
    # Of one view no sentence is said that a person could take for the infant's.
    beside = (f"! {printable(said)}" for said in (*disagreements(record), *record.result.warnings))
    say(capture_line(last.eye, last), f"the exam so far: {record.result.infant.banner}", *beside)


def correct(options: Namespace) -> int:
    """Move a capture, or correct the infant's fields and the order, both in one step where both are wrong."""
    who = options.infant is not None or options.order is not None
    if who is (options.capture is not None):
        raise ExamRefused(
            "what is to be corrected? give --capture N (with --eye and --view), or --infant FILE, --order FILE or both"
        )
    if options.infant == options.order == "-":
        raise ExamRefused("--infant and --order cannot both be read from standard input; put one into a file")
    with open_journal(options) as journal:
        if who:
            ordered = read_order(options.order, accession=options.accession, step_id=options.step)
            infant = None if options.infant is None else read_infant(options.infant, ordered)
            if ordered is not None and infant is None:
                ordered.check_infant(journal.infant(options.exam))
            before = journal.infant(options.exam), journal.order(options.exam)
            journal.amend(
                options.exam,
                infant=infant,
                order=None if ordered is None else ordered.order,
                reason=options.reason,
                operator=options.operator,
            )
            _look_at_correction(before, ordered, journal, options.exam)
        else:
            now = journal.exam(options.exam).exam.capture(options.capture)
            eye, view = options.eye or now.eye, options.view or now.view
            journal.relabel(options.exam, options.capture, eye, view, reason=options.reason, operator=options.operator)
        say_whole(journal, options.exam, as_json=options.json)
    return 0


def document(options: Namespace) -> int:
    """Keep what a clinician found."""
    findings = EyeFindings(
        options.eye, options.zone, options.notch, options.stage, options.plus, options.a_rop, options.note
    )
    with open_journal(options) as journal:
        journal.document(options.exam, findings, clinician=options.operator)
        if options.json:
            say_json(exam_dict(journal.exam(options.exam)))
        else:
            say(f"{options.eye.value}: {findings.words()}")
    return 0


def close(options: Namespace) -> int:
    """Close an exam and say its outcome."""
    with open_journal(options) as journal:
        exam_id = options.exam or open_exam_of(journal)
        _ask_to_close(journal.exam(exam_id), yes=options.yes)
        record = journal.close_exam(exam_id, operator=options.operator)
        say_exam(record, journal.infant(exam_id), journal.order(exam_id), as_json=options.json)
    return 0


def _ask_to_close(record: ExamRecord, *, yes: bool) -> None:
    """What is missing is said before the exam is closed; at a terminal it is asked, too."""
    missing = ", ".join(place(eye, view) for eye, view in still_to_take(record.result))
    if record.summary.phase is not Phase.OPEN or not missing:
        return
    aside(f"runtime.exam: exam {record.summary.exam_id}: not done: {missing}")
    if sys.stdin.isatty() and not yes and input("close it as it is? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ExamRefused(f"exam {record.summary.exam_id}: it stays open; `stop` ends one early, with a reason")


def list_(options: Namespace) -> int:
    """List the exams, the newest event first; 1 when anything in the trail was altered, which is named."""
    with open_journal(options, read_only=True) as journal:
        summaries = fitting(journal, options)[: options.last]
        altered = journal.altered
        beside = {line.exam_id: _beside(journal, line) for line in summaries}
        infants = infants_listed(journal, {line.exam_id for line in summaries})
        said = [f"exam {exam_id}: its line was altered, shown as the trail tells it" for exam_id in altered]
        said += [f"{where}: {problem}" for where, problem in journal.altered_events()]
    for line in said:
        sys.stderr.write(f"runtime.exam: {printable(line)}; see verify\n")
    if options.json:
        for summary in summaries:
            whose = infants.get(summary.exam_id)
            named = {"infant_id": whose and whose.infant_id, "name": whose and whose.name}
            against, warnings = beside[summary.exam_id]
            say_json(summary_dict(summary) | {"infant": named, "disagreements": against, "warnings": warnings})
    else:
        for summary in summaries:
            against, warnings = beside[summary.exam_id]
            marks = [*(["a clinician documented otherwise"] if against else []), *warnings]
            say("".join((summary_line(summary, infants.get(summary.exam_id)), *(f"  ! {mark}" for mark in marks))))
    return 1 if said else 0


def _beside(journal: Journal, line: ExamSummary) -> tuple[list[str], list[str]]:
    """What must be said beside the outcome: where a clinician's document does not go with it, and its warnings.

    Both come of what a person typed, so only exams with typed words are looked into.
    """
    if not line.typed_seq or line.phase is Phase.RETIRED:
        return [], []
    try:
        record = journal.exam(line.exam_id)
    except JournalDamaged:
        return [], []  # `altered` and verify name it
    return list(disagreements(record)), list(record.result.warnings)


def show(options: Namespace) -> int:
    """Show an exam."""
    with open_journal(options, read_only=True) as journal:
        say_whole(journal, options.exam, as_json=options.json)
    return 0
