"""From what a verb of a command ends with to the exit code, and the one line that says why."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

from device.errors import DeviceError
from device.streams import give_up_output
from runtime.commands.text import error_text, printable
from runtime.errors import ScreeningError

SAYS_NO, UNUSABLE, STOPPED, CLOSED_PIPE, TERMINATED = 1, 2, 130, 141, 143


def end_on_sigterm() -> None:
    """SIGTERM ends the program by `SystemExit` with 143, so that what it had begun is removed; a second does nothing.

    For programs that do not look for a `Stop` between their steps.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, handle)


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
