"""Ports for the servers of tests, of which no connection and no other run of tests takes one in between."""

from __future__ import annotations

import fcntl
import itertools
import socket
import tempfile
from functools import lru_cache
from pathlib import Path

_FIRST, _EACH, _RUNS = 12_000, 100, 200
"""Below those that the system gives to connections (from 32768 on), so many for each process that runs tests."""


def free_port() -> int:
    """A port at which nobody listens and that stays this process's own: a server that is started next may have it."""
    for _ in range(_EACH):
        port = next(_own())
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"every one of {_EACH} ports from {port} on is taken")


@lru_cache(maxsize=1)
def _own() -> itertools.cycle[int]:
    """This process's ports, by a lock that lasts as long as the process."""
    for run in range(_RUNS):
        lock = (Path(tempfile.gettempdir()) / f"rop-tests-ports-{run}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return itertools.cycle(range(_FIRST + run * _EACH, _FIRST + (run + 1) * _EACH))
    raise AssertionError(f"{_RUNS} processes run tests here already")


_held: list[object] = []
