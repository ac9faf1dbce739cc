"""Streams from real servers: what a camera on the network gives, and every way in which it stops."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from device import Camera, Disconnected, FrameTimeout, SourceNotFound, open_camera
from device.cameras.opencv import StreamConfig
from device.cameras.stream import open_stream
from tests.busy import at_a_calm_moment
from tests.device.cameras.servers import Program, h264_over_http, mjpeg_over_http, rtsp
from tests.ports import free_port

pytestmark = pytest.mark.system

Server = Callable[[int], AbstractContextManager[Program]]
SERVERS = {"http": mjpeg_over_http, "rtsp": rtsp}


@pytest.fixture(params=SERVERS)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{free_port()}/eye"


@pytest.fixture
def server(scheme: str, url: str) -> Iterator[Program]:
    with SERVERS[scheme](port_of(url)) as program:
        yield program


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def read_until_lost(camera: Camera) -> None:
    """Frames that were on their way when the server went still arrive."""
    for _ in range(200):
        camera.read()


def test_frames_come_as_they_are_made_and_each_is_another(scheme: str) -> None:
    def as_they_are_made() -> None:
        port = free_port()
        with SERVERS[scheme](port), open_camera(f"{scheme}://127.0.0.1:{port}/eye") as camera:
            frames = [frame for frame in (camera.read() for _ in range(30)) if frame is not None]
        assert [frame.sequence for frame in frames] == list(range(30))
        assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
        assert len({frame.sha256 for frame in frames}) == 30
        assert frames[0].source == f"{scheme}:0"
        gaps_s = [(b.captured_ns - a.captured_ns) / 1e9 for a, b in itertools.pairwise(frames)]
        assert 0.03 < sorted(gaps_s)[len(gaps_s) // 2] < 0.08, "a period of 50 ms: no second of old frames came at once"

    at_a_calm_moment(as_they_are_made)


def test_h264_begins_at_once_although_whole_pictures_are_five_seconds_apart() -> None:
    port = free_port()
    with h264_over_http(port), open_camera(f"http://127.0.0.1:{port}/eye") as camera:
        frames = [frame for frame in (camera.read() for _ in range(12)) if frame is not None]
    assert len({frame.sha256 for frame in frames}) == 12


def test_a_server_that_dies_is_a_lost_source_and_the_next_one_can_be_opened(
    server: Program, url: str, scheme: str
) -> None:
    with open_camera(url) as camera:
        assert camera.read() is not None
        server.kill()
        with pytest.raises((Disconnected, FrameTimeout), match=r"eye: (the other side ended|no frame came)"):
            read_until_lost(camera)
        with pytest.raises(SourceNotFound, match=r"nothing answers at 127\.0\.0\.1"):
            open_camera(url)
    with SERVERS[scheme](port_of(url)), open_camera(url) as camera:
        again = camera.read()
    assert again is not None
    assert again.sequence == 0


def test_a_server_that_hangs_is_noticed_in_time(server: Program, url: str) -> None:
    with open_stream(StreamConfig(url=url, read_timeout_s=2)) as camera:
        assert camera.read() is not None
        server.freeze()
        began = time.monotonic()
        with pytest.raises(FrameTimeout, match=r"no frame came in \d+\.\d s"):
            read_until_lost(camera)
        assert time.monotonic() - began < 60
        server.thaw()


def test_closing_from_another_thread_ends_a_read_that_waits(server: Program, url: str) -> None:
    camera = open_stream(StreamConfig(url=url, read_timeout_s=2))
    assert camera.read() is not None
    server.freeze()
    closer = threading.Timer(0.3, camera.close)
    closer.start()
    while camera.read() is not None:
        pass
    closer.join()
    server.thaw()


def test_a_wrong_path_is_told_from_a_server_that_is_not_there() -> None:
    port = free_port()
    with rtsp(port), pytest.raises(SourceNotFound, match=r"127\.0\.0\.1 answers, but gives no video.*path, user"):
        open_camera(f"rtsp://127.0.0.1:{port}/other")


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        def given_up() -> None:
            began = time.monotonic()
            with pytest.raises(SourceNotFound, match="answers, but gives no video"):
                open_stream(StreamConfig(url=f"http://127.0.0.1:{port}/eye", open_timeout_s=0.5))
            assert time.monotonic() - began < 4.5, "open_timeout_s is 5 s where none is named"

        at_a_calm_moment(given_up)


@pytest.mark.parametrize("scheme", ["rtsp"], indirect=True)
def test_user_and_password_are_in_no_name_and_no_message(server: Program, url: str) -> None:
    secret = url.replace("://", "://nurse:secret@")
    with open_stream(StreamConfig(url=secret, read_timeout_s=2)) as camera:
        frame = camera.read()
        assert frame is not None
        assert "secret" not in camera.name + frame.source
        server.kill()
        with pytest.raises((Disconnected, FrameTimeout)) as lost:
            read_until_lost(camera)
    with pytest.raises(SourceNotFound) as gone:
        open_camera(secret)
    assert "secret" not in str(lost.value) + str(gone.value)
    assert "nurse" not in str(lost.value) + str(gone.value)
