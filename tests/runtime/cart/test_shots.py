"""One picture belongs to one press: nothing that was captured before it, nothing that is damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from device.errors import FrameTimeout, FrameUnreadable, StaleFrame
from device.frame import Frame
from runtime.cart.shots import take_frame


class Reader:
    """Gives frames of these ages, milliseconds before they are given; None for one that cannot be read."""

    def __init__(self, ages_ms: Sequence[float | None], newest_ns: int | None = None) -> None:
        """newest_ns: when the newest frame that there is already was captured, its number is 0; None: there is none."""
        self.ages_ms = list(ages_ms)
        self.number, self.newest_ns = 0, newest_ns

    def newest(self, max_age_ms: float) -> Frame:
        if self.newest_ns is None:
            raise StaleFrame("no frame yet")
        return Frame(np.zeros((8, 8, 3), np.uint8), sequence=0, source="r", captured_ns=self.newest_ns)

    @contextmanager
    def tap(self, room: int) -> Iterator[Reader]:
        yield self

    def next(self, timeout_ms: float) -> Frame:
        time.sleep(0.002)
        if not self.ages_ms:
            raise FrameTimeout("no more")
        self.number += 1
        age_ms = self.ages_ms.pop(0)
        if age_ms is None:
            raise FrameUnreadable("torn", source="r", sequence=self.number)
        captured_ns = time.monotonic_ns() - round(age_ms * 1e6)
        return Frame(np.zeros((8, 8, 3), np.uint8), sequence=self.number, source="r", captured_ns=captured_ns)


@pytest.mark.parametrize(
    ("ages_ms", "taken"), [([0], 1), ([60_000, 0], 2), ([60_000, 60_000, None, 0, 0], 4), ([None, 0], 2)]
)
def test_the_first_frame_that_was_captured_after_the_press(ages_ms: list[float | None], taken: int) -> None:
    reader: Any = Reader(ages_ms)
    assert take_frame(reader).sequence == taken


@pytest.mark.parametrize("ages_ms", [[], [60_000], [60_000, 60_000]])
def test_where_only_older_ones_come_there_is_no_picture(ages_ms: list[float | None]) -> None:
    reader: Any = Reader(ages_ms)
    with pytest.raises(FrameTimeout, match=r"^no frame within 1234 ms; look at the camera$"):
        take_frame(reader, timeout_ms=1234)


@pytest.mark.parametrize(("since_ns", "taken"), [(1000, 0), (999, 0), (1001, 1), (None, 1)])
def test_one_that_came_between_the_press_and_the_look_for_it_is_its_picture(since_ns: int | None, taken: int) -> None:
    reader: Any = Reader([0], newest_ns=1000)
    assert take_frame(reader, since_ns).sequence == taken
