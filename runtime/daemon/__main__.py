"""`python -m runtime.daemon`: from the command line to the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from device.errors import CameraError
from device.streams import open_closed_streams
from runtime.commands.text import error_text, printable
from runtime.daemon.arguments import parse
from runtime.errors import ScreeningError

UNUSABLE, STOPPED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(list(sys.argv[1:] if argv is None else argv))
    try:
        if options.verb == "serve":
            from runtime.daemon.commands.serve import serve

            return serve(options)
        if options.verb == "install":
            from runtime.daemon.commands.install import install

            return install(options)
        if options.verb == "measure":
            from runtime.daemon.measure import run

            return run(options)
        if options.verb == "read":
            from runtime.daemon.commands.read import read

            return read(options)
        from runtime.daemon.commands import ask

        return ask.status(options) if options.verb == "status" else ask.reload(options)
    except (CameraError, ScreeningError) as error:
        sys.stderr.write(f"runtime.daemon: {printable(error_text(error))}\n")
        return UNUSABLE
    except KeyboardInterrupt:
        return STOPPED


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
