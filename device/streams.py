"""Standard streams that a program was started without (`2>&-`, some supervisors), for the `__main__` of each command,
and one that has gone since.

Python has None for them: a traceback ends the program, or what was meant for standard error comes among the results on
standard output; and the next file that is opened, the journal for one, gets the free number and what a C library says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

UNUSABLE, CLOSED_PIPE = 2, 141
"""Exit codes, of which the second is a shell's for a program that SIGPIPE ended."""


def open_closed_streams() -> None:
    """Give each missing one a stream: standard error goes nowhere, input is empty, output refuses what is written."""
    for number, flags in enumerate((os.O_RDWR, os.O_RDONLY, os.O_RDWR)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def tell(text: str) -> None:
    """Write to standard output what a command is asked about itself, and see that it has left.

    Where it cannot the program ends: with 141 where nobody reads any more, else with 2 and a line that says so.
    """
    try:
        if sys.stdout is None:  # started with `>&-`, and not by a `__main__` of ours
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_output()
        sys.exit(CLOSED_PIPE)
    except OSError as error:
        give_up_output()
        if sys.stderr is not None:
            sys.stderr.write(f"cannot write to standard output: {error.strerror}; name another file or pipe\n")
        sys.exit(UNUSABLE)


def give_up_output() -> None:
    """Nobody reads standard output any more, or it takes nothing: what Python still holds for it goes nowhere, instead
    of into an error as the program ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
