"""`python -m calibration`: make, inspect and compare calibration sets."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from calibration.commands import compare, create, inspect
from calibration.errors import CalibrationError
from device.command_parser import CommandParser
from device.errors import DeviceError
from device.streams import open_closed_streams
from device.version import add_version
from runtime.commands.ending import end_on_sigterm
from runtime.commands.text import error_text, printable
from runtime.errors import ScreeningError

UNUSABLE, INTERRUPTED = 2, 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    if argv is None:  # as a program
        end_on_sigterm()
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (CalibrationError, DeviceError, ScreeningError, OSError) as error:
        print(f"calibration {arguments.word}: {printable(error_text(error))}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m calibration", description="Make, inspect and compare calibration sets.", allow_abbrev=False
    )
    add_version(parser)
    words = parser.add_subparsers(dest="word", required=True, metavar="create | inspect | compare")
    for command in (create, inspect, compare):
        command.add_parser(words)
    return parser


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
