"""Times a ROPLINK exchange over a pty, board and host in two processes: `python tests/bench/roplink.py`.

In turn with each exchange the same number of bytes is echoed over a bare pty by a third process, so that what a busy
machine's scheduler costs can be told from what the link costs.
"""

from __future__ import annotations

import argparse
import os
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
ECHO = """
import os, tty
master, slave = os.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
while True:
    os.write(master, os.read(master, 100))
"""


def start(program: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def measure(link: BoardLink, echo: int, count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Milliseconds of each exchange and of each bare echo, and how many exchanges failed."""
    link_ms, bare_ms, failed = np.empty(count), np.empty(count), 0
    for number in range(count):
        start_ns = time.perf_counter_ns()
        try:
            link.set_led(number % 100)
        except LightError as error:
            failed += 1
            print(error)
        middle_ns = time.perf_counter_ns()
        os.write(echo, b"123456789")
        left = 9
        while left:
            left -= len(os.read(echo, left))
        link_ms[number] = (middle_ns - start_ns) / 1e6
        bare_ms[number] = (time.perf_counter_ns() - middle_ns) / 1e6
    return link_ms, bare_ms, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=5000, help="how many to time (default 5000)")
    parser.add_argument("--limit-ms", type=float, default=5.0, help="p99 allowed (default 5 ms)")
    arguments = parser.parse_args()
    board, port = start(BOARD)
    echoing, echo_port = start(ECHO)
    echo = os.open(echo_port, os.O_RDWR | os.O_NOCTTY)
    try:
        with BoardLink(port) as link:
            link_ms, bare_ms, failed = measure(link, echo, arguments.exchanges)
    finally:
        os.close(echo)
        echoing.kill()
        board.communicate()
        echoing.communicate()
    for name, times_ms in (("exchange (SET_LED, ACK)", link_ms), ("bare echo", bare_ms)):
        p50, p99 = np.percentile(times_ms, [50, 99])
        print(f"{name}: {len(times_ms)} times, p50 {p50:.3f}, p99 {p99:.3f}, max {times_ms.max():.3f} ms")
    p99 = float(np.percentile(link_ms, 99))
    passed = p99 <= arguments.limit_ms and not failed
    print(f"{'PASS' if passed else 'FAIL'}: p99 {p99:.3f} ms, allowed {arguments.limit_ms:g} ms; {failed} failed")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
