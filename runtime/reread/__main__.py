"""`python -m runtime.reread`: from the command line to the exit code. Nothing heavy is imported before it is parsed."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # until `Stop` takes over, Ctrl-C ends the program as it does any other, without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence

from device.streams import open_closed_streams
from runtime.reread.arguments import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    from runtime.reread.run import run

    return run(options)


if __name__ == "__main__":
    open_closed_streams()
    from runtime.exam.commands.journal import keep_key_from_others

    keep_key_from_others()
    sys.exit(main())
