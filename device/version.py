"""The version of this software, as installed; setup.cfg is the one place that says it."""

from __future__ import annotations

import argparse
from typing import Any

from device.streams import tell

PROJECT = "rop-screening-runtime"


def software_version() -> str:
    """Like `0.2.0`; `unknown` where the files run without being installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PROJECT)
    except PackageNotFoundError:
        return "unknown"


class _Version(argparse.Action):
    """Asks for the version when it is wanted, not for every call."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        tell(f"{PROJECT} {software_version()}\n")
        parser.exit(0)


def add_version(parser: argparse.ArgumentParser) -> None:
    """Give a command the option `--version`."""
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,  # no option of the call
        help="print the version of this software and exit",
    )
