"""`RereadRow`: one line of the table, and its columns."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from runtime.reread.stored import Stored

MEASURES = ("brightness", "redness", "green_excess", "detail")
"""Of the quality gate: those that the watch for drift looks at."""


@dataclass(frozen=True)
class RereadRow:
    """What was said of a frame, then and now."""

    reading: str
    source: int
    """Number of the source, from 0, in the order of the report's list."""
    file: str | None
    site: str
    camera: str
    exam: str
    eye: str
    view: str
    excluded: bool
    label: bool | None
    sha256: str | None
    """Of the RGB bytes."""
    old_outcome: str | None
    old_probability: float | None
    old_bundle: str | None
    new_outcome: str
    new_reason: str
    new_probability: float | None
    read: bool
    """Whether there was a picture to read; where not, the outcome is NO_RESULT and the reason says why."""
    gradable: bool | None
    vessel_fraction: float | None
    brightness: float | None
    redness: float | None
    green_excess: float | None
    detail: float | None

    @property
    def changed(self) -> bool | None:
        """Whether the outcome is another one; None where there was none, or no picture now."""
        return None if self.old_outcome is None or not self.read else self.old_outcome != self.new_outcome


COLUMNS = {field.name: str(field.type) for field in fields(RereadRow)}
"""Name to type, as written above."""


@dataclass(frozen=True)
class RereadResult:
    """A row, where it stands, and a small picture where the outcome changed."""

    order: tuple[int, int]
    row: RereadRow
    thumbnail: bytes | None = None
    """JPEG."""
    state: str = ""
    """`Stored.state` of the frame as it was read."""

    def to_json(self) -> str:
        """One line, without the picture."""
        known = {"order": self.order, "state": self.state, **asdict(self.row)}
        return json.dumps(known, ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RereadResult:
        """From a line of `to_json`; raises `ValueError`, `TypeError` or `KeyError` for another thing."""
        said = dict(content)
        (source, number), state = said.pop("order"), str(said.pop("state"))
        return cls((int(source), int(number)), RereadRow(**said), state=state)


def unread(stored: Stored, why: str) -> RereadResult:
    """The row of a frame that could not be read."""
    return result_of(stored, outcome="NO_RESULT", reason=why, read=False)


def _file(stored: Stored) -> str | None:
    """The file's name where it may be told; bytes of it that are no UTF-8 as `\\xff`, which every table can hold."""
    if stored.file is None or not stored.show_file:
        return None
    return os.fsencode(stored.file).decode("utf-8", "backslashreplace")


def result_of(
    stored: Stored,
    *,
    outcome: str,
    reason: str,
    read: bool = True,
    sha256: str | None = None,
    probability: float | None = None,
    gradable: bool | None = None,
    vessel_fraction: float | None = None,
    measures: Mapping[str, float] | None = None,
    thumbnail: bytes | None = None,
) -> RereadResult:
    """What is known of a stored frame, with what is said of it now."""
    known = measures or {}
    row = RereadRow(
        reading=stored.reading,
        source=stored.order[0],
        file=_file(stored),
        site=stored.site,
        camera=stored.camera,
        exam=stored.exam,
        eye=stored.eye,
        view=stored.view,
        excluded=stored.excluded,
        label=stored.label,
        sha256=sha256,
        old_outcome=stored.old_outcome,
        old_probability=stored.old_probability,
        old_bundle=stored.old_bundle,
        new_outcome=outcome,
        new_reason=reason,
        new_probability=probability,
        read=read,
        gradable=gradable,
        vessel_fraction=vessel_fraction,
        **{name: known.get(name) for name in MEASURES},
    )
    return RereadResult(stored.order, row, thumbnail, stored.state)
