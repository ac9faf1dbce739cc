"""`Supervised`: a part of the cart that may be missing, lost and back again, opened by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What can be given back."""

    def close(self) -> None:
        """Give it back."""
        ...


T = TypeVar("T", bound=Closable)
RETRY_S = 2.0


class Supervised(Generic[T]):
    """Opens a part, looks after it, and opens it again when it was lost. Safe for use from several threads.

    open_it: opens the part, however long that takes; called in the thread of this object. problem_of: what is wrong
    with an open part, empty when nothing is; with `lost` true it is closed and opened anew. changed: told when the
    part came, went, or its problem changed.
    """

    def __init__(
        self,
        name: str,
        open_it: Callable[[], T],
        problem_of: Callable[[T], tuple[str, bool]],
        changed: Callable[[], None] = lambda: None,
        *,
        every_s: float = 0.25,
        retry_s: float = RETRY_S,
    ) -> None:
        self.name = name
        self._open_it, self._problem_of, self._changed = open_it, problem_of, changed
        self._every_s, self._retry_s = every_s, retry_s
        self._part: T | None = None
        self._problem = "being connected"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keeper of {name}", daemon=True)
        self._thread.start()

    @property
    def part(self) -> T | None:
        """The part while it is usable, else None."""
        return self._part

    @property
    def problem(self) -> str:
        """What is wrong, with what to do; empty when nothing is."""
        return self._problem

    def close(self) -> None:
        """Give the part back. A thread that hangs in a driver is left behind."""
        self._closed.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                part = self._open_it()
            except Exception as error:  # whatever a driver raises, the cart goes on without it and says so
                self._say(None, str(error) or type(error).__name__)
                self._closed.wait(self._retry_s)
                continue
            try:
                self._watch(part)
            finally:
                self._part = None
                with suppress(Exception):
                    part.close()
        self._say(None, "closed")

    def _watch(self, part: T) -> None:
        while not self._closed.is_set():
            try:
                problem, lost = self._problem_of(part)
            except Exception as error:
                problem, lost = str(error) or type(error).__name__, True
            self._say(None if lost else part, problem)
            if lost:
                self._closed.wait(self._retry_s)
                return
            self._closed.wait(self._every_s)

    def _say(self, part: T | None, problem: str) -> None:
        before = (self._part, self._problem)
        self._part, self._problem = part, problem
        if before != (part, problem):
            self._changed()
