"""What the cart tells whoever looks: events in order, to any number of listeners, none of whom can hold it up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

ROOM = 256
"""Events that wait for one listener; the oldest go first, and the listener is told to ask for the state anew."""


@dataclass(frozen=True)
class CartEvent:
    """Something that happened."""

    kind: str
    """`state`, `taking`, `captured`, `reading`, `refused`, `foot_switch`, `worklist`, `health`, `hint`, `camera` (set
    anew), `missed`."""
    content: Mapping[str, Any]


@dataclass(eq=False)
class Listener:
    """One listener's queue. Safe for use from several threads."""

    wake: Callable[[], None]
    """Called, from whichever thread tells, when there is something to take; it must return at once."""
    _waiting: deque[CartEvent] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, event: CartEvent) -> None:
        """Add an event; when the listener is too slow, what it missed is told as one `missed`."""
        with self._lock:
            if len(self._waiting) >= ROOM:
                self._waiting.clear()
                self._waiting.append(CartEvent("missed", {}))
            self._waiting.append(event)
        self.wake()

    def take(self) -> list[CartEvent]:
        """Everything that waits, oldest first."""
        with self._lock:
            taken, self._waiting = list(self._waiting), deque()
        return taken


class Events:
    """The list of listeners."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def tell(self, kind: str, **content: Any) -> None:
        """Tell every listener."""
        event = CartEvent(kind, content)
        for listener in self._listeners:
            listener.put(event)

    @contextmanager
    def listen(self, wake: Callable[[], None] = lambda: None) -> Iterator[Listener]:
        """Listen from now on."""
        listener = Listener(wake)
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)
