"""Every link of the trail, looked at without any key: content against hash, hash against the event before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runtime.exam.journal.chain import GENESIS, StoredRow, digest, follows, readable


def broken_links(rows: Iterable[tuple[Any, ...]], retired_at: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(which event, what is wrong) of rows of `events` in their order; after a break the chain is taken up behind it.

    retired_at: by exam the number of the event that retired it; the content of those before is gone.
    """
    previous, expected = GENESIS, 1
    removed: list[tuple[str, str]] = []
    for values in rows:
        row = StoredRow(*values)
        where = f"event {row.seq} ({row.kind!r}, exam {row.exam})" if row.exam else f"event {row.seq} ({row.kind!r})"
        fits = follows(row, previous)
        if row.seq != expected:
            yield where, f"expected event {expected} here; events were removed, added or renumbered"
        if not readable(row):
            yield where, "altered: a column does not hold what it must"
        elif row.body is None and fits and not row.seq < retired_at.get(str(row.exam), 0):
            removed.append((where, "its content was removed, and the exam is not retired"))
        elif row.body is not None and not (isinstance(row.body, bytes) and digest(row.body) == row.body_sha256):
            yield where, "its content was altered"
        elif not fits:
            yield where, "altered: its hash does not follow from it and the event before"
        previous, expected = str(row.hash), row.seq + 1
    yield from removed  # last, for it may be the retirement that was altered
