"""The fake GPU's streams, and what a capture makes of the work put into them: a graph of who waits for whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CAPTURE_INVALIDATED, CAPTURE_UNJOINED = 901, 904


@dataclass(eq=False)
class FakeEvent:
    """A mark; `passed_s` is None until the work before it is done."""

    timed: bool
    stream: FakeStream | None = None
    passed_s: float | None = None
    captured: tuple[StreamCapture, frozenset[int]] | None = None
    """The capture that it was recorded in as a dependency, and the nodes that it stands behind."""


@dataclass(frozen=True, eq=False)
class Work:
    """One thing to do."""

    name: str
    run: Callable[[], None]
    waits_for: FakeEvent | None = None
    owner: object = None
    """What must not go while the work may still be done."""


@dataclass(eq=False)
class FakeStream:
    """Work in its order; while it is captured, work goes into the capture."""

    handle: int
    queue: deque[Work] = field(default_factory=deque)
    capture: StreamCapture | None = None


@dataclass(frozen=True, eq=False)
class GraphNode:
    """A piece of captured work and the nodes that must come before it."""

    work: Work
    after: frozenset[int]


class StreamCapture:
    """What is being captured: begins with one stream, which others join by waiting for its events."""

    def __init__(self, origin: FakeStream) -> None:
        self.origin = origin
        self.nodes: list[GraphNode] = []
        self.spoilt = False
        self._tails: dict[int, frozenset[int]] = {origin.handle: frozenset()}
        self._streams = [origin]
        origin.capture = self

    def add(self, stream: FakeStream, work: Work) -> None:
        """Work put into a captured stream comes after what was put there before."""
        self.nodes.append(GraphNode(work, self._tails[stream.handle]))
        self._tails[stream.handle] = frozenset({len(self.nodes) - 1})

    def mark(self, stream: FakeStream, event: FakeEvent) -> None:
        """An event in a capture stands for what was captured until then."""
        event.captured = (self, self._tails[stream.handle])

    def join(self, stream: FakeStream, event: FakeEvent) -> None:
        """A stream that waits for such an event is captured as well, from there on."""
        assert event.captured is not None
        if stream.capture is None:
            stream.capture = self
            self._streams.append(stream)
            self._tails[stream.handle] = frozenset()
        self._tails[stream.handle] |= event.captured[1]

    def end(self) -> tuple[list[GraphNode], int, str]:
        """The nodes, or the code and words of what is wrong with the capture."""
        for stream in self._streams:
            stream.capture = None
        if self.spoilt:
            return [], CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"
        reached = self._before(self._tails[self.origin.handle])
        if any(not self._tails[stream.handle] <= reached for stream in self._streams):
            return [], CAPTURE_UNJOINED, "capturing stream has unjoined work"
        return self.nodes, 0, ""

    def _before(self, tail: frozenset[int]) -> set[int]:
        """The given nodes and all that come before them."""
        reached, open_ = set(tail), list(tail)
        while open_:
            for earlier in self.nodes[open_.pop()].after - reached:
                reached.add(earlier)
                open_.append(earlier)
        return reached


@dataclass(frozen=True, eq=False)
class FakeGraph:
    """Captured work that can be launched any number of times."""

    nodes: list[GraphNode]

    def order(self) -> Iterator[Work]:
        """The work in an order that the dependencies allow, and as far from that of the capture as they do."""
        done: set[int] = set()
        while len(done) < len(self.nodes):
            ready = [i for i, node in enumerate(self.nodes) if i not in done and node.after <= done]
            yield self.nodes[ready[-1]].work
            done.add(ready[-1])
