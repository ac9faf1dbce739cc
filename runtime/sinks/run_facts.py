"""`run.json`: what a program that reads `readings.jsonl` cannot know from it, how many readings there are and what of
the source has none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from device.frame import Frame
from device.outputs import OutputFolder
from runtime.commands.text import escaped_json
from runtime.reading import Reading
from runtime.sinks.files import naming
from runtime.sinks.tally import Tally

SCHEMA = "rop.run/1"


class RunFactsSink:
    """Writes the file when it is closed, so that where it is missing the run did not end in order."""

    def __init__(self, path: Path, tally: Tally, not_read: Callable[[], Sequence[str]]) -> None:
        """tally and not_read: as of `SummarySink`, which fills the one. Raises `OutputError`."""
        self._path = path
        with naming(str(path)):
            self._folder = OutputFolder(path.parent)
        self._tally = tally
        self._not_read = not_read
        self._closed = False

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Nothing: the tally has it."""

    def close(self) -> None:
        """Write the file, also for a run that was stopped; raises `OutputError`."""
        if self._closed:
            return
        self._closed = True
        facts = {
            "schema": SCHEMA,
            "readings": self._tally.frames,
            "outcomes": {outcome.value: count for outcome, count in self._tally.counts.items()},
            "not_read": list(self._not_read()),
        }
        with self._folder as folder, naming(str(self._path)):
            folder.write(self._path.name, escaped_json(json.dumps(facts, indent=2)).encode() + b"\n")
