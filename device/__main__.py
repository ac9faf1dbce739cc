"""`python -m device`: the first word chooses the command; each has its own `--help`."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # until a command runs, Ctrl-C ends the program as it does any other, without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence
from importlib import import_module

from device.commands.common import exit_code
from device.errors import DeviceError
from device.secrets import hide_secrets
from device.shown import printable
from device.streams import CLOSED_PIPE, UNUSABLE, give_up_output, open_closed_streams, tell
from device.version import PROJECT, software_version

COMMANDS = {
    "cameras": "list the cameras that this machine sees",
    "probe": "measure what a camera gives: size, rate, jitter, latency",
    "grab": "write frames of a camera as PNG files, each with its time and hash",
    "light": "talk to the light and trigger board, or simulate one",
    "telemetry": "clocks, temperatures, power and throttling of this machine",
}
EXIT_CODES = """\
exit codes:
  0    done
  1    the work says no: a camera was lost, a light refused, a rate not reached
  2    the call is wrong, or camera, port or folder unusable
  130  stopped by Ctrl-C"""
INTERRUPTED = 128 + signal.SIGINT


def usage() -> str:
    """What `--help` prints."""
    lines = "\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items())
    return f"usage: python -m device COMMAND ...\n\ncommands (each with --help):\n{lines}\n\n{EXIT_CODES}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` of a command and a wrong call end by `SystemExit`."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["--help"], ["-h"]):
        tell(f"{usage()}\n")
        return 0
    if words[:1] == ["--version"]:
        tell(f"{PROJECT} {software_version()}\n")
        return 0
    if not words or words[0] not in COMMANDS:
        got = repr(words[0]) if words else "nothing"
        print(f"device: got {got} as the command, expected one of {', '.join(COMMANDS)}; see --help", file=sys.stderr)
        return UNUSABLE
    try:
        command = import_module(f"device.commands.{words[0]}")
        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = int(command.main(words[1:]))
        sys.stdout.flush()
        return code
    except DeviceError as error:
        print(printable(hide_secrets(f"device {words[0]}: {error}")), file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads standard output any more; what is held for it goes nowhere
        give_up_output()
        return CLOSED_PIPE
    except OSError as error:  # those of cameras and files are a `DeviceError`
        if error.filename is not None:
            raise
        give_up_output()
        print(f"device {words[0]}: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return UNUSABLE


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
