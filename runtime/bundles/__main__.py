"""`python -m runtime.bundles`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from device.streams import open_closed_streams
from runtime.bundles.arguments import parse
from runtime.bundles.errors import NotActivated
from runtime.commands.text import printable
from runtime.errors import ScreeningError

SAYS_NO, UNUSABLE, STOPPED = 1, 2, 130
VERBS = {"install": "install", "activate": "activate", "rollback": "rollback", "list": "list_", "remove": "remove"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    try:
        verbs = import_module("runtime.bundles.verbs")
        return int(getattr(verbs, VERBS[options.verb])(options))
    except NotActivated as error:
        return _complain(error, SAYS_NO)
    except ScreeningError as error:
        return _complain(error, UNUSABLE)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return STOPPED


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"runtime.bundles: {printable(str(error))}\n")
    return code


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
