"""From what a verb of a command ends with to the exit code, and the one line that says why."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from device.errors import DeviceError
from runtime.commands.text import error_text, printable
from runtime.errors import ScreeningError

SAYS_NO, UNUSABLE, STOPPED, CLOSED_PIPE = 1, 2, 130, 141


def ended(
    program: str,
    verb: Callable[[], int],
    says_no: tuple[type[Exception], ...] = (),
    wrong_call: tuple[type[Exception], ...] = (),
) -> int:
    """Run the verb; gives its exit code. Errors of `says_no` are the work saying no, others of ours a wrong call.

    wrong_call: kinds among `says_no` that are none.
    """
    try:
        return int(verb())
    except (ScreeningError, DeviceError) as error:
        sys.stderr.write(f"{program}: {printable(error_text(error))}\n")
        return SAYS_NO if isinstance(error, says_no) and not isinstance(error, wrong_call) else UNUSABLE
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads it any more
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return STOPPED
