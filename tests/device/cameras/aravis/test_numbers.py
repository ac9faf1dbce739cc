"""A frame's number from a camera's own: gaps, its beginning anew, and numbers of torn frames that are not theirs."""

from __future__ import annotations

import pytest

from device.cameras.aravis.numbers import FrameNumbers

WHOLE, TORN = True, False


@pytest.mark.parametrize(
    ("blocks", "numbers"),
    [
        ([(7, WHOLE), (8, WHOLE), (9, TORN), (10, WHOLE)], [0, 1, 2, 3]),
        ([(7, WHOLE), (9, WHOLE)], [0, 2]),
        ([(7, TORN), (9, WHOLE)], [0, 2]),
        ([(65_534, WHOLE), (65_535, WHOLE), (1, WHOLE), (3, WHOLE)], [0, 1, 2, 4]),
        ([(70_000, WHOLE), (70_001, WHOLE), (70_003, WHOLE)], [0, 1, 3]),  # USB3 Vision's has more bits
        ([(0, WHOLE), (1, WHOLE)], [0, 1]),  # and begins at 0
        ([(500, WHOLE), (1, WHOLE), (2, WHOLE)], [0, 1, 2]),  # the camera began anew
        ([(372, WHOLE), (373, WHOLE), (366, TORN), (375, WHOLE)], [0, 1, 2, 3]),  # what the buffer held before
        ([(373, WHOLE), (366, TORN), (367, TORN), (376, WHOLE)], [0, 1, 2, 3]),
        ([(373, WHOLE), (366, TORN), (377, WHOLE)], [0, 1, 4]),
        ([(65_530, WHOLE), (0, TORN), (65_532, WHOLE)], [0, 1, 2]),  # a buffer that held none
        ([(0, TORN), (65_002, WHOLE), (65_003, WHOLE)], [0, 1, 2]),
        ([(65_535, WHOLE), (65_528, TORN), (2, WHOLE)], [0, 1, 2]),
        ([(3, WHOLE), (65_531, TORN), (5, WHOLE)], [0, 1, 2]),
    ],
    ids=str,
)
def test_numbers_follow_the_cameras_own(blocks: list[tuple[int, bool]], numbers: list[int]) -> None:
    counted = FrameNumbers()
    assert [counted.next(block, whole) for block, whole in blocks] == numbers
