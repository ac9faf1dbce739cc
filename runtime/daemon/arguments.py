"""The command line of `python -m runtime.daemon`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import milliseconds, whole
from runtime.commands.site import add_site_options
from runtime.daemon.limits import Limits
from runtime.engines.options import add_engine_options

EXAMPLES = """\
examples:
  python -m runtime.daemon --socket /run/user/1000/rop.socket --bundle bundle/
  python -m runtime.daemon status --socket /run/user/1000/rop.socket --json
  python -m runtime.daemon reload --socket /run/user/1000/rop.socket
  python -m runtime.daemon read eye.png --socket /run/user/1000/rop.socket --gates gates/
  python -m runtime.daemon measure --frames 300
  python -m runtime.daemon install --bundle /opt/rop/bundle --socket-group camera --dry-run

SIGTERM and Ctrl-C end it after the frame under way, SIGHUP loads the bundle anew. Protocol: runtime/daemon/PROTOCOL.md

exit codes:
  0    stopped as asked; of status: ready; of reload: the new bundle is in force; of read: every picture was read;
       of measure: inside the limits
  1    of status: no result is given (loading, self-test failed, engine failing); of reload: the old bundle stays;
       of read: a picture has no result; of measure: over the limits
  2    the call is wrong, the socket, bundle or engine unusable; of status, reload and read: no daemon there
  3    of status: it reads frames, and something is to be looked at (drift, a failed reload, often late, ...)
"""
MEASURED = "sim:seed=1,size=2040x2040"
"""Source of the pictures that `measure` reads, unless told otherwise."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options in `argv`, `verb` among them; ends the program with code 2 and a line that says why."""
    verbs = {"status": _status, "reload": _reload, "read": _read, "install": _install, "measure": _measure}
    verb = argv[0] if argv and argv[0] in verbs else "serve"
    parser = verbs.get(verb, _serve)()
    options = parser.parse_args(argv if verb == "serve" else argv[1:])
    options.verb = verb
    return options


def _parser(verb: str, description: str) -> argparse.ArgumentParser:
    return CommandParser(
        prog=f"python -m runtime.daemon {verb}".strip(),
        description=description,
        epilog=None if verb else EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _serve() -> argparse.ArgumentParser:
    parser = _parser("", "Keep an engine warm and read the frames of other programs on this machine.")
    add_version(parser)
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="where clients connect")
    _common(parser)
    return parser


def _status() -> argparse.ArgumentParser:
    parser = _parser("status", "Ask a daemon how it is.")
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="the daemon's")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    return parser


def _reload() -> argparse.ArgumentParser:
    parser = _parser("reload", "Have a daemon load its bundle anew; the old one stays where the new one fails.")
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="the daemon's")
    return parser


def _read() -> argparse.ArgumentParser:
    parser = _parser("read", "Have a daemon read pictures, and say what comes of each.")
    parser.add_argument("source", metavar="SOURCE", help="picture, folder, camera or sim:, as for runtime.screen")
    parser.add_argument("--socket", type=Path, required=True, metavar="PATH", help="the daemon's")
    parser.add_argument("--frames", type=whole(1), default=2**31 - 1, metavar="N", help="at most so many")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the daemon's, or slots (default: the site's slots)")
    add_site_options(parser)
    parser.add_argument(
        "--gates",
        type=Path,
        metavar="DIR",
        help="also write a picture of each there, under the classifier's gates: read again by the CPU engine here, "
        "with the daemon's bundle",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a picture (rop.reading/1)")
    return parser


def _measure() -> argparse.ArgumentParser:
    parser = _parser(
        "measure", "Measure what the daemon adds to a reading: every frame is read here and by a daemon, in turn."
    )
    parser.add_argument("--source", default=MEASURED, metavar="SOURCE", help=f"of the pictures (default: {MEASURED})")
    parser.add_argument(
        "--frames", type=whole(1, 2**31 - 1), default=662, metavar="N", help="default: 662, enough for the p99"
    )
    add_engine_options(parser)
    add_site_options(parser)
    parser.add_argument("--huge-pages", action="store_true", help="as the daemon's: the ring in 2 MiB pages")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    return parser


def _install() -> argparse.ArgumentParser:
    from runtime.daemon.units import SOCKET

    parser = _parser("install", "Write a systemd service and socket that run the daemon with these options.")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written, write nothing")
    parser.add_argument("--socket", type=Path, default=SOCKET, metavar="PATH", help=f"where clients connect ({SOCKET})")
    parser.add_argument(
        "--unit-dir", type=Path, default=Path("/etc/systemd/system"), metavar="DIR", help="where to write"
    )
    parser.add_argument("--memory-max", default="4G", metavar="SIZE", help="limit of the service's memory (4G)")
    _common(parser)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    model = add_engine_options(parser)
    model.add_argument("--budget-ms", type=milliseconds, metavar="MS", help="time for a reading; later is NO_RESULT")

    add_site_options(parser)

    clients = parser.add_argument_group("clients")
    clients.add_argument(
        "--allow-uid",
        type=whole(0, 2**32 - 2),
        action="append",
        default=[],
        metavar="UID",
        help="another user that may connect, a member of --socket-group; root and the daemon's own always may",
    )
    clients.add_argument(
        "--socket-group",
        metavar="GROUP",
        help="group of the socket: its members may connect, or of them those that --allow-uid names",
    )
    clients.add_argument(
        "--max-age-ms",
        type=_age,
        default=Limits.max_age_ms,
        metavar="MS",
        help="a frame captured longer ago when it is done has no result (default: %(default)g, at most 60000)",
    )

    steady = parser.add_argument_group("soft real time (health tells what was obtained)")
    steady.add_argument("--fifo", type=whole(1, 99), metavar="PRIORITY", help="SCHED_FIFO for the two busy threads")
    steady.add_argument(
        "--cpus", type=_cpus, default=(), metavar="LIST", help="run on these CPUs only, like 2,3 or 2-5"
    )
    steady.add_argument(
        "--lock-memory", action="store_true", help="mlockall: no page of the daemon is ever swapped out"
    )
    steady.add_argument("--huge-pages", action="store_true", help="rings in 2 MiB pages, where enough are free")


def serve_arguments(options: argparse.Namespace) -> list[str]:
    """The command line of the daemon that `install` writes, without `--socket`; files with their whole path."""
    found: list[str] = []
    for name in ("bundle", "site_profile", "trusted_keys"):
        if (path := getattr(options, name)) is not None:
            found += [f"--{name.replace('_', '-')}", os.path.abspath(path)]
    for name, default in (
        ("station", ""),
        ("engine", "auto"),
        ("precision", "auto"),
        ("threads", None),
        ("budget_ms", None),
        ("socket_group", None),
        ("max_age_ms", Limits.max_age_ms),
        ("fifo", None),
    ):
        if (value := getattr(options, name)) != default:
            found += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    for uid in options.allow_uid:
        found += ["--allow-uid", str(uid)]
    if options.cpus:
        found += ["--cpus", ",".join(map(str, options.cpus))]
    return found + [f"--{name.replace('_', '-')}" for name in ("lock_memory", "huge_pages") if getattr(options, name)]


def _age(text: str) -> float:
    value = milliseconds(text)
    if value > 60_000:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected at most 60000 milliseconds")
    return value


def _cpus(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except ValueError:
        found.clear()
    if not found or max(found) > 4095:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected numbers of CPUs like 2,3 or 2-5")
    return tuple(sorted(found))
