"""The command line of `python -m runtime.bundles`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import milliseconds, share, whole
from runtime.commands.site import add_site_options
from runtime.config import parse_with_config

EXAMPLES = """\
examples:
  python -m runtime.bundles install bundle.tar.gz --trusted-keys keys --journal exams --activate
  python -m runtime.bundles list
  python -m runtime.bundles activate retina@4
  python -m runtime.bundles rollback

Programs take the active bundle where none is named; an exam goes on under the bundle that it was opened with.
The slots lie in $ROP_BUNDLES, or in the folder `bundles` of the site's state ($ROP_SITE_STATE).

exit codes:
  0    done
  1    the bundle was tried and stays inactive
  2    the call is wrong, or the package or the slots cannot be used
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    return parse_with_config(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.bundles",
        description="Bundles in slots: install one, try it here, make it the active one, go back.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    install = _verb(verbs, "install", "unpack a signed package or folder beside, check it, and try it here")
    what = install.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "package", nargs="?", type=Path, metavar="PACKAGE", help="a tar archive (.gz or not), or a folder"
    )
    what.add_argument("--demonstration", action="store_true", help="the bundle that ships with this software")
    install.add_argument("--activate", action="store_true", help="and make it the active one, when nothing objects")
    _trial(install)

    activate = _verb(verbs, "activate", "make an installed bundle the active one")
    activate.add_argument(
        "name", metavar="BUNDLE", help="its name, version, NAME@VERSION, or the beginning of its SHA-256"
    )
    _trial(activate)

    rollback = _verb(verbs, "rollback", "go back to the bundle before")
    rollback.add_argument("--why", default="went back by hand", metavar="TEXT", help="kept with it")
    add_site_options(rollback)

    _verb(verbs, "list", "what is installed, and which is active")

    remove = _verb(verbs, "remove", "remove an installed bundle; exams that it read cannot be repeated then")
    remove.add_argument(
        "name", metavar="BUNDLE", help="its name, version, NAME@VERSION, or the beginning of its SHA-256"
    )
    remove.add_argument("--previous-too", action="store_true", help="also the one that the cart can go back to")
    return parser


def _verb(verbs: argparse._SubParsersAction[CommandParser], name: str, help_: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
    verb.add_argument(
        "--slots", dest="bundle", type=Path, metavar="DIR", help="folder of the slots (default: $ROP_BUNDLES)"
    )
    verb.add_argument("--json", action="store_true", help="JSON to standard output, nothing else there")
    return verb


def _trial(verb: argparse.ArgumentParser) -> None:
    add_trial_options(verb)
    verb.add_argument(
        "--despite", default="", metavar="REASON", help="activate although the trial objects; never a failed self-test"
    )


def add_trial_options(verb: argparse.ArgumentParser) -> None:
    """How a bundle is tried, and what of the trial objects."""
    add_site_options(verb)
    trial = verb.add_argument_group("trial")
    trial.add_argument("--journal", type=Path, metavar="DIR", help="compare on the stored frames of this journal")
    trial.add_argument("--key-file", type=Path, metavar="FILE", help="the journal's key (default: $ROP_JOURNAL_KEY)")
    trial.add_argument("--frames", type=whole(1, 100_000), default=60, metavar="N", help="newest frames (default: 60)")
    trial.add_argument("--most-changed", type=share, default=0.05, metavar="SHARE", help="of outcomes (default: 0.05)")
    trial.add_argument("--budget-ms", type=milliseconds, default=1000.0, metavar="MS", help="default: 1000")
    trial.add_argument("--engine", default="auto", metavar="NAME", help="default: auto")
    trial.add_argument("--precision", default="auto", metavar="P", help="default: auto")
