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

    unreadable: Sequence[str]
    """Fields that the answer held and that could not be read."""


Ordering = Callable[[], Sequence[Any]]
"""Asks the worklist for today's exams; raises `ScreeningError`. `unreadable` of the answer: how many were lost."""
UNUSABLE = "the worklist cannot be used ({fault}); enter infants by hand, and report it"
UNREADABLE = "{count} of its answers could not be read and are not shown; enter those infants by hand, have it mended"


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
                answer = self._ask()
                rows = rows_of(list(answer), self._station)
                lost = int(getattr(answer, "unreadable", 0))
            except ScreeningError as error:
                self._answer = WorklistAnswer(self._answer.rows, self._answer.asked_at, shown(error))
            except Exception as error:  # a fault of the archive's answer must not end the cart
                self._answer = WorklistAnswer(
                    self._answer.rows, self._answer.asked_at, UNUSABLE.format(fault=type(error).__name__)
                )
            else:
                self._answer = WorklistAnswer(rows, time.monotonic(), UNREADABLE.format(count=lost) if lost else "")
        self._changed()
        return self._answer

    def row(self, key: str) -> WorklistRow | None:
        """The line of that key in the last answer."""
        return next((row for row in self._answer.rows if row.key == key), None)


def rows_of(items: Sequence[Any], station: str) -> tuple[WorklistRow, ...]:
    """The lines, own station's first, then by time; each with why it may be taken for another."""
    whose: dict[tuple[str, str], set[str]] = {}
    for item in items:
        for told in _told(item):
            whose.setdefault(told, set()).add(item.patient_id)
    rows = []
    for number, item in enumerate(items):
        alike = tuple(why for why, value in _told(item) if value and len(whose[why, value]) > 1)
        alike = tuple(why for why in alike if not (why == SURNAME and NAME in alike))
        rows.append(WorklistRow(f"{time.monotonic_ns():x}-{number}", item, alike, _own(item.station_ae_title, station)))
    return tuple(sorted(rows, key=lambda row: (not row.own, row.item.scheduled, row.item.patient_name)))


NAME, SURNAME, BIRTH = "same name", "same surname", "same birth date"


def _told(item: Any) -> tuple[tuple[str, str], ...]:
    """What two infants may have alike, and what this line has of it."""
    name = item.patient_name
    return (NAME, _folded(name)), (SURNAME, _surname(name)), (BIRTH, item.birth_date)


def _own(ae_title: str, station: str) -> bool:
    return not ae_title or ae_title.strip().upper() == station.strip().upper()


def _folded(name: str) -> str:
    return " ".join(name.replace("^", " ").casefold().split())


def _surname(name: str) -> str:
    return _folded(name.partition("=")[0].partition("^")[0])
