"""The cart's light over a board that starts anew."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from device.errors import BoardSilent, DoseUnrecorded, LightError
from device.light import BoardLink, SimulatedBoard
from device.light.board import Board
from device.light.messages import Flags
from device.light.simulated import SIMULATED_CEILINGS, draw_number
from runtime.cart.lighting import Lighting
from runtime.cart.parts import LightPart
from tests.busy import BUSY_S
from tests.device.light.waiting import wait_until

pytestmark = pytest.mark.usefixtures("patient")


def test_a_board_that_started_anew_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a short loss of its power: it keeps nothing of the connection, and the nurse has to do nothing."""
    monkeypatch.setattr("runtime.cart.kept.RETRY_S", 0.05)
    pressed: list[float] = []
    with SimulatedBoard() as board:
        part = LightPart(
            open_link=lambda: BoardLink(board.port),
            open_account=lambda: pytest.fail("no exam is open"),
            calibration=lambda link: pytest.fail("no light is given"),
            preview_level=0,
            flash=None,
        )
        lighting = Lighting(part, lambda: pressed.append(time.monotonic()), lambda: None)
        try:
            assert wait_until(lambda: lighting._kept.part is not None)
            first = lighting._kept.part
            with board._lock:
                board._board = Board(0x51D, SIMULATED_CEILINGS, time.monotonic_ns() // 1_000_000, draw_number)
            board.set_interlock(True)
            assert wait_until(lambda: lighting._kept.part not in (None, first), timeout_s=BUSY_S)
            assert wait_until(lambda: not lighting.problem)
            board.set_foot_switch(True)
            assert wait_until(lambda: len(pressed) == 1)
        finally:
            lighting.close()


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (DoseUnrecorded("the light cannot be written"), "the light cannot be written; call the technician"),
        (BoardSilent("no answer within 500 ms"), "no answer within 500 ms; look at the light board's cable and power"),
        (BoardSilent("no answer; look at its cable"), "no answer; look at its cable"),
    ],
)
def test_why_there_is_no_light_is_said_with_what_to_do(failure: LightError, said: str) -> None:
    link: Any = SimpleNamespace(failure=failure, flags=Flags.INTERLOCK_CLOSED)
    assert Lighting._problem_of(link) == (said, False)
