"""`Handle`: what a driver holds open, given back once, by whoever is the last to use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Handle:
    """Lets `close` come from another thread than `read`, or from a signal handler in the midst of it.

    A C library must not free what it still waits on, so a `close` during a `read` only marks the handle, and the
    reading thread gives it back when its call returns.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._lock = threading.RLock()
        self._users = 0
        self._closed = False
        self._released = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @contextmanager
    def use(self) -> Iterator[bool]:
        """Hold it for the block; gives False, and nothing to use, once it is closed."""
        with self._lock:
            self._users += 1
            usable = not self._closed
        try:
            yield usable
        finally:
            with self._lock:
                self._users -= 1
                self._release_if_due()

    def close(self) -> None:
        """Give it back now, or as soon as it is no longer in use. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._release_if_due()

    def _release_if_due(self) -> None:
        if self._closed and not self._users and not self._released:
            self._released = True
            self._release()
