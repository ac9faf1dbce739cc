"""Stills: the picture of this press, not of another, and none that came too late."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.cameras.still_memory import StillMemory
from device.cameras.stills import HttpStill, open_still
from device.errors import (
    CameraError,
    Disconnected,
    FrameTimeout,
    FrameUnreadable,
    PictureOfNobody,
    RepeatedFrame,
    SourceNotFound,
)
from device.frame import Frame

PATIENCE_MS = 30_000.0


def jpeg(level: int) -> bytes:
    rng = np.random.default_rng(level)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 3)
    return bytes(cv2.imencode(".jpg", picture)[1].tobytes())


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def camera(answer: Answer) -> Iterator[str]:
    """A camera as makers build them: one GET, one picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/still"
        finally:
            server.shutdown()
            thread.join()


def sends(data: bytes, *, length: int | None = None, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def raw(data: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_get_takes_the_picture_and_its_time_is_the_press() -> None:
    pictures = iter(range(3))
    with camera(lambda handler: sends(jpeg(next(pictures)))(handler)) as url:
        still = open_still(url)
        seen = []
        for _ in range(3):
            pressed = time.monotonic_ns()
            frame = still.take(pressed, PATIENCE_MS)
            assert frame.captured_ns == pressed
            assert (frame.width, frame.height) == (160, 120)
            seen.append(frame.sha256)
        assert len(set(seen)) == 3


def test_a_camera_that_answers_with_its_last_picture_is_refused() -> None:
    with camera(sends(jpeg(1))) as url:
        still = HttpStill(url)
        still.take(time.monotonic_ns(), PATIENCE_MS)
        with pytest.raises(RepeatedFrame, match="press before"):
            still.take(time.monotonic_ns(), PATIENCE_MS)


@pytest.mark.parametrize(
    ("name", "answer", "error"),
    [
        ("half of it", sends(jpeg(1)[:900]), FrameUnreadable),
        ("less than it said", sends(jpeg(1)[:900], length=len(jpeg(1))), CameraError),
        ("a page", sends(b"<html>busy</html>"), FrameUnreadable),
        ("nothing", sends(b""), FrameUnreadable),
        ("an error", sends(b"", status=503), CameraError),
        ("another protocol", raw(b"SSH-2.0-x\r\n"), Disconnected),
        ("a chunk cut short", raw(CHUNKED + b"400\r\nabc"), Disconnected),
        ("no chunk", raw(CHUNKED + b"zz\r\nabc"), Disconnected),
        ("a status without end", raw(b"HTTP/1.1 200 " + b"a" * 70_000), Disconnected),
        ("too many headers", raw(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"), Disconnected),
        ("another address that is none", raw(b"HTTP/1.1 302 F\r\nLocation: http://[::1\r\n\r\n"), Disconnected),
    ],
)
def test_what_is_no_picture_is_an_error_with_words(name: str, answer: Answer, error: type[Exception]) -> None:
    with camera(answer) as url, pytest.raises(error):
        HttpStill(url).take(time.monotonic_ns(), PATIENCE_MS)


def test_a_picture_that_comes_too_late_is_none() -> None:
    done = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        done.wait(120)

    with camera(slow) as url:
        with pytest.raises(FrameTimeout):
            HttpStill(url).take(time.monotonic_ns(), 300)
        done.set()


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\n", CHUNKED], ids=["headers", "body"])
def test_an_answer_that_trickles_is_waited_for_no_longer_than_any_other(begins: bytes) -> None:
    ended = threading.Event()

    def trickles(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begins)
        with suppress(OSError):
            while True:
                handler.wfile.write(b"1\r\na\r\n" if begins == CHUNKED else b"X: 1\r\n")
                time.sleep(0.1)
        ended.set()

    with camera(trickles) as url:
        still = HttpStill(url)
        with pytest.raises(FrameTimeout):
            still.take(time.monotonic_ns(), 500)
        assert ended.wait(60)  # the camera's side is let go
        assert still.memory.owes


def test_a_picture_that_cannot_be_laid_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with camera(sends(jpeg(1))) as url, pytest.raises(CameraError, match=r"No space left on device.*look at the disk"):
        HttpStill(url).take(time.monotonic_ns(), PATIENCE_MS)


def test_a_camera_that_is_not_there_is_told() -> None:
    with pytest.raises(Disconnected, match="cannot be reached"):
        HttpStill("http://127.0.0.1:9/still").take(time.monotonic_ns(), PATIENCE_MS)


def test_after_a_get_without_its_answer_the_next_picture_is_nobodys() -> None:
    """The camera was still at it, and answers whoever asks next with the picture of the press before."""
    late, answers = threading.Event(), iter([None, jpeg(1), jpeg(1), jpeg(2)])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = next(answers)
        if data is None:
            late.wait(120)
        else:
            sends(data)(handler)

    with camera(answer) as url:
        still = HttpStill(url)
        with pytest.raises(FrameTimeout):
            still.take(time.monotonic_ns(), 300)
        late.set()
        with pytest.raises(PictureOfNobody, match="whose it is is not known"):
            still.take(time.monotonic_ns(), PATIENCE_MS)
        with pytest.raises(RepeatedFrame):
            still.take(time.monotonic_ns(), PATIENCE_MS)
        assert still.take(time.monotonic_ns(), PATIENCE_MS).width == 160


@pytest.mark.parametrize(
    ("name", "first", "owes"),
    [
        ("cut short", sends(jpeg(1)[:900], length=len(jpeg(1))), True),
        ("busy", sends(b"", status=503), False),
        ("no picture", sends(b"<html>"), False),
    ],
)
def test_what_the_next_get_may_still_answer(name: str, first: Answer, owes: bool) -> None:
    answers = iter([first, sends(jpeg(2))])
    with camera(lambda handler: next(answers)(handler)) as url:
        still = HttpStill(url)
        with pytest.raises(CameraError):
            still.take(time.monotonic_ns(), PATIENCE_MS)
        with pytest.raises(PictureOfNobody) if owes else nullcontext():
            still.take(time.monotonic_ns(), PATIENCE_MS)


def test_what_was_asked_before_a_restart_is_owed_after_it_and_what_came_is_known(tmp_path: Path) -> None:
    kept = tmp_path / "still.json"
    answers = iter(
        [sends(jpeg(1)), sends(b"", length=9), sends(jpeg(1)), sends(jpeg(2)), sends(jpeg(3)), sends(jpeg(4))]
    )

    with camera(lambda handler: next(answers)(handler)) as url:

        def take() -> Frame:
            return open_still(url, kept).take(time.monotonic_ns(), PATIENCE_MS)  # each time by another program

        assert take().width == 160
        with pytest.raises(CameraError, match="0 of 9 bytes"):
            take()
        with pytest.raises(RepeatedFrame):
            take()
        with pytest.raises(PictureOfNobody):
            take()
        assert take().width == 160
        kept.write_text("{")
        with pytest.raises(PictureOfNobody):
            take()
        kept.unlink()
        kept.mkdir()  # nothing is asked for that could not be remembered
        with pytest.raises(CameraError, match="nothing was taken"):
            take()


def test_a_pipe_in_the_place_of_what_was_kept_is_not_waited_for(tmp_path: Path) -> None:
    kept = tmp_path / "still.json"
    os.mkfifo(kept)
    assert StillMemory(kept).owes


@pytest.mark.parametrize("text", ['{"owes": false, "owes": false, "came": []}', '{"owes": false}', "[]", " " * 70_000])
def test_what_was_kept_otherwise_than_here_owes_a_picture(text: str, tmp_path: Path) -> None:
    kept = tmp_path / "still.json"
    kept.write_text(text)
    assert StillMemory(kept).owes


@pytest.mark.parametrize("spec", ["", "camera:0", "ftp://x", "folder"])
def test_another_way_is_refused(spec: str) -> None:
    with pytest.raises(SourceNotFound, match="folder:PATH"):
        open_still(spec)
