"""From what a verb of a command ends with to the exit code, and the one line that says why."""

from __future__ import annotations

import sys
from collections.abc import Callable

from device.errors import DeviceError
from device.streams import give_up_output
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
        give_up_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return STOPPED
