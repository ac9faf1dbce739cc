"""A simulated board and a link to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from device.light import BoardLink, Ceilings, SimulatedBoard

FAST = Ceilings(max_led_level=4095, max_flash_us=20_000, max_flash_level=4095, recharge_ms=0)
"""No recharge gap beyond the flash itself, so that tests need not wait."""


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard(ceilings=FAST) as simulated:
        yield simulated


@pytest.fixture
def link(board: SimulatedBoard) -> Iterator[BoardLink]:
    with BoardLink(board.port) as opened:
        yield opened
