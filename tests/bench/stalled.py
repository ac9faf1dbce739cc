"""`python -m tests.bench.stalled [--seed N] COMMAND ...`: run it on a machine that now and then stands still.

All processes of the command are stopped for 0.3 to 5 s, again and again at random moments, as a busy machine does it: a
test that is red then is so by chance on any machine. Not seen are threads of one process that wait for each other.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil

RUNS_S = (0.2, 8.0)
STALLS_S = (0.3, 1.0, 2.5, 5.0)
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE)


def running(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started, but for what is stopped already, as by a test of its own."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                if one.status() not in _STOPPED:
                    found.append(one)
    return found


def signalled(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send it to each that is still there."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stalled", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    chance, stopped = random.Random(options.seed), list[psutil.Process]()
    with subprocess.Popen(options.command) as command:
        whole = psutil.Process(command.pid)
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return command.wait(chance.uniform(*RUNS_S))
                stopped = running(whole)
                signalled(stopped, signal.SIGSTOP)
                time.sleep(chance.choice(STALLS_S))
                signalled(stopped, signal.SIGCONT)
        except KeyboardInterrupt:
            signalled(stopped, signal.SIGCONT)
            return command.wait()


if __name__ == "__main__":
    sys.exit(main())
