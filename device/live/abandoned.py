"""The account of camera threads that hang in a driver and were given up: how many, and by which name."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_threads: set[threading.Thread] = set()


def abandon(thread: threading.Thread) -> None:
    """Note a daemon thread that nobody waits for any more; it is forgotten once it has ended."""
    with _lock:
        _threads.add(thread)


def abandoned_threads() -> tuple[str, ...]:
    """Names of the abandoned threads of this process that still hang."""
    with _lock:
        _threads.difference_update([thread for thread in _threads if not thread.is_alive()])
        return tuple(sorted(thread.name for thread in _threads))
