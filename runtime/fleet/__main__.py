"""`python -m runtime.fleet`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from device.streams import open_closed_streams
from runtime.commands.ending import ended
from runtime.exam.commands.journal import keep_key_from_others
from runtime.fleet.arguments import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)

    def verb() -> int:
        return int(getattr(import_module("runtime.fleet.verbs"), options.verb)(options))

    return ended("runtime.fleet", verb)


if __name__ == "__main__":
    open_closed_streams()
    keep_key_from_others()
    sys.exit(main())
