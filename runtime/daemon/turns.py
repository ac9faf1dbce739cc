"""Fair turns: whose frame is read next."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

J = TypeVar("J")
A_TURN_MS = 1e-6
"""Charged with each turn, so that those who used no time take turns all the same."""


@dataclass
class _User(Generic[J]):
    """Owners of one user that have something waiting."""

    waiting: dict[Hashable, deque[J]] = field(default_factory=dict)
    spent_ms: dict[Hashable, float] = field(default_factory=dict)
    """Of each of them; raised to `floor_ms` when one comes back, so that nobody saves time up."""
    floor_ms: float = 0.0
    single: bool = False
    """Whether one frame waits that came when none did: who sends a frame at a time, and not a heap."""


class Turns(Generic[J]):
    """Waiting frames of users' owners; each turn goes to the user, and of it to the owner, that used least time.

    A user of whom a single frame waits goes before those with a heap, once between two turns of theirs: so one who has
    large frames read, or many, or from many connections, makes nobody else wait for more than the frame under way, and
    nobody is left out. One thread at a time: it is for the caller to see to that.
    """

    def __init__(self) -> None:
        self._users: dict[Hashable, _User[J]] = {}
        self._spent_ms: dict[Hashable, float] = {}
        self._floor_ms = 0.0
        self._went_before: set[Hashable] = set()
        """Users who went before those with a heap since one of these had a turn."""

    def put(self, owner: Hashable, job: J, newest: bool = False, user: Hashable = None) -> list[J]:
        """Let a frame wait; with `newest` instead of the owner's others, which are returned."""
        of = self._users.setdefault(user, _User())
        if not of.waiting:
            self._spent_ms[user] = max(self._spent_ms.get(user, 0.0), self._floor_ms)
        if owner not in of.waiting:
            of.spent_ms[owner] = max(of.spent_ms.get(owner, 0.0), of.floor_ms)
        jobs = of.waiting.setdefault(owner, deque())
        superseded = list(jobs) if newest else []
        if newest:
            jobs.clear()
        jobs.append(job)
        of.single = sum(map(len, of.waiting.values())) == 1
        return superseded

    def next(self) -> J | None:
        """The frame whose turn it is; None when none waits."""
        waiting = [user for user, of in self._users.items() if of.waiting]
        if not waiting:
            return None
        before = [user for user in waiting if self._users[user].single and user not in self._went_before]
        user = min(before or waiting, key=self._spent_ms.__getitem__)
        if before:
            self._went_before.add(user)
        else:
            self._went_before.clear()
        of = self._users[user]
        owner = min(of.waiting, key=of.spent_ms.__getitem__)
        self._floor_ms = max(self._floor_ms, min(self._spent_ms[one] for one in waiting))
        of.floor_ms = of.spent_ms[owner]
        self.charge(owner, A_TURN_MS, user)
        jobs = of.waiting[owner]
        job = jobs.popleft()
        if not jobs:
            del of.waiting[owner]
        return job

    def charge(self, owner: Hashable, ms: float, user: Hashable = None) -> None:
        """Time that an owner's frame took."""
        if user in self._users:
            self._spent_ms[user] += ms
            if owner in (spent := self._users[user].spent_ms):
                spent[owner] += ms

    def drop(self, owner: Hashable, user: Hashable = None) -> list[J]:
        """Forget an owner; gives what it had waiting."""
        of = self._users.get(user)
        if of is None:
            return []
        of.spent_ms.pop(owner, None)
        jobs = of.waiting.pop(owner, deque())
        if not of.spent_ms and self._spent_ms[user] <= self._floor_ms:  # as if it had never been there
            del self._users[user], self._spent_ms[user]
        return list(jobs)

    def __len__(self) -> int:
        return sum(len(jobs) for of in self._users.values() for jobs in of.waiting.values())
