"""Stored frames, results and readers for tests of re-reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.reread.drive import Batch, Done
from runtime.reread.row import RereadResult, result_of
from runtime.reread.stored import Stored

NONE, REFER = "NO_REFERRAL_FINDINGS", "REFER"


def stored(number: int, **changes: object) -> Stored:
    """A frame of an exam, read before."""
    known: dict[str, object] = {
        "reading": f"j/e{number // 10}/{number}",
        "order": (0, number),
        "folder": "/nowhere",
        "file": None,
        "exam": f"e{number // 10}",
        "eye": "OD" if number % 2 else "OS",
        "view": "nasal",
        "old_outcome": NONE,
        "old_probability": 0.25,
        **changes,
    }
    return Stored(**known)  # type: ignore[arg-type]


def result(of: Stored, outcome: str = NONE, **changes: object) -> RereadResult:
    """What a reader says of it."""
    return result_of(of, outcome=outcome, reason="as told", **changes)  # type: ignore[arg-type]


class ScriptedPool:
    """Readers whose batches come back newest first, and end as a script says."""

    def __init__(self, ends: Callable[[Batch], bool], room: int = 2) -> None:
        self.ends, self.room = ends, room
        self.given: list[Batch] = []
        self.most = 0

    def free(self) -> bool:
        """Whether there is room."""
        return len(self.given) < self.room

    def give(self, batch: Batch) -> None:
        """Begin with it."""
        self.given.append(batch)
        self.most = max(self.most, len(self.given))

    def wait(self) -> Sequence[Done]:
        """The newest one."""
        batch = self.given.pop()
        if self.ends(batch):
            return [Done(batch, None, "ended by SIGKILL")]
        return [Done(batch, [result(frame) for frame in batch.frames])]
