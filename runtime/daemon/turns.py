"""Fair turns: whose frame is read next."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

J = TypeVar("J")


class Turns(Generic[J]):
    """Waiting frames of several owners; each turn gives one owner's next frame, round and round.

    One thread at a time: it is for the caller to see to that.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[J]] = OrderedDict()

    def put(self, owner: Hashable, job: J, newest: bool = False) -> list[J]:
        """Let a frame wait; with `newest` instead of the owner's others, which are returned."""
        jobs = self._waiting.setdefault(owner, deque())
        superseded = list(jobs) if newest else []
        if newest:
            jobs.clear()
        jobs.append(job)
        return superseded

    def next(self) -> J | None:
        """The frame whose turn it is; None when none waits."""
        if not self._waiting:
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
        self._waiting.pop(owner, None)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))
