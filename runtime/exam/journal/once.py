"""`Once`: what sealed rows tell, each opened once; a row that is the same to the byte tells the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from runtime.exam.journal.secrets import Secrets

T = TypeVar("T")


class Once(Generic[T]):
    """Keeps what the rows of one table told, by their key: a journal of years has thousands, and a picture changes one.

    Each row is read from the file every time and compared, so that one that was altered meanwhile is seen as ever.
    """

    def __init__(self, opens: Callable[[Secrets, tuple[Any, ...]], T | None]) -> None:
        """opens: what a row tells; None for one that was altered, which is looked at anew every time."""
        self._opens = opens
        self._secrets: Secrets | None = None
        self._known: dict[Hashable, tuple[tuple[Any, ...], T]] = {}

    def __call__(self, secrets: Secrets, key: Hashable, row: tuple[Any, ...]) -> T | None:
        """What this row tells, by these secrets. key: which row of its table it is."""
        if secrets is not self._secrets:
            self._secrets, self._known = secrets, {}
        known = self._known.get(key)
        if known is not None and known[0] == row:
            return known[1]
        told = self._opens(secrets, row)
        if told is not None:
            self._known[key] = row, told
        return told
