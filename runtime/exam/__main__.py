"""`python -m runtime.exam`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from device.errors import CameraError, SourceNotFound
from device.streams import open_closed_streams
from runtime.commands.ending import ended
from runtime.exam.commands.arguments import parse
from runtime.exam.commands.journal import keep_key_from_others
from runtime.exam.errors import JournalDamaged, JournalFull

VERBS = {
    "key": "keeping.key",
    "new": "exams.new",
    "capture": "exams.capture",
    "finish": "exams.finish",
    "correct": "exams.correct",
    "document": "exams.document",
    "exclude": "persons.exclude",
    "include": "persons.include",
    "confirm": "persons.confirm",
    "stop": "persons.stop",
    "void": "persons.void",
    "close": "exams.close",
    "list": "exams.list_",
    "show": "exams.show",
    "verify": "keeping.verify",
    "replay": "keeping.replay",
    "export": "keeping.export",
    "retire": "keeping.retire",
    "rekey": "keeping.rekey",
    "seal": "keeping.seal",
    "demo": "demo.demo",
    "run": "demo.run",
}
"""Module and function of each, in `runtime.exam.commands`; imported when it was chosen."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parse(arguments)
    module, _, function = VERBS[options.verb].partition(".")

    def verb() -> int:
        return int(getattr(import_module(f"runtime.exam.commands.{module}"), function)(options))

    # Ctrl-C: what was acknowledged is in the journal; a frame without its reading is read next time.
    return ended("runtime.exam", verb, (JournalFull, JournalDamaged, CameraError), wrong_call=(SourceNotFound,))


if __name__ == "__main__":
    open_closed_streams()
    keep_key_from_others()
    sys.exit(main())
