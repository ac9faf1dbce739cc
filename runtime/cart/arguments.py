"""What the command line may say; parsed before anything heavy is imported."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import picture_size, whole

EPILOG = "Exit codes: 0 done; 1 a part does not work (check); 2 the call is wrong or the configuration unusable."


def parse(argv: Sequence[str] | None) -> Namespace:
    """The options; ends the program for `--help` and for a wrong call."""
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.cart",
        description="The cart: one program from the camera to the archive, with a screen in a browser on this machine. "
        "Screening aid; not a medical device.",
        epilog=EPILOG,
    )
    add_version(parser)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    demo = verbs.add_parser("demo", help="everything simulated: camera, light board, worklist and archive")
    demo.add_argument("--folder", type=Path, default=Path("out/cart"), help="journal and key (default: out/cart)")
    demo.add_argument("--port", type=whole(0, 65535), default=8420, help="of the pages on 127.0.0.1, 0 for a free one")
    demo.add_argument("--seed", type=whole(0), default=1, help="which infants are drawn")
    demo.add_argument("--size", type=picture_size, default="640x480", help="of the pictures, as in 2040x2040")
    demo.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    run = verbs.add_parser("run", help="what a cart runs: on the parts that cart.toml names")
    run.add_argument(
        "--no-send",
        dest="send",
        action="store_false",
        help="another program sends (runtime.dicom send --watch)",
    )
    terminal = verbs.add_parser("terminal", help="an exam from this terminal, by keys and foot switch, in one process")
    terminal.add_argument("--operator", required=True, metavar="NAME", help="who works at the cart; kept in the trail")
    terminal.add_argument("--infant", metavar="FILE", help="JSON as for runtime.exam new; else the open exam goes on")
    terminal.add_argument("--demo", action="store_true", help="on simulated parts, as `demo`; needs no cart.toml")
    terminal.add_argument("--folder", type=Path, default=Path("out/cart"), help="of --demo (default: out/cart)")
    terminal.add_argument("--no-send", dest="send", action="store_false", help="another program sends")
    check = verbs.add_parser("check", help="prove every part of cart.toml, as a tree of what works and what does not")
    check.add_argument("--json", action="store_true", help="for machines")
    init = verbs.add_parser("init", help="write a commented cart.toml")
    init.add_argument("file", type=Path, nargs="?", default=Path("cart.toml"), help="default: cart.toml")
    user = verbs.add_parser("user", help="add a user to the users file, give another PIN, remove one")
    user.add_argument("name", help="as the trail names them: small letters and digits")
    user.add_argument("--shown", default="", help="as the screen names them")
    user.add_argument("--role", choices=("operator", "clinician", "technician"), help="default: operator, or as it was")
    change = user.add_mutually_exclusive_group()
    change.add_argument("--new-pin", action="store_true", help="of one who is there; where it is forgotten, too")
    change.add_argument("--remove", action="store_true", help="take the user out; open sessions of theirs end")
    install = verbs.add_parser("install", help="the systemd units of a cart")
    install.add_argument("--print", action="store_true", required=True, help="show them; nothing is written")
    for verb in (run, terminal, check, install, user):
        verb.add_argument("--config", type=Path, default=Path("cart.toml"), help="default: cart.toml")
    return parser
