"""Times a ROPLINK/1 exchange over a pty, board and host in two processes: `python tests/bench/roplink.py`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np

from device.errors import LightError
from device.light import BoardLink

BOARD = """
import sys
from device.light import Ceilings, SimulatedBoard
with SimulatedBoard(ceilings=Ceilings(4095, 20_000, 4095, 0)) as board:
    print(board.port, flush=True)
    sys.stdin.read()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=5000, help="how many to time (default 5000)")
    parser.add_argument("--limit-ms", type=float, default=5.0, help="p99 allowed (default 5 ms)")
    count, limit_ms = (arguments := parser.parse_args()).exchanges, arguments.limit_ms
    with subprocess.Popen(
        [sys.executable, "-c", BOARD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as board:
        assert board.stdin is not None
        assert board.stdout is not None
        with BoardLink(board.stdout.readline().strip()) as link:
            times_ms, failed = np.empty(count), 0
            for number in range(count):
                start_ns = time.perf_counter_ns()
                try:
                    link.set_led(number % 100)
                except LightError as error:
                    failed += 1
                    print(error)
                times_ms[number] = (time.perf_counter_ns() - start_ns) / 1e6
        board.stdin.close()
    p50, p99 = np.percentile(times_ms, [50, 99])
    print(f"{count} exchanges (SET_LED and its ACK): p50 {p50:.3f}, p99 {p99:.3f}, max {times_ms.max():.3f} ms")
    passed = p99 <= limit_ms and not failed
    print(f"{'PASS' if passed else 'FAIL'}: p99 {p99:.3f} ms, allowed {limit_ms:g} ms; {failed} failed")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
