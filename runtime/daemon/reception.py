"""`Reception`: which of two threads hears the clients, the engine's own while it is idle or the attendant while not."""

from __future__ import annotations

import contextlib
import os
import select
import threading


class Reception:
    """Descriptors that one of two threads waits for.

    While the engine is idle its own thread waits, so that whoever receives a frame reads it, and nobody else has to
    be woken for it, which takes 30 to 90 microseconds. While the engine is busy the attendant waits. The change from
    one to the other is one system call that wakes neither. Everything that both touch is touched with `lock` held;
    `waits` and `attends` are called without it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._busy, self._waiting = True, False
        self._clients, self._attended = select.epoll(), select.epoll()
        self._clients_fd = self._clients.fileno()
        self._call_engine, self._call_attendant = (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2))
        self._calling = threading.RLock()  # re-entrant: a signal's handler may call in the middle of a call
        self._closed = False
        self._clients.register(self._call_engine, select.EPOLLIN)
        self._attended.register(self._call_attendant, select.EPOLLIN)
        self._attended.register(self._clients_fd, select.EPOLLIN)

    def add(self, descriptor: int) -> None:
        """Hear it from now on."""
        self._clients.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Hear it no more; before it is closed."""
        self._clients.unregister(descriptor)

    def engine_is_busy(self) -> None:
        """The attendant hears from now on. With `lock` held."""
        if not self._busy:
            self._busy = True
            self._attended.register(self._clients_fd, select.EPOLLIN)

    def engine_is_idle(self) -> None:
        """The engine's thread hears from now on, as soon as it waits. With `lock` held."""
        if self._busy:
            self._busy = False
            self._attended.unregister(self._clients_fd)

    def engine_waits(self) -> None:
        """It has looked whether there is something to do and will call `waits` now. With `lock` held."""
        self.engine_is_idle()
        self._waiting = True

    def waits(self, timeout_s: float) -> list[int]:
        """Descriptors that can be read, none when it was called or the time passed. In the engine's thread."""
        ready = self._clients.poll(timeout_s)
        self._waiting = False
        return self._clients_of(ready)

    def attends(self, timeout_s: float | None = None) -> tuple[bool, list[int]]:
        """Whether it was called, and descriptors that can be read. In the attendant's thread."""
        ready = [descriptor for descriptor, _ in self._attended.poll(timeout_s)]
        called = self._call_attendant in ready
        if called:
            _drain(self._call_attendant)
        return called, self._clients_of(self._clients.poll(0)) if len(ready) > called else []

    def _clients_of(self, ready: list[tuple[int, int]]) -> list[int]:
        descriptors = [descriptor for descriptor, _ in ready]
        if self._call_engine in descriptors:
            descriptors.remove(self._call_engine)
            with self.lock:
                if not self._waiting:  # it looks for something to do before it waits again
                    _drain(self._call_engine)
        return descriptors

    def call_engine(self) -> None:
        """There is something to do: let the engine's thread stop waiting, if it waits. With `lock` held."""
        if self._waiting:
            os.eventfd_write(self._call_engine, 1)

    def call_attendant(self) -> None:
        """Let the attendant look. From any thread or a signal's handler, and after `close` too."""
        with self._calling:
            if not self._closed:
                os.eventfd_write(self._call_attendant, 1)

    def close(self) -> None:
        """Give the descriptors back, once the engine's thread has ended."""
        with self._calling:
            self._closed = True
            self._clients.close()
            self._attended.close()
            os.close(self._call_engine)
            os.close(self._call_attendant)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):  # the other thread was faster
        os.eventfd_read(descriptor)
