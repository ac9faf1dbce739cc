"""No test of live cameras may leave a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from device.live import abandoned_threads
from tests.device.light.waiting import wait_until
from tests.device.live.scripted import let_everything_go


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    let_everything_go()
    assert wait_until(lambda: not abandoned_threads())
    assert wait_until(lambda: set(threading.enumerate()) <= before), threading.enumerate()
