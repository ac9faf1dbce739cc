"""`python -m runtime.exam`: from the command line to the exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from device.errors import CameraError, DeviceError, SourceNotFound
from device.streams import open_closed_streams
from runtime.commands.text import printable
from runtime.errors import ScreeningError
from runtime.exam.commands.arguments import parse
from runtime.exam.commands.journal import keep_key_from_others
from runtime.exam.errors import JournalDamaged, JournalFull

DONE, SAYS_NO, UNUSABLE = 0, 1, 2
STOPPED = 130
CLOSED_PIPE = 141
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
    try:
        module, _, function = VERBS[options.verb].partition(".")
        verb = getattr(import_module(f"runtime.exam.commands.{module}"), function)
        return int(verb(options))
    except (JournalFull, JournalDamaged) as error:
        return _complain(error, SAYS_NO)
    except (ScreeningError, DeviceError) as error:
        broke_off = isinstance(error, CameraError) and not isinstance(error, SourceNotFound)
        return _complain(error, SAYS_NO if broke_off else UNUSABLE)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads it any more
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return STOPPED  # what was acknowledged is in the journal; a frame without its reading is read next time


def _complain(error: Exception | str, code: int) -> int:
    sys.stderr.write(f"runtime.exam: {printable(str(error))}\n")
    return code


if __name__ == "__main__":
    open_closed_streams()
    keep_key_from_others()
    sys.exit(main())
