"""Pictures over HTTP as cameras really send them: wrong lengths, other types, empty parts, error pages, snapshots."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from device import FrameUnreadable, SourceNotFound
from device.cameras.files.decode import TURNED, decode_picture
from device.cameras.opencv.config import StreamConfig
from device.cameras.stream import open_stream
from device.cameras.stream.http import Multipart
from device.errors import Disconnected, FrameMisshapen
from tests.pictures import retina


def jpeg(seed: int, width: int = 320) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(retina(seed=seed, width=width)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


PICTURES = [jpeg(seed) for seed in range(4)]


class Answer:
    """What a server sends, in pieces of `size`."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def read1(self, size: int) -> bytes:
        return self._data.read(min(size, self._size))

    def close(self) -> None:
        pass


def part(body: bytes, head: str, mark: str = "--eye") -> bytes:
    return f"{mark}\r\n{head}\r\n\r\n".encode() + body + b"\r\n"


def arrivals(data: bytes, size: int = 1000, boundary: str | None = "eye") -> list[str | np.ndarray]:
    source, found = Multipart(Answer(data, size), boundary), []
    while (arrival := source.next()) is not None:
        found.append(arrival.why_not if arrival.pixels is None else arrival.pixels)
    return found


def is_picture(found: str | np.ndarray, number: int) -> bool:
    whole = np.asarray(Image.open(io.BytesIO(PICTURES[number])).convert("RGB"))
    return isinstance(found, np.ndarray) and np.array_equal(found, whole)


HEADS = {
    "usual": "Content-Type: image/jpeg\r\nContent-Length: {}",
    "other type": "Content-Type: image/jpg\r\nContent-Length: {}",
    "no length": "Content-Type: image/jpeg",
    "small letters": "content-type:image/jpeg\r\ncontent-length:{}",
    "no head": "X: y",
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [13, 700, 1 << 16])
@pytest.mark.parametrize(("mark", "boundary"), [("--eye", "eye"), ("--eye", "--eye"), ("eye", "eye"), ("--eye", None)])
def test_parts_as_cameras_write_them(head: str, size: int, mark: str, boundary: str | None) -> None:
    numbers = range(4)
    if boundary is None and mark != "--eye":
        pytest.skip("a mark without dashes can only be known by its name")
    data = b"".join(part(PICTURES[n], HEADS[head].format(len(PICTURES[n])), mark) for n in numbers)
    found = arrivals(data + mark.encode() + b"--\r\n", size, boundary)
    assert len(found) == len(numbers)
    assert all(is_picture(one, n) for one, n in zip(found, numbers, strict=True))


@pytest.mark.parametrize("wrong", [-500, 7, 100_000])
def test_a_wrong_length_costs_no_picture(wrong: int) -> None:
    data = b"".join(part(one, f"Content-Type: image/jpeg\r\nContent-Length: {len(one) + wrong}") for one in PICTURES)
    found = arrivals(data + b"--eye--\r\n")
    assert [is_picture(one, n) for n, one in enumerate(found)] == [True] * 4


