"""Fair turns: whose frame is read next."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

J = TypeVar("J")


class Turns(Generic[J]):
    """Waiting frames of several owners; each turn gives one owner's next frame, round and round. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: OrderedDict[Hashable, deque[J]] = OrderedDict()
        self._closed = False

    def put(self, owner: Hashable, job: J, newest: bool = False) -> list[J]:
        """Let a frame wait; with `newest` instead of the owner's others, which are returned."""
        with self._changed:
            jobs = self._waiting.setdefault(owner, deque())
            superseded = list(jobs) if newest else []
            if newest:
                jobs.clear()
            jobs.append(job)
            self._changed.notify()
        return superseded

    def next(self, timeout_s: float) -> J | None:
        """The frame whose turn it is; None when the time passes, or when it was closed."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if self._closed or not self._waiting:
                return None
            owner, jobs = next(iter(self._waiting.items()))
            job = jobs.popleft()
            if jobs:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            return job

    def drop(self, owner: Hashable) -> None:
        """Forget an owner and what it has waiting."""
        with self._changed:
            self._waiting.pop(owner, None)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def close(self) -> None:
        """No frame is given any more; whoever waits in `next` gets None at once."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._waiting.values()))
