"""The command line of `python -m runtime.exam`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import milliseconds, share, whole
from runtime.commands.site import add_site_options
from runtime.config import parse_with_config
from runtime.engines.options import add_engine_options
from runtime.exam.commands.journal import add_key_options
from runtime.exam.icrop3 import PLUS, STAGES, ZONES
from runtime.exam.machine import StopReason
from runtime.outcome import Outcome
from runtime.views import DEFAULT_RETAKES, MOST_RETAKES, Eye, View

EXAMPLES = """\
examples:
  python -m runtime.exam demo --journal demo
  python -m runtime.exam key cart.key
  python -m runtime.exam new --journal exams --key-file cart.key --operator anna --infant infant.json
  python -m runtime.exam capture --journal exams --key-file cart.key --operator anna --eye OD --view nasal camera:0
  python -m runtime.exam close --journal exams --key-file cart.key --operator anna
  python -m runtime.exam show EXAM --journal exams --json | jq .outcome
  python -m runtime.exam list --config cart.toml

infant.json, or - for standard input:
  {"infant_id": "H-1042", "name": "Doe^Baby", "born_at": "2026-10-01T04:30", "gestational_age": "27w3d",
   "birth_weight_g": 980, "sex": "F"}
sex may be left out; so may infant_id, name and sex when --order says them

