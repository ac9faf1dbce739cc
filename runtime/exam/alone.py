"""`alone`: one program at a time takes pictures into a journal: a second would read the first one's in its midst."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_AGAIN_S = 0.05


@contextmanager
def alone(folder: Path, *, wait_s: float = 0.0, waits: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold a folder for this process, after at most `wait_s`; whether it is held. waits: called once, before that.

    The kernel gives it back however the process ends. Raises `OSError` for what is no folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + wait_s
        held = _held(descriptor)
        if not held and wait_s:
            waits()
        while not held and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
            held = _held(descriptor)
        yield held
    finally:
        os.close(descriptor)


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system that locks no folders; it is a net, not what keeps the journal whole
        pass
    return True
