"""Waits for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable

from device.errors import BoardRefused


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> bool:
    """Whether the condition came true in time; asks every 2 ms."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def when_charged(flash: Callable[[], object]) -> None:
    """Flash as soon as the board and the host's own count of its gap let it; a busy machine has them apart."""

    def given() -> bool:
        try:
            flash()
        except BoardRefused:
            return False
        return True

    assert wait_until(given), "still recharging"
