"""The summary sink: collects what the page says, and writes `summary.html` when it is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from device.frame import Frame
from device.outputs import OutputFolder
from runtime.reading import Reading
from runtime.sinks.contact_sheet import Card, ContactSheet
from runtime.sinks.files import naming
from runtime.sinks.page import Summary, render
from runtime.sinks.picture import encode, shrink
from runtime.sinks.tally import Tally

THUMBNAIL_LONGEST = 160
THUMBNAIL_QUALITY = 80


class SummarySink:
    """Counts every reading, and keeps small pictures of at most 200 frames."""

    def __init__(self, path: Path, tally: Tally, not_read: Callable[[], Sequence[str]] = tuple) -> None:
        """Write the page to `path` at the end. `tally` is filled here and may be read by others.

        not_read: asked at the end, what of the source was not read, a line for each kind.

        Raises `OutputError` when its folder cannot be opened.
        """
        self._path = path
        with naming(str(path)):
            self._folder = OutputFolder(path.parent)
        self._tally = tally
        self._not_read = not_read
        self._sheet = ContactSheet()
        self._first: datetime | None = None
        self._last: Reading | None = None
        self._closed = False

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Take one reading."""
        self._tally.add(reading)
        self._first = self._first or reading.frame.captured_at
        self._last = reading
        if self._sheet.wants(reading.outcome):
            self._sheet.add(_card(frame, reading))

    def close(self) -> None:
        """Write the page, also for a run that was stopped; raises `OutputError`."""
        if self._closed:
            return
        self._closed = True
        last = self._last
        summary = Summary(
            tally=self._tally,
            cards=self._sheet.cards,
            bundle=last.bundle if last else None,
            engine=last.engine if last else None,
            budget_ms=last.budget_ms if last else None,
            first=self._first,
            last=last.frame.captured_at if last else None,
            not_read=self._not_read(),
        )
        with self._folder as folder, naming(str(self._path)):
            folder.write(self._path.name, render(summary).encode("utf-8", "replace"))


def _card(frame: Frame | None, reading: Reading) -> Card:
    thumbnail = None
    if frame is not None:
        thumbnail = encode(shrink(frame.pixels, THUMBNAIL_LONGEST), ".jpg", THUMBNAIL_QUALITY)
    facts, reason = reading.frame, reading.reason.removeprefix(f"{reading.frame.source}: ")
    return Card(facts.source, facts.sequence, reading.outcome, reason, reading.timings_ms.total, thumbnail)