exit codes:
  0    done
  1    the work says no: verify found an edit, a replay differs, the journal is full or damaged, the camera is lost
  2    the call is wrong, or the input, journal or key cannot be used
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    return parse_with_config(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.exam",
        description="Exams: open one, capture its views, close it; show, check, repeat and export what was kept.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    key = verbs.add_parser("key", help="make a new key file for a journal", allow_abbrev=False)
    key.add_argument("file", type=Path, metavar="FILE", help="must not exist yet; keep a copy in a safe place")

    new = _verb(verbs, "new", "open an exam", writes=True)
    new.add_argument("--infant", metavar="FILE", help="JSON file, or - for standard input; asked for when left out")
    new.add_argument("--order", metavar="FILE", help="what the worklist says (runtime.dicom worklist --json), or -")
    _order_of(new)
    new.add_argument("--again", action="store_true", help="also where the order has an exam already")
    new.add_argument("--views", type=_views, default=tuple(View), metavar="A,B", help="required views (default: all)")
    new.add_argument(
        "--retakes",
        type=whole(0, MOST_RETAKES),
        default=DEFAULT_RETAKES,
        metavar="N",
        help="allowed retakes (default: 3)",
    )
    new.add_argument("--bundle", type=Path, metavar="DIR", help="the model, or slots (default: the active bundle)")
    add_site_options(new)

    capture = _verb(verbs, "capture", "take one frame into the open exam and read it", writes=True)
    capture.add_argument("source", metavar="SOURCE", help="picture, camera or sim:, as for python -m runtime.screen")
    _place(capture, required=True)
    capture.add_argument(
        "--skip",
        type=whole(0),
        metavar="N",
        help="let N frames pass before; asked for where a source holds several pictures",
    )
    _gates(capture, "this frame")
    capture.add_argument("--budget-ms", type=milliseconds, metavar="MS", help="time allowed for the reading")
    _engine(capture)

    finish = _verb(verbs, "finish", "read the frames that a crash left unread, also of closed exams", writes=True)
    _engine(finish)

    correct = _verb(verbs, "correct", "move a frame, or correct infant, order or both; with a reason", True)
    correct.add_argument("exam", metavar="EXAM")
    correct.add_argument("--capture", type=whole(0), metavar="N", help="the frame to move, by its number")
    _place(correct, required=False)
    correct.add_argument("--infant", metavar="FILE", help="corrected fields of the infant, JSON, or -")
    correct.add_argument("--order", metavar="FILE", help="corrected order, JSON, or -; {} takes it away")
    _order_of(correct)
    correct.add_argument("--reason", required=True, metavar="TEXT")

    document = _verb(verbs, "document", "keep what a clinician found in an eye (words of ICROP3)", writes=True)
    document.add_argument("exam", metavar="EXAM")
    _eye_of(document, required=True)
    document.add_argument("--zone", choices=ZONES)
    document.add_argument("--notch", action="store_true")
    document.add_argument("--stage", choices=STAGES)
    document.add_argument("--plus", choices=PLUS)
    document.add_argument("--a-rop", action="store_true")
    document.add_argument("--note", default="", metavar="TEXT")

    for name, help_ in (
        ("exclude", "take a frame out of an exam, with a reason; it counts for nothing and stays in the record"),
        ("include", "take back that a frame was excluded, with a reason"),
        ("confirm", "say that a frame shows its view although its picture is like another view's, with a reason"),
    ):
        of_frame = _verb(verbs, name, help_, writes=True)
        of_frame.add_argument("exam", metavar="EXAM")
        of_frame.add_argument("--capture", type=whole(0), required=True, metavar="N", help="the frame, by its number")
        of_frame.add_argument("--reason", required=True, metavar="TEXT")
    stop = _verb(verbs, "stop", "close the open exam before every view was taken", writes=True)
    stop.add_argument("exam", nargs="?", metavar="EXAM", help="which (default: the one that is open)")
    stop.add_argument(
        "--why", type=_why, required=True, metavar="WHY", help=", ".join(f"'{why.words}'" for why in StopReason)
    )
    stop.add_argument("--note", default="", metavar="TEXT")
    void = _verb(
        verbs, "void", "make an exam count for nothing; one that refers: once a second person does, too", writes=True
    )
    void.add_argument("exam", metavar="EXAM")
    void.add_argument("--reason", required=True, metavar="TEXT")

    close = _verb(verbs, "close", "close the open exam", writes=True)
    close.add_argument("exam", nargs="?", metavar="EXAM", help="which (default: the one that is open)")
    close.add_argument("--yes", action="store_true", help="do not ask where views are missing")

    listing = _verb(verbs, "list", "list the exams, newest first")
    listing.add_argument("--last", type=whole(0), metavar="N", help="only the newest N, by event, of those that fit")
    listing.add_argument("--day", type=_day, metavar="DATE", help="opened on that day, as in 2026-10-01, or today")
    listing.add_argument("--name", metavar="TEXT", help="infant's name or identifier holds it; needs the key")
    listing.add_argument("--outcome", type=_outcome, metavar="OUTCOME", help=", ".join(o.value for o in Outcome))
    states = ("waiting", "proving", "held", "done", "none")
    listing.add_argument("--delivery", choices=states, help="where it stands with the archive; none: never taken up")
    show = _verb(verbs, "show", "show an exam")
    show.add_argument("exam", metavar="EXAM")
    verify = _verb(verbs, "verify", "check every row and image of the journal against its trail and its anchors")
    verify.add_argument(
        "--told",
        action="append",
        default=[],
        type=_event,
        metavar="NUMBER:SHA256",
        help="an event as the archive's report or the system's log told it; can be repeated",
    )
    rekey = _verb(verbs, "rekey", "give the journal a new key, and new secrets for all that is written", writes=True)
    rekey.add_argument("--new-key-file", type=Path, required=True, metavar="FILE", help="made when it is not there")
    rekey.add_argument("--wrap-only", action="store_true", help="a new key for the secrets that the journal has")
    _verb(verbs, "seal", "encrypt what pictures of an older journal still lie there in the open")
    replay = _verb(verbs, "replay", "repeat every reading of an exam and compare")
    replay.add_argument("exam", metavar="EXAM")
    _gates(replay, "each frame")
    _engine(replay)
    export = _verb(verbs, "export", "write the one-page report of an exam (HTML, self-contained)")
    export.add_argument("exam", metavar="EXAM")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: EXAM.html")
    export.add_argument("--without-infant", action="store_true", help="leave the patient's fields out")
    retire = _verb(verbs, "retire", "remove images and patient's fields of exams after the retention time", writes=True)
    retire.add_argument("--older-than-days", type=whole(0), required=True, metavar="N")
    archive = retire.add_mutually_exclusive_group(required=True)
    archive.add_argument(
        "--delivered-to",
        action="append",
        default=[],
        metavar="NAME",
        help="where exams must have arrived, as the outbox names it (archive); can be repeated",
    )
    archive.add_argument("--no-archive", action="store_true", help="this cart sends exams to no archive")
    retire.add_argument(
        "--discard-typed",
        action="store_true",
        help="also findings and reasons that a person typed and that no archive has",
    )
    retire.add_argument("--trust-clock", action="store_true", help="the cart's clock was checked by a person")

    verbs.add_parser(
        "run", help="a whole exam in one warm process: python -m runtime.cart terminal", allow_abbrev=False
    )
    demo = _verb(verbs, "demo", "run a whole exam on the simulated camera", demo=True)
    demo.add_argument("--seed", type=whole(0), default=1, metavar="N", help="which infant is drawn")
    demo.add_argument(
        "--faults", type=share, default=0.1, metavar="SHARE", help="share of spoilt frames (default: 0.1)"
    )
    _engine(demo)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[CommandParser],
    name: str,
    help_: str,
    writes: bool = False,
    demo: bool = False,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
    verb.add_argument("--journal", type=Path, default=Path("journal"), metavar="DIR", help="default: journal")
    add_key_options(verb)
    verb.add_argument("--json", action="store_true", help="JSON to standard output, nothing else there")
    if writes:
        verb.add_argument("--operator", required=True, metavar="NAME", help="who works at the cart; kept in the trail")
    if demo:
        verb.add_argument("--operator", default="demonstration", metavar="NAME", help="kept in the trail")
    return verb


def _gates(verb: argparse.ArgumentParser, of: str) -> None:
    verb.add_argument(
        "--gates",
        type=Path,
        metavar="DIR",
        help=f"also write a picture of {of} there, under the classifier's gates; the journal keeps nothing of it",
    )


def _engine(verb: argparse.ArgumentParser) -> None:
    add_site_options(verb)
    add_engine_options(verb, threads=False)


def _place(verb: argparse.ArgumentParser, *, required: bool) -> None:
    _eye_of(verb, required=required)
    known = ", ".join(view.value for view in View)
    verb.add_argument("--view", type=_view, required=required, metavar="VIEW", help=known)


def _order_of(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--accession", default="", metavar="NUMBER", help="which order, where the file holds several")
    verb.add_argument("--step", default="", metavar="ID", help="which scheduled step, where the file holds several")


def _eye_of(verb: argparse.ArgumentParser, *, required: bool) -> None:
    verb.add_argument("--eye", type=_eye, required=required, metavar="EYE", help="OD (right) or OS (left)")


def _why(text: str) -> StopReason:
    try:
        return StopReason.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _eye(text: str) -> Eye:
    try:
        return Eye(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected OD (right eye) or OS (left eye)") from None


def _view(text: str) -> View:
    try:
        return View(text)
    except ValueError:
        known = ", ".join(view.value for view in View)
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected one of {known}") from None


def _day(text: str) -> date:
    try:
        return date.today() if text == "today" else date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected a day as in 2026-10-01, or today") from None


def _event(text: str) -> tuple[int, str]:
    number, _, hash_ = text.partition(":")
    if not re.fullmatch("[0-9]{1,18}", number) or not 16 <= len(hash_) <= 64 or set(hash_) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(
            f"got {text[:80]!r}, expected an event's number and 16 to 64 digits of its SHA-256, as in 1042:3f2a..."
        )
    return int(number), hash_


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text.upper().replace("-", "_"))
    except ValueError:
        known = ", ".join(outcome.value for outcome in Outcome)
        raise argparse.ArgumentTypeError(f"got {text[:30]!r}, expected one of {known}") from None


def _views(text: str) -> tuple[View, ...]:
    try:
        views = tuple(View(part.strip()) for part in text.split(","))
    except ValueError:
        known = ", ".join(view.value for view in View)
        raise argparse.ArgumentTypeError(f"got {text[:60]!r}, expected some of {known}") from None
    if len(set(views)) != len(views):
        raise argparse.ArgumentTypeError(f"got {text[:60]!r}, expected each view once")
    return views
