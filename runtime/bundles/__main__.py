"""`python -m runtime.bundles`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from device.streams import open_closed_streams
from runtime.bundles.arguments import parse
from runtime.bundles.errors import NotActivated
from runtime.commands.ending import ended
from runtime.exam.commands.journal import keep_key_from_others

VERBS = {"install": "install", "activate": "activate", "rollback": "rollback", "list": "list_", "remove": "remove"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)

    def verb() -> int:
        return int(getattr(import_module("runtime.bundles.verbs"), VERBS[options.verb])(options))

    return ended("runtime.bundles", verb, says_no=(NotActivated,))


if __name__ == "__main__":
    open_closed_streams()
    keep_key_from_others()
    sys.exit(main())
