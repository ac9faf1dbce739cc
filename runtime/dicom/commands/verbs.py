"""What each verb does."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from runtime.commands.say import aside, say, say_json
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import error_text, printable
from runtime.dicom.audit import tell
from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import TLS_FILES, CartNode, load_dicom_config, new_dicom_config
from runtime.dicom.deidentify import export_deidentified
from runtime.dicom.errors import ArchiveUnreachable, SiteUnusable
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.outbox import Outbox, OutboxState, outbox_state
from runtime.dicom.received import LEFT_OUT
from runtime.dicom.trial import ARCHIVE_AE, Hospital
from runtime.dicom.worklist import Worklist, WorklistItem, query_worklist
from runtime.exam.commands.journal import note_export, open_named
from runtime.exam.errors import JournalDamaged, JournalFull, JournalUnwritable
from runtime.exam.infant import now_utc
from runtime.exam.journal.orders import exams_on, orders_of_exams
from runtime.exam.order import FINISHED, Order

DONE, SAYS_NO = 0, 1
AUDIT_S = 10.0
LOOK_AGAIN_S = 2.0
"""How soon a watching sender sees a newly closed exam."""


def worklist(options: Namespace) -> int:
    """Print who is to be examined; 1 when an answer, or a field of one, could not be read, or none fits."""
    site = load_dicom_config(options.site)
    if site.worklist is None:
        raise SiteUnusable(f"{options.site.name}: names no worklist; add `worklist` to it")
    day = None if options.day == "all" else options.day or date.today()
    found = query_worklist(
        site, site.worklist, day=day, patient_id=options.patient, accession=options.accession, step_id=options.step
    )
    known = _orders_here(options)
    for item in found:
        exams = exams_on(Order(item.accession, item.study_uid, item.requested_procedure_id, item.step_id), known)
        if options.json:
            say_json(asdict(item) | ({"exams": exams} if options.journal else {}))
        else:
            say(printable(_line(item, site.cart.ae_title, exams)))
    if not found and not options.json:
        say("nobody is on the worklist")
    return _say_left_out(found)


def _orders_here(options: Namespace) -> dict[str, Order]:
    if options.journal is None:
        return {}
    with open_named(options, read_only=True) as journal:
        try:
            return orders_of_exams(journal)
        except JournalDamaged:  # nobody is to wait for what one exam's events hold
            aside("runtime.dicom: which orders have an exam already could not be read; see runtime.exam verify")
            return {}


def _line(item: WorklistItem, own_title: str, exams: Sequence[str]) -> str:
    shown = [
        "(unreadable)" if field in item.unreadable else getattr(item, field) or "-"
        for field in ("scheduled", "patient_id", "patient_name", "birth_date", "accession", "description")
    ]
    notes = [item.status.lower()] if item.status in FINISHED else []
    notes += [f"has exam {', '.join(exams)}"] if exams else []
    notes += [f"for {item.station_ae_title}"] if item.stations and own_title not in item.stations else []
    notes += [f"look twice: {item.alike}"] if item.alike else []
    return "  ".join([*shown, *(f"[{note}]" for note in notes)])


def _say_left_out(found: Worklist) -> int:
    """What a reader of the list cannot see in it, by number; no name."""
    said = {
        f"{found.unfit} answer(s) left out: they do not fit the question": found.unfit,
        f"{found.unreadable} answer(s) left out: they could not be read": found.unreadable,
        f"{found.marked} answer(s) hold what could not be read: {'; '.join(found.why[:3])}{_mend(found)}": found.marked,
    }
    for text, number in said.items():
        if number:
            print(f"runtime.dicom: {text}", file=sys.stderr)
    return SAYS_NO if found.unreadable or found.marked or (found.unfit and not found) else DONE


def _mend(found: Worklist) -> str:
    """A character set that an answer names is the worklist's to mend; only one that was left out the site can name."""
    left_out = sum(why.endswith(LEFT_OUT) for why in found.why)
    more = f" and {len(found.why) - 3} more kinds" if len(found.why) > 3 else ""
    site = "; name it as `character_set` of the worklist in the site's file" if left_out else ""
    return f"{more}{site}" + ("; have it mended in the worklist" if left_out < len(found.why) else "")


def send(options: Namespace) -> int:
    """Send what is due; with --watch until stopped."""
    site = load_dicom_config(options.site)
    with Stop() as stop, open_named(options) as journal:
        box = Outbox(journal, site)
        with CommitmentDesk(site) as desk:
            try:
                now, before = True, ""  # who starts it wants to see it tried
                while True:
                    try:
                        said = box.send_due(desk, now=now, stopped=lambda: stop.requested, wait=not options.watch).error
                    except (JournalFull, JournalUnwritable) as error:
                        if not options.watch:
                            raise
                        said = str(error)  # space is made, a disk comes back: who watches is there then
                    now = False
                    if said and said != before:
                        print(f"runtime.dicom: {printable(said)}", file=sys.stderr)
                    before = said
                    if stop.requested or not options.watch:
                        break
                    with stop.interruptible:
                        time.sleep(LOOK_AGAIN_S)
            except Interrupted:
                pass
        state = outbox_state(journal, now_utc())
    _say(state, as_json=options.json)
    if stop.requested:
        return stop.exit_code
    return SAYS_NO if state.undone else DONE