def test_parts_that_are_no_picture_are_named_and_passed_over() -> None:
    page = b"<html>401 Unauthorized</html>"
    data = (
        part(PICTURES[0], "Content-Type: image/jpeg")
        + part(b"", "Content-Type: image/jpeg\r\nContent-Length: 0")
        + part(page, f"Content-Type: text/html\r\nContent-Length: {len(page)}")
        + part(PICTURES[1][:4000] + b"\xff\xd9", "Content-Type: image/jpeg")
        + part(PICTURES[2], "Content-Type: image/jpeg")
    )
    first, empty, html, torn, last = arrivals(data + b"--eye--\r\n")
    assert is_picture(first, 0)
    assert isinstance(empty, str)
    assert "an empty part" in empty
    assert isinstance(html, str)
    assert "29 bytes of type text/html" in html
    assert isinstance(torn, str)
    assert "damaged" in torn
    assert is_picture(last, 2)


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_snapshot_address_is_asked_again_for_each_picture() -> None:
    asked = [0]

    class Camera(Quiet):
        def do_GET(self) -> None:
            number = asked[0]
            asked[0] += 1
            if number == 5:
                self.send(200, "text/html", b"<p>busy</p>")
            elif number == 6:
                self.send(503, "text/html", b"<p>busy</p>")
            elif number == 7:
                self.send(200, "image/jpeg", b"")
            else:
                self.send(200, "image/jpeg", PICTURES[min(number // 2, 3)] if number < 9 else jpeg(0, width=400))

    with served(Camera) as host, open_stream(StreamConfig(url=f"http://{host}/snap.jpg")) as camera:
        for number in range(3):
            frame = camera.read()
            assert frame is not None
            assert is_picture(frame.pixels, number)
        with pytest.raises(FrameUnreadable, match=r"http:3: a part of 11 bytes of type text/html"):
            camera.read()
        with pytest.raises(FrameUnreadable, match=r"http:4: the camera answered 503, expected a JPEG picture"):
            camera.read()
        with pytest.raises(FrameUnreadable, match=r"http:5: an empty part"):
            camera.read()
        frame = camera.read()
        assert frame is not None
        assert is_picture(frame.pixels, 3)
        with pytest.raises(FrameMisshapen, match="got 400 x 240, expected 320 x 240"):
            camera.read()


def test_a_picture_is_turned_as_the_same_bytes_in_a_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PICTURES[0])).save(buffer, "JPEG", quality=90, exif=exif)
    (tmp_path / "eye.jpg").write_bytes(buffer.getvalue())
    wanted = decode_picture(tmp_path / "eye.jpg")

    class Camera(Quiet):
        def do_GET(self) -> None:
            self.send(200, "image/jpeg", buffer.getvalue())

    with served(Camera) as host, open_stream(StreamConfig(url=f"http://{host}/snap.jpg")) as camera:
        frame = camera.read()
        assert frame is not None
        assert np.array_equal(frame.pixels, wanted.pixels)
        assert frame.changes == wanted.changes == (TURNED,)
    (part_of_a_stream,) = arrivals(part(buffer.getvalue(), "Content-Type: image/jpeg") + b"--eye--\r\n")
    assert np.array_equal(part_of_a_stream, wanted.pixels)


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_user_and_password_are_used_and_shown_nowhere(scheme: str) -> None:
    class Camera(Quiet):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if not given.startswith(scheme):
                self.send_response(401)
                extra = ', nonce="abc", qop="auth"' if scheme == "Digest" else ""
                self.send_header("WWW-Authenticate", f'{scheme} realm="eye"{extra}')
                self.end_headers()
                return
            self.send(200, "multipart/x-mixed-replace; boundary=eye", part(PICTURES[0], "Content-Type: image/jpeg"))

    with served(Camera) as host:
        with open_stream(StreamConfig.parse(f"http://nurse:p%23Sesame@{host}/eye")) as camera:
            frame = camera.read()
            assert frame is not None
            with pytest.raises(Disconnected) as ended:
                camera.read()
        with pytest.raises(SourceNotFound, match=r"answers, but gives no video.*401") as refused:
            open_stream(StreamConfig.parse(f"http://{host}/eye"))
    assert "Sesame" not in camera.name + frame.source + str(ended.value) + str(refused.value)


@pytest.mark.parametrize("path", ["snap \u00e9?name=\u4e2d x", "a@b?mail=%40"])
def test_an_address_of_any_letters_is_asked_for(path: str) -> None:
    asked = []

    class Camera(Quiet):
        def do_GET(self) -> None:
            asked.append(unquote(self.path))
            self.send(200, "image/jpeg", PICTURES[0])

    with (
        served(Camera) as host,
        open_stream(StreamConfig.parse(f"http://u:p@{host}/{path.replace('@', '%40')}")) as camera,
    ):
        assert camera.read() is not None
    assert set(asked) == {f"/{unquote(path)}"}


def test_a_page_in_place_of_pictures_is_no_camera() -> None:
    class Camera(Quiet):
        def do_GET(self) -> None:
            self.send(200, "text/html", b"<html>welcome</html>")

    with served(Camera) as host, pytest.raises(SourceNotFound, match="answers, but gives no video"):
        open_stream(StreamConfig(url=f"http://{host}/"))


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


CUT_OFF = {
    "in a chunk": ({"Transfer-Encoding": "chunked"}, chunked(PICTURES[1])[:5000]),
    "between two chunks": ({"Transfer-Encoding": "chunked"}, chunked(PICTURES[1][:5000])),
    "before the stated length": ({"Content-Length": str(len(PICTURES[1]))}, PICTURES[1][:5000]),
    "without a length": ({}, PICTURES[1][:5000]),
}


@pytest.mark.parametrize("how", CUT_OFF)
def test_a_snapshot_that_was_cut_off_is_refused_and_the_next_one_read(how: str) -> None:
    """It ended the source where the answer came in chunks."""
    heads, body = CUT_OFF[how]
    asked = [0]

    class Camera(Quiet):
        def do_GET(self) -> None:
            asked[0] += 1
            if asked[0] != 3:  # the first is looked at as the address is opened
                self.send(200, "image/jpeg", PICTURES[0 if asked[0] < 3 else 2])
                return
            self.send_response(200)
            for name, value in {"Content-Type": "image/jpeg", **heads}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

    with served(Camera) as host, open_stream(StreamConfig(url=f"http://{host}/snap.jpg")) as camera:
        first = camera.read()
        assert first is not None
        assert is_picture(first.pixels, 0)
        with pytest.raises(FrameUnreadable, match=r"cut off|damaged or truncated"):
            camera.read()
        second = camera.read()
        assert second is not None
        assert is_picture(second.pixels, 2)


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/x-mixed-replace; boundary=eye"])
def test_packed_answers_are_named(kind: str) -> None:
    class Camera(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(PICTURES[0]))

    with served(Camera) as host, pytest.raises(SourceNotFound, match=r"the answer is packed \(gzip\)"):
        open_stream(StreamConfig(url=f"http://{host}/snap.jpg"))
