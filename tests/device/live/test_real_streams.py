"""A live reader on real servers that are killed and started again: it is back in time, and gives nothing old."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import pytest

from device.errors import FrameUnreadable, NoNewFrame
from device.frame import Frame
from device.live import CameraState, LiveReader, open_source
from tests.busy import at_a_calm_moment
from tests.device.cameras.servers import Program, mjpeg_over_http, rtsp
from tests.device.light.waiting import wait_until
from tests.ports import free_port

pytestmark = pytest.mark.system
BACK_WITHIN_S = 5.0
COLOURED = 100
"""Grey levels by which channels differ somewhere in a coloured picture, and nowhere in a grey one after JPEG."""


class Server(Protocol):
    """Starts a server whose pictures are coloured or grey."""

    def __call__(self, port: int, *, grey: bool = False) -> AbstractContextManager[Program]: ...


@pytest.mark.parametrize(("scheme", "serve"), [("http", mjpeg_over_http), ("rtsp", rtsp)])
def test_a_server_that_is_killed_and_started_again(scheme: str, serve: Server) -> None:
    def is_back_in_time() -> None:
        port = free_port()
        assert killed_and_back(f"{scheme}://127.0.0.1:{port}/eye", port, serve) <= BACK_WITHIN_S

    at_a_calm_moment(is_back_in_time, times=4)


def killed_and_back(url: str, port: int, serve: Server) -> float:
    """Seconds from when the server is up again to the first frame; all the rest has to be right, busy or not."""
    with serve(port) as server, open_source(url) as camera:
        assert isinstance(camera, LiveReader)
        before = [taken(camera) for _ in range(5)]
        server.kill()
        assert wait_until(lambda: camera.state is CameraState.RECONNECTING)
        with pytest.raises(NoNewFrame):
            read_on(camera)
        with serve(port, grey=True):
            ready_s = time.monotonic()
            after = [taken(camera)]
            back_s = time.monotonic() - ready_s
            after += [taken(camera) for _ in range(5)]
            assert camera.counts.reconnects == 1
    assert all(is_coloured(frame) for frame in before)
    assert not any(is_coloured(frame) for frame in after), "no picture of the first server comes after it"
    numbers = [frame.sequence for frame in before + after]
    assert numbers == sorted(set(numbers))
    return back_s


def is_coloured(frame: Frame) -> bool:
    return bool(np.ptp(frame.pixels.astype(int), axis=2).max() > COLOURED)


def taken(camera: LiveReader) -> Frame:
    frame = camera.next_unseen(60_000)
    assert frame is not None
    return frame


def read_on(camera: LiveReader) -> None:
    """Up to the first frame that could not be had; those that were still to be read are passed over."""
    while True:
        try:
            assert camera.next_unseen(60_000) is not None
        except NoNewFrame:
            raise
        except FrameUnreadable:  # one that the kill tore
            continue
