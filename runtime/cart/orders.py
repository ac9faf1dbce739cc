"""The worklist as the screen shows it: asked in a thread of its own, kept while the archive is away, twins flagged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.cart.errors import shown
from runtime.errors import ScreeningError


class Item(Protocol):
    """What is needed of a worklist's answer; `runtime.dicom.worklist.WorklistItem` is one."""

    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    accession: str
    scheduled: str
    station_ae_title: str
    description: str


Ordering = Callable[[], Sequence[Any]]
"""Asks the worklist for today's exams; raises `ScreeningError`."""


@dataclass(frozen=True)
class WorklistRow:
    """One line of the worklist."""

    key: str
    """Stands for the item until the next answer; not a patient's."""
    item: Any
    alike: tuple[str, ...]
    """Why this line may be taken for another: `same surname`, `same birth date`, `same name`."""
    own: bool
    """Whether it is scheduled for this station, or for none."""


@dataclass(frozen=True)
class WorklistAnswer:
    """The last answer of the worklist."""

    rows: tuple[WorklistRow, ...] = ()
    asked_at: float | None = None
    """`time.monotonic()` of the last answer; None before the first."""
    problem: str = ""
    """Why the last question was not answered; the rows are then those of the answer before."""

    @property
    def age_s(self) -> float | None:
        """Seconds since the last answer."""
        return None if self.asked_at is None else time.monotonic() - self.asked_at


class LatestWorklist:
    """Keeps the last answer. Safe for use from several threads."""

    def __init__(self, ask: Ordering | None, station: str, changed: Callable[[], None] = lambda: None) -> None:
        self._ask, self._station, self._changed = ask, station, changed
        self._answer = WorklistAnswer()
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether the site has a worklist."""
        return self._ask is not None

    @property
    def answer(self) -> WorklistAnswer:
        """The last answer."""
        return self._answer

    def refresh(self) -> WorklistAnswer:
        """Ask now; blocks for as long as the archive takes."""
        if self._ask is None:
            return self._answer
        with self._lock:
            try:
                items = list(self._ask())
            except ScreeningError as error:
                self._answer = WorklistAnswer(self._answer.rows, self._answer.asked_at, shown(error))
            except Exception as error:  # a fault of the archive's answer must not end the cart
                self._answer = WorklistAnswer(
                    self._answer.rows, self._answer.asked_at, f"the worklist cannot be used ({type(error).__name__})"
                )
            else:
                self._answer = WorklistAnswer(rows_of(items, self._station), time.monotonic())
        self._changed()
        return self._answer

    def row(self, key: str) -> WorklistRow | None:
        """The line of that key in the last answer."""
        return next((row for row in self._answer.rows if row.key == key), None)


def rows_of(items: Sequence[Any], station: str) -> tuple[WorklistRow, ...]:
    """The lines, own station's first, then by time; each with why it may be taken for another."""
    rows = []
    for number, item in enumerate(items):
        others = [other for other in items if other is not item and other.patient_id != item.patient_id]
        rows.append(
            WorklistRow(
                f"{time.monotonic_ns():x}-{number}", item, _alike(item, others), _own(item.station_ae_title, station)
            )
        )
    return tuple(sorted(rows, key=lambda row: (not row.own, row.item.scheduled, row.item.patient_name)))


def _own(ae_title: str, station: str) -> bool:
    return not ae_title or ae_title.strip().upper() == station.strip().upper()


def _alike(item: Any, others: Sequence[Any]) -> tuple[str, ...]:
    found = {
        "same name": any(_folded(other.patient_name) == _folded(item.patient_name) for other in others),
        "same surname": any(_surname(other.patient_name) == _surname(item.patient_name) for other in others),
        "same birth date": bool(item.birth_date) and any(other.birth_date == item.birth_date for other in others),
    }
    if found["same name"]:
        found["same surname"] = False
    return tuple(why for why, so in found.items() if so)


def _folded(name: str) -> str:
    return " ".join(name.replace("^", " ").casefold().split())


def _surname(name: str) -> str:
    return _folded(name.partition("=")[0].partition("^")[0])
