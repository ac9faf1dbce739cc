"""A live reader on real servers that are killed and started again: it is back in time, and gives nothing old."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from device.errors import FrameUnreadable, NoNewFrame
from device.live import CameraState, LiveReader, open_source
from tests.device.cameras.servers import Program, mjpeg_over_http, rtsp, running
from tests.device.light.waiting import wait_until
from tests.ports import free_port

pytestmark = pytest.mark.system
BACK_WITHIN_S = 5.0
Serve = Callable[[int], AbstractContextManager[Program]]


@pytest.mark.parametrize(
    ("serve", "address"), [(mjpeg_over_http, "http://127.0.0.1:{}/eye"), (rtsp, "rtsp://127.0.0.1:{}/eye")]
)
def test_a_server_that_is_killed_and_started_again(serve: Serve, address: str) -> None:
    port = free_port()
    with serve(port) as server:
        camera = open_source(address.format(port))
        assert isinstance(camera, LiveReader)
        with camera:
            before = [sequence(camera) for _ in range(10)]
            server.kill()
            assert wait_until(lambda: camera.state is CameraState.RECONNECTING, timeout_s=10)
            with pytest.raises(NoNewFrame):
                read_on(camera)
            again_ns = time.monotonic_ns()
            with running(*server.command):
                assert wait_until(lambda: is_up(port), timeout_s=30)
                ready_s = time.monotonic()
                frame = camera.next_unseen(30_000)
                back_s = time.monotonic() - ready_s
                assert frame is not None
                assert frame.captured_ns > again_ns, "an old frame"
                after = [frame.sequence, *(sequence(camera) for _ in range(10))]
                assert camera.counts.reconnects == 1
    assert back_s <= BACK_WITHIN_S
    assert before + after == sorted({*before, *after})


def is_up(port: int) -> bool:
    """Whether something listens there or serves: ffmpeg stops listening at its first client."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(line[1].split(":")[1], 16) == port and line[3] in ("0A", "01") for line in lines)


def sequence(camera: LiveReader) -> int:
    frame = camera.next_unseen(5000)
    assert frame is not None
    return frame.sequence


def read_on(camera: LiveReader) -> None:
    """Up to the first frame that could not be had; those that were still to be read are passed over."""
    while True:
        try:
            assert camera.next_unseen(5000) is not None
        except NoNewFrame:
            raise
        except FrameUnreadable:  # one that the kill tore
            continue