def outbox(options: Namespace) -> int:
    """Print the outbox's state; 1 when the archive refuses exams, which somebody has to see to."""
    with open_named(options, read_only=True) as journal:
        state = outbox_state(journal, now_utc())
    _say(state, as_json=options.json)
    return SAYS_NO if state.held else DONE


def rejected(options: Namespace) -> int:
    """List what was sent and must not be in the archive: by hand to be removed, with `--all` what a note rejects too.

    1 when something has to be removed by hand.
    """
    with open_named(options, read_only=True) as journal:
        found = journal.rejections()
    by_hand = [told for told in found if not told.document_uid]
    for told in found if options.all else by_hand:
        for instance in told.instances:
            content = {
                "exam": told.exam_id,
                "destination": told.destination,
                "sop_instance_uid": instance.uid,
                "sop_class_uid": instance.sop_class,
                "rejected_by": told.document_uid or None,
                "reason": told.reason,
                "at": told.at.isoformat(),
            }
            if options.json:
                say_json(content)
            else:
                by = f"rejected by {told.document_uid}" if told.document_uid else "to be removed by hand"
                say(printable(f"{told.exam_id}  {instance.uid}  {by}: {told.reason}"))
    if not found and not options.json:
        say("nothing was sent that must not be there")
    return SAYS_NO if by_hand else DONE


def audit(options: Namespace) -> int:
    """Tell the audit repository what is new; with --watch until stopped."""
    site = load_dicom_config(options.site)
    with Stop() as stop:
        try:
            while True:
                try:
                    with open_named(options, read_only=True) as journal:
                        sent = tell(journal, site, options.journal)
                    if sent:
                        say(f"{sent} messages")
                except ArchiveUnreachable as error:
                    if not options.watch:
                        raise
                    print(f"runtime.dicom: {printable(error_text(error))}", file=sys.stderr)
                if stop.requested or not options.watch:
                    break
                with stop.interruptible:
                    time.sleep(AUDIT_S)
        except Interrupted:
            pass
    return stop.exit_code if stop.requested else DONE


def write_site(options: Namespace) -> int:
    """Write a site's configuration, with TLS unless it was said otherwise."""
    content = new_dicom_config(
        options.archive, options.worklist, options.mpps, listen_port=options.listen, tls=not options.without_tls
    )
    try:
        with options.out.open("x", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        raise SiteUnusable(f"{options.out}: {error.strerror}; name a new file") from None
    say(str(options.out))
    if not options.without_tls:
        needed = ", ".join(TLS_FILES)
        sys.stderr.write(f"runtime.dicom: TLS needs {needed} beside it: runtime/dicom/README.md#certificates\n")
    return DONE


def hospital(options: Namespace) -> int:
    """Serve an archive and a worklist to try with, until stopped."""
    try:
        serving = Hospital(date.today(), options.port, say)
    except OSError as error:
        raise SiteUnusable(f"--port {options.port}: {error.strerror}; name a free one") from None
    with Stop() as stop:
        try:
            say(f"{ARCHIVE_AE}@127.0.0.1:{serving.port}: archive, worklist of infants that do not exist; until Ctrl-C")
            with stop.interruptible:
                while not stop.requested:
                    time.sleep(LOOK_AGAIN_S)
        except Interrupted:
            pass
        finally:
            serving.close()
    return DONE


def export(options: Namespace) -> int:
    """Write an exam's objects without anything that leads to the infant."""
    cart = CartNode() if options.site is None else load_dicom_config(options.site).cart
    with open_named(options, read_only=True) as journal:
        written = export_deidentified(exam_from_journal(journal, options.exam, cart), options.out)
    note_export(options, options.exam, "without a name")
    say(f"{len(written)} objects in {options.out}")
    return DONE


def _say(state: OutboxState, *, as_json: bool) -> None:
    if as_json:
        content = asdict(state) | {"next_try": None if state.next_try is None else state.next_try.isoformat()}
        say_json(content)
        return
    say(f"{state.done} exams done, {state.waiting} waiting, {state.proving} to be answered for, {state.held} held")
    if state.oldest_age_s is not None:
        say(f"the oldest was closed {state.oldest_age_s / 3600:.1f} h ago")
    if state.last_error:
        say(f"last error: {printable(state.last_error)}")
