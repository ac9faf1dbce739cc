"""Which tests pass through which lines of a file, and how long each takes: who is asked first about a mutation."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


@dataclass(frozen=True)
class Passing:
    """One test: the lines that it ran, and its seconds."""

    test: str
    """Its node ID."""
    lines: frozenset[int]
    """From 1. Of this process and its threads: what a command of its own runs is not seen."""
    seconds: float


class Recorder:
    """A plugin of pytest that writes what passed through a file, a JSON line a test."""

    def __init__(self, source: Path, out: Path) -> None:
        """source: the file whose lines are told. out: written by and by."""
        self._source, self._out = str(source.resolve()), out

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around a test with all that is set up for it."""
        lines: set[int] = set()

        def inner(frame: FrameType, event: str, _: Any) -> Any:
            lines.add(frame.f_lineno)
            return inner

        def outer(frame: FrameType, event: str, _: Any) -> Any:
            return inner(frame, event, _) if frame.f_code.co_filename == self._source else None

        began = time.monotonic()
        threading.settrace(outer)
        sys.settrace(outer)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            entry = {"test": item.nodeid, "lines": sorted(lines), "seconds": time.monotonic() - began}
            with self._out.open("a") as out:
                out.write(json.dumps(entry) + "\n")


def recorded(out: Path) -> list[Passing]:
    """What a `Recorder` wrote, the quickest test first."""
    entries = [json.loads(line) for line in out.read_text().splitlines()]
    found = [Passing(e["test"], frozenset(e["lines"]), e["seconds"]) for e in entries]
    return sorted(found, key=lambda passing: passing.seconds)


def nearest(passing: list[Passing], lines: range) -> tuple[str, ...]:
    """The tests that run one of those lines, the quickest first; all where none does, as with what an import runs."""
    tests = tuple(one.test for one in passing if not one.lines.isdisjoint(lines))
    return tests or tuple(one.test for one in passing)
