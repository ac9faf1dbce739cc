"""`python -m runtime.fleet`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from device.streams import open_closed_streams
from runtime.commands.text import printable
from runtime.errors import ScreeningError
from runtime.fleet.arguments import parse

UNUSABLE, STOPPED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    try:
        verbs = import_module("runtime.fleet.verbs")
        return int(getattr(verbs, options.verb)(options))
    except ScreeningError as error:
        return _complain(error, UNUSABLE)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return STOPPED


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"runtime.fleet: {printable(str(error))}\n")
    return code


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
