"""The command line of `python -m runtime.dicom`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.config import parse_with_config
from runtime.exam.commands.journal import add_key_options

DICOM_CONFIG = ("--dicom-config", "--site")
"""The second is the older name, which was taken for the site profile; it goes with the next release."""
EXAMPLES = """\
examples:
  python -m runtime.dicom hospital --port 11112
  python -m runtime.dicom site --archive DEMOARCHIVE@127.0.0.1:11112 --without-tls --out trial.json
  python -m runtime.dicom worklist --dicom-config site.json
  python -m runtime.dicom send --journal exams --key-file cart.key --dicom-config site.json
  python -m runtime.dicom send --journal exams --key-file cart.key --dicom-config site.json --watch
  python -m runtime.dicom outbox --journal exams --json | jq .oldest_age_s
  python -m runtime.dicom rejected --journal exams
  python -m runtime.dicom export-deidentified EXAM --journal exams --key-file cart.key --out study-7

site.json (all of it: runtime/dicom/README.md):
  {"schema": "rop.dicom/1", "cart": {"ae_title": "ROPCART", "listen_port": 11113},
   "archive": {"ae_title": "ORTHANC", "host": "10.0.0.5", "port": 4242}}

exit codes:
  0    done; for send: the archive answers for every exam
  1    the work says no: for send, exams are left in the outbox; for outbox, exams are held, as the archive refuses
       them; for worklist, it cannot be had or some of it cannot be read
  2    the call is wrong, or configuration, journal or key cannot be used
  130, 143    stopped by Ctrl-C or SIGTERM; nothing is lost, send goes on where it was
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    parser = CommandParser(
        prog="python -m runtime.dicom",
        description="DICOM: who is to be examined, sending exams to the archive, and exporting them without names.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    worklist = verbs.add_parser("worklist", help="who is to be examined", allow_abbrev=False)
    _site(worklist)
    worklist.add_argument("--day", type=_day, metavar="DATE", help="as in 2026-10-01, or all (default: today)")
    worklist.add_argument("--patient", default="", metavar="ID", help="only this identifier")
    worklist.add_argument("--accession", default="", metavar="NUMBER", help="only this order")
    worklist.add_argument("--step", default="", metavar="ID", help="only this scheduled step")
    worklist.add_argument("--journal", type=Path, metavar="DIR", help="mark what this cart has exams of already")
    add_key_options(worklist)
    worklist.add_argument("--json", action="store_true", help="one JSON object a line")

    send = verbs.add_parser("send", help="send closed exams to the archive", allow_abbrev=False)
    _journal(send)
    _site(send)
    send.add_argument("--watch", action="store_true", help="go on until stopped: new exams, and what failed before")
    send.add_argument("--json", action="store_true", help="the outbox's state at the end as JSON")

    outbox = verbs.add_parser("outbox", help="what waits for the archive", allow_abbrev=False)
    _journal(outbox)
    outbox.add_argument("--json", action="store_true", help="as JSON")

    rejected = verbs.add_parser(
        "rejected", help="what must not be in the archive, for its administrator", allow_abbrev=False
    )
    _journal(rejected)
    rejected.add_argument("--all", action="store_true", help="also what a note in the archive rejects")
    rejected.add_argument("--json", action="store_true", help="one JSON object a line")

    audit = verbs.add_parser(
        "audit", help="tell the site's audit repository (syslog) what was done since last time", allow_abbrev=False
    )
    _journal(audit)
    _site(audit)
    audit.add_argument("--watch", action="store_true", help="go on until stopped")

    written = verbs.add_parser("site", help="write a site's DICOM configuration to begin with", allow_abbrev=False)
    written.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    written.add_argument("--archive", required=True, metavar="TITLE@HOST:PORT", help="as ORTHANC@10.0.0.5:4242")
    written.add_argument("--worklist", metavar="TITLE@HOST:PORT")
    written.add_argument("--mpps", metavar="TITLE@HOST:PORT")
    written.add_argument("--listen", type=_port, metavar="PORT", help="where the archive reports commitments")
    written.add_argument(
        "--without-tls", action="store_true", help="names and findings go over the network for all to read"
    )

    hospital = verbs.add_parser(
        "hospital",
        help="an archive and a worklist to try with: on this machine, in memory, never for patients",
        allow_abbrev=False,
    )
    hospital.add_argument("--port", type=_port, default=11112, metavar="PORT", help="on 127.0.0.1 (default: 11112)")

    export = verbs.add_parser("export-deidentified", help="images and report without a name", allow_abbrev=False)
    export.add_argument("exam", metavar="EXAM", help="its id, as python -m runtime.exam list shows it")
    _journal(export)
    export.add_argument(
        *DICOM_CONFIG, dest="site", type=Path, metavar="FILE", help="for the camera's field of view and model"
    )
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    words = sys.argv[1:] if argv is None else argv
    if any(word == "--site" or word.startswith("--site=") for word in words):
        print("dicom: --site is --dicom-config now; the old name goes with the next release", file=sys.stderr)
    return parse_with_config(parser, argv)


def _journal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--journal", type=Path, required=True, metavar="DIR", help="the journal's folder")
    add_key_options(parser)


def _site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *DICOM_CONFIG,
        dest="site",
        type=Path,
        required=True,
        metavar="FILE",
        help="the DICOM configuration: who the cart is, where archive and worklist are (--site is its older name)",
    )


def _port(text: str) -> int:
    if not (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected a port from 1 to 65535")
    return int(text)


def _day(text: str) -> date | str:
    if text == "all":
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text[:20]!r}, expected a date as in 2026-10-01, or all") from None
