"""The command line of `python -m runtime.fleet`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.bundles.arguments import add_trial_options
from runtime.commands.numbers import milliseconds, positive
from runtime.config import parse_with_config

EXAMPLES = """\
examples:
  python -m runtime.fleet push bundle/ --key site.pem --out /srv/rop --follows any --wave 5 --wave 100:2026-12-08
  python -m runtime.fleet pull https://rop.example.org/carts --station cart-7 --trusted-keys keys --journal exams
  python -m runtime.fleet report --station cart-7 --key cart-7.pem --journal exams --out /media/usb/reports
  python -m runtime.fleet status /srv/reports --carts cart-keys --html carts.html
  python -m runtime.fleet units --source https://rop.example.org/carts --station cart-7 --trusted-keys /etc/rop/keys

exit codes:
  0    done; of pull: also when there is nothing for this cart now
  1    the work says no: a pulled bundle stays inactive; a cart has to be looked at, a report is not believed
  2    the call is wrong, or release, keys, folder or network cannot be used
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    return parse_with_config(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.fleet",
        description="Bundles for many carts: push a package once, have carts pull it in waves, see how they stand.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    push = _verb(verbs, "push", "add a signed bundle to a folder that carts pull from")
    push.add_argument("source", type=Path, metavar="BUNDLE", help="its folder, signed")
    push.add_argument("--key", type=Path, required=True, metavar="FILE", help="the site's private key (PEM)")
    push.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the web server, or on the USB stick")
    push.add_argument(
        "--follows",
        action="append",
        required=True,
        metavar="BUNDLE",
        help="after which bundle it may come: folder, SHA-256, or any; can be repeated",
    )
    push.add_argument(
        "--wave",
        action="append",
        default=[],
        metavar="PERCENT[:TIME]",
        help="share of the carts, and from when (default: 100, now); can be repeated",
    )
    push.add_argument("--drop", action="append", default=[], metavar="SHA256", help="offer that bundle no more")

    pull = _verb(verbs, "pull", "take the package whose turn it is, try it, and make it the active bundle")
    pull.add_argument("where", metavar="FROM", help="a folder, or https://...")
    _ca(pull)
    pull.add_argument("--only-install", action="store_true", help="leave the active bundle as it is")
    _slots(pull)
    add_trial_options(pull)

    report = _verb(verbs, "report", "write how this cart stands, signed, without any name")
    report.add_argument("--out", type=Path, required=True, metavar="DIR", help="STATION.report is written there")
    report.add_argument("--key", type=Path, required=True, metavar="FILE", help="the cart's private key (PEM)")
    report.add_argument("--station", default="", metavar="NAME", help="which cart (default: $ROP_STATION)")
    report.add_argument("--journal", type=Path, metavar="DIR", help="for outbox, drift and latency")
    report.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the journal's key (default: $ROP_JOURNAL_KEY); its readings need it",
    )
    _slots(report)

    status = _verb(verbs, "status", "read a folder of reports into a table and a page")
    status.add_argument("folder", type=Path, metavar="DIR")
    status.add_argument("--carts", type=Path, required=True, metavar="DIR", help="public keys, STATION.pem each")
    status.add_argument("--html", type=Path, metavar="FILE", help="write a page, too")
    status.add_argument("--silent-hours", type=positive, default=24.0, metavar="H", help="default: 24")
    status.add_argument("--budget-ms", type=milliseconds, default=1000.0, metavar="MS", help="default: 1000")

    units = _verb(verbs, "units", "print the systemd service and timer of a cart")
    units.add_argument("--source", dest="where", required=True, metavar="FROM", help="as for pull")
    _ca(units)
    units.add_argument("--report-to", type=Path, metavar="DIR", help="also report there, with --key")
    units.add_argument("--key", type=Path, metavar="FILE", help="the cart's private key (PEM)")
    units.add_argument("--user", default="ropcart", metavar="NAME", help="default: ropcart")
    _slots(units)
    add_trial_options(units)
    return parser


def _verb(verbs: argparse._SubParsersAction[CommandParser], name: str, help_: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
    verb.add_argument("--json", action="store_true", help="JSON to standard output, nothing else there")
    return verb


def _ca(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--ca", type=Path, metavar="FILE", help="certificates by which the server is known (PEM)")


def _slots(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--slots", dest="bundle", type=Path, metavar="DIR", help="of the bundles (default: $ROP_BUNDLES)")
