"""The loop that gives batches to readers and keeps what comes back: nothing lost, nothing twice, whoever dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from runtime.reread.errors import RereadError
from runtime.reread.reader import FRAME_LIMIT_S
from runtime.reread.row import RereadResult, unread
from runtime.reread.stored import Stored

BATCH_FRAMES = 32
HUNG = f"one frame took it over {FRAME_LIMIT_S:g} s, and longer on a busy machine"
LOSSES_IN_A_ROW = 6
"""So many readers that end one after the other, with no batch read between, are no accident of a frame."""


@dataclass(frozen=True)
class Batch:
    """Frames that one reader reads together."""

    frames: tuple[Stored, ...]
    losses: int = 0
    """How many readers ended while they read it."""
    hung: bool = False
    """Whether a reader hung over this frame or the batch that it was in."""


@dataclass(frozen=True)
class Done:
    """A batch that came back."""

    batch: Batch
    results: Sequence[RereadResult] | None
    """None when its reader ended."""
    why: str = ""
    """How it ended."""
    hung: bool = False
    """Whether it was ended, since one frame took too long."""


class ReaderPool(Protocol):
    """Readers, in processes or on nodes."""

    def free(self) -> bool:
        """Whether a batch can be given now."""
        ...

    def give(self, batch: Batch) -> None:
        """Have a reader begin with it."""
        ...

    def wait(self) -> Sequence[Done]:
        """What came back since; waits a moment for it. A reader that ended is replaced."""
        ...


def drive(
    frames: Iterable[Stored],
    pool: ReaderPool,
    keep: Callable[[Sequence[RereadResult]], None],
    stopped: Callable[[], bool],
) -> None:
    """Have every frame read once and its result kept.

    A batch whose reader ends is read again by another one, then frame by frame; a frame that ends two readers by itself
    is a row that says so, as one over which a reader hung again. keep: called here, with the results of one batch.
    stopped: asked between batches. Raises `RereadError` when readers end over and over, and what `keep` raises.
    """
    waiting: deque[Batch] = deque()
    fresh = batches(frames)
    given = losses = 0
    while not stopped():
        while pool.free():
            batch = waiting.popleft() if waiting else next(fresh, None)
            if batch is None:
                break
            pool.give(batch)
            given += 1
        if not given:
            return
        for done in pool.wait():
            given -= 1
            if done.results is not None:
                losses = 0
                keep(_checked(done.batch, done.results))
                continue
            again = after_loss(done.batch, hung=done.hung)
            if again:
                losses += 1
                if losses >= LOSSES_IN_A_ROW:
                    raise RereadError(f"{losses} readers ended one after the other, the last one: {done.why}")
                waiting.extend(again)
            else:
                keep([unread(done.batch.frames[0], f"its reader ended twice over this frame: {done.why}")])


def after_loss(batch: Batch, *, hung: bool = False) -> list[Batch]:
    """What is to be read again of a batch whose reader ended; nothing when it is one frame that did it twice.

    hung: it takes long to see, so that the frames are read one by one at once, and each may hang once more.
    """
    if hung and (len(batch.frames) > 1 or not batch.hung):
        return [Batch((frame,), 0, True) for frame in batch.frames]
    if hung:
        return []
    if batch.losses == 0:
        return [Batch(batch.frames, 1, batch.hung)]
    if len(batch.frames) > 1:
        return [Batch((frame,)) for frame in batch.frames]
    return []


def batches(frames: Iterable[Stored]) -> Iterator[Batch]:
    """The frames by batches, in their order; taken one batch at a time, so that a long list never lies in memory."""
    rest = iter(frames)
    while taken := tuple(islice(rest, BATCH_FRAMES)):
        yield Batch(taken)


def _checked(batch: Batch, results: Sequence[RereadResult]) -> Sequence[RereadResult]:
    asked, given = [one.reading for one in batch.frames], [one.row.reading for one in results]
    if asked != given:
        raise RereadError(f"a reader gave {len(given)} results for {len(asked)} other frames; report this fault")
    return results
