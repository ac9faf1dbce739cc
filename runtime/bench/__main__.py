"""`python -m runtime.bench`: from the command line to the exit code. Nothing heavy is imported before it is parsed."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # until `Stop` takes over, Ctrl-C ends the program as it does any other, without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence

from device.streams import open_closed_streams
from runtime.bench.arguments import parse, parse_compare


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["compare"]:
        reports = parse_compare(arguments[1:])
        from runtime.bench.run import compare_reports

        return compare_reports(reports)
    options = parse(arguments)
    from device.secrets import hide_secrets
    from runtime.bench.run import bench

    return bench(options, ("python", "-m", "runtime.bench", *map(hide_secrets, arguments)))


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
