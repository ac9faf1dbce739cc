"""A server that is killed and started again: the live reader has it back within 5 s, and gives no stale frame."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import pytest

from device import Frame, FrameUnreadable, open_camera
from device.errors import FrameTimeout
from device.live import LiveReader
from tests.device.cameras.servers import Program, mjpeg_over_http, rtsp
from tests.ports import free_port

pytestmark = pytest.mark.system

BACK_WITHIN_S = 5.0
OLDEST_MS = 500.0
COLOURED = 100
"""Grey levels by which channels differ somewhere in a coloured picture, and nowhere in a grey one after JPEG."""


class Server(Protocol):
    """Starts a server whose pictures are coloured or grey."""

    def __call__(self, port: int, *, grey: bool = False) -> AbstractContextManager[Program]: ...


def next_frame(reader: LiveReader) -> Frame | None:
    """The next frame, which must be fresh when it is given; None when none comes within a tenth of a second."""
    try:
        frame = reader.next_unseen(100)
    except (FrameTimeout, FrameUnreadable):
        return None
    assert frame is not None
    assert (time.monotonic_ns() - frame.captured_ns) / 1e6 < OLDEST_MS
    return frame


def is_coloured(frame: Frame) -> bool:
    return bool(np.ptp(frame.pixels.astype(int), axis=2).max() > COLOURED)


@pytest.mark.parametrize(("scheme", "server"), [("http", mjpeg_over_http), ("rtsp", rtsp)])
def test_a_server_that_is_killed_and_restarted_is_had_back(scheme: str, server: Server) -> None:
    port = free_port()
    url = f"{scheme}://127.0.0.1:{port}/eye"
    with server(port) as first:
        reader = LiveReader(lambda: open_camera(url), url)
        shown: list[Frame] = []
        until = time.monotonic() + 20
        while len(shown) < 5:
            assert time.monotonic() < until
            frame = next_frame(reader)
            shown += [frame] if frame is not None else []
        first.kill()
        until = time.monotonic() + 10
        while next_frame(reader) is not None:  # what was on its way
            assert time.monotonic() < until
    with reader, server(port, grey=True):
        began = time.monotonic()
        after: list[Frame] = []
        while len(after) < 10:
            assert after or time.monotonic() - began < BACK_WITHIN_S
            frame = next_frame(reader)
            after += [frame] if frame is not None else []
    assert all(is_coloured(frame) for frame in shown)
    assert not any(is_coloured(frame) for frame in after), "no picture of the first server comes after it"
    assert after[0].sequence > shown[-1].sequence
