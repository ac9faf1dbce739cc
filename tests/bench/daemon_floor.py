"""Prints how long two Python processes take to talk over a SOCK_SEQPACKET socket: `python tests/bench/daemon_floor.py`.

76 bytes there and 596 back, as a SUBMIT and its RESULT have, and nothing else: no message is taken apart. Asleep, each
side has to be woken; awake, each asks without end. `cold` goes through 12.5 MB at both ends first, as a reading does.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.arrays import UInt8Array
from runtime.percentiles import percentile

QUESTION, ANSWER = bytes(76), bytes(596)
PAUSE_S = 0.002


def receive(end: socket.socket) -> bytes:
    while True:
        try:
            return end.recv(1024)
        except BlockingIOError:
            pass


def go_cold(pixels: UInt8Array | None) -> None:
    if pixels is not None:
        cv2.resize(pixels, (1020, 1020), interpolation=cv2.INTER_AREA)


def answer(end: socket.socket, pixels: UInt8Array | None) -> None:
    while receive(end):
        end.send(ANSWER)
        go_cold(pixels)


def round_trips(count: int, awake: bool, cold: bool, cores: list[int]) -> list[float]:
    """Milliseconds of each. The two ends are on a core of their own where there are two."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    cv2.setNumThreads(1)
    pixels: UInt8Array | None = np.full((2040, 2040, 3), 7, np.uint8) if cold else None
    child = os.fork()
    if child == 0:
        here.close()
        os.sched_setaffinity(0, {cores[-1]})
        there.setblocking(not awake)
        answer(there, pixels)
        os._exit(0)
    there.close()
    os.sched_setaffinity(0, {cores[0]})
    here.setblocking(not awake)
    found = []
    for _ in range(count):
        go_cold(pixels)
        time.sleep(PAUSE_S)
        start = time.perf_counter()
        here.send(QUESTION)
        receive(here)
        found.append((time.perf_counter() - start) * 1e3)
    here.close()
    os.waitpid(child, 0)
    os.sched_setaffinity(0, set(cores))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    print(f"{'ms':16}{'p50':>9}{'p99':>9}")
    for awake in (False, True):
        for cold in (False, True):
            found = round_trips(options.count, awake, cold, cores)
            name = f"{'awake' if awake else 'asleep'}{', cold' if cold else ''}"
            print(f"{name:16}{percentile(found, 50):9.4f}{percentile(found, 99):9.4f}")


if __name__ == "__main__":
    main()
