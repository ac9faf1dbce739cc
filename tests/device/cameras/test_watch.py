"""`WatchedFolder`: files that arrive whole, in pieces, by renaming, not at all."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from device import Disconnected, Frame, FrameUnreadable, SourceNotFound, WatchedFolder

POLL_S = 0.002


class Reader:
    """Reads a watched folder in another thread, as a cart does."""

    def __init__(self, folder: Path, settle_s: float = 60.0) -> None:
        self.camera = WatchedFolder(folder, poll_s=POLL_S, settle_s=settle_s)
        self._pool = ThreadPoolExecutor(1)
        self._polls = threading.Semaphore(0)
        poll = self.camera._poll

        def counted() -> None:
            poll()
            self._polls.release()

        self.camera._poll = counted  # type: ignore[method-assign]

    def polls_pass(self, count: int = 6) -> None:
        """Wait until the folder was looked at so often that a wrong reader would have given the file."""
        while self._polls.acquire(blocking=False):
            pass
        for _ in range(count):
            assert self._polls.acquire(timeout=60)

    def ask(self) -> Future[Frame | None]:
        return self._pool.submit(self.camera.read)

    def name(self) -> str:
        frame = self.ask().result(10)
        assert frame is not None
        return frame.source

    def close(self) -> None:
        self.camera.close()
        self._pool.shutdown()


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    (tmp_path / "incoming").mkdir()
    return tmp_path / "incoming"


@pytest.fixture
def reader(incoming: Path) -> Iterator[Reader]:
    reader = Reader(incoming)
    yield reader
    reader.close()


def picture(path: Path, red: int = 0) -> Path:
    Image.effect_noise((64, 64), 40 + red).convert("RGB").save(path)
    return path


def test_those_that_are_there_come_first_in_order_then_new_ones(incoming: Path) -> None:
    for name in ("b.png", "a.png", "c.png"):
        os.utime(picture(incoming / name), (1, 1))
    time.sleep(0.3)  # all of them have stood still for so long: the order is that of their names
    reader = Reader(incoming)
    assert [reader.name() for _ in range(3)] == ["a.png", "b.png", "c.png"]
    picture(incoming / "0.png")
    assert reader.name() == "0.png"
    reader.close()


def test_a_half_written_file_waits_until_it_is_whole(incoming: Path, reader: Reader) -> None:
    data = picture(incoming.parent / "whole.png").read_bytes()
    answer = reader.ask()
    with (incoming / "a.png").open("wb") as file:
        for at in range(0, len(data), len(data) // 5 + 1):
            file.write(data[at : at + len(data) // 5 + 1])
            file.flush()
            if at + len(data) // 5 + 1 < len(data):
                reader.polls_pass()
                assert not answer.done()
    frame = answer.result(60)
    assert frame is not None
    assert frame.source == "a.png"
    assert frame.width == 64


def test_a_jpeg_whose_length_was_set_before_it_was_written_waits_too(incoming: Path, reader: Reader) -> None:
    """As copies over the network do; the decoder would make half a picture of it without a word."""
    path = incoming.parent / "whole.jpg"
    Image.effect_noise((640, 480), 60).save(path)
    data = path.read_bytes()
    answer = reader.ask()
    (incoming / "a.jpg").write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    reader.polls_pass()
    assert not answer.done()
    (incoming / "a.jpg").write_bytes(data)
    frame = answer.result(60)
    assert frame is not None
    assert frame.source == "a.jpg"


def test_a_renamed_temporary_file_comes_once(incoming: Path, reader: Reader) -> None:
    picture(incoming / ".a.png.part.png")
    answer = reader.ask()
    reader.polls_pass()
    assert not answer.done(), "hidden files are not read"
    (incoming / ".a.png.part.png").rename(incoming / "a.png")
    frame = answer.result(60)
    assert frame is not None
    assert frame.source == "a.png"
    again = reader.ask()
    reader.polls_pass()
    assert not again.done()
    reader.camera.close()
    assert again.result(10) is None


def test_a_file_that_is_written_anew_comes_again(incoming: Path, reader: Reader) -> None:
    picture(incoming / "a.png")
    assert reader.name() == "a.png"
    picture(incoming / "a.png", red=30)
    assert reader.name() == "a.png"


def test_a_file_that_stays_truncated_is_reported_once(incoming: Path) -> None:
    data = picture(incoming / "a.png").read_bytes()
    (incoming / "a.png").write_bytes(data[: len(data) // 2])
    reader = Reader(incoming, settle_s=20 * POLL_S)
    with pytest.raises(FrameUnreadable, match=r"a\.png: damaged or truncated PNG") as caught:
        reader.ask().result(10)
    assert caught.value.sequence == 0
    picture(incoming / "b.png")
    frame = reader.ask().result(10)
    assert frame is not None
    assert (frame.source, frame.sequence) == ("b.png", 1)
    reader.close()


def test_a_file_that_vanishes_while_it_waits_is_forgotten(incoming: Path, reader: Reader) -> None:
    (incoming / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    answer = reader.ask()
    reader.polls_pass()
    (incoming / "a.png").unlink()
    picture(incoming / "b.png")
    frame = answer.result(60)
    assert frame is not None
    assert (frame.source, frame.sequence) == ("b.png", 0)


def test_closing_from_another_thread_ends_a_waiting_read(reader: Reader) -> None:
    answer = reader.ask()
    threading.Timer(0.01, reader.camera.close).start()
    assert answer.result(60) is None


def test_a_folder_that_goes_away_is_a_lost_source(incoming: Path, reader: Reader) -> None:
    answer = reader.ask()
    incoming.rmdir()
    with pytest.raises(Disconnected, match="watched folder"):
        answer.result(60)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="cannot be read"):
        WatchedFolder(tmp_path / "gone")


def test_the_interrupt_key_comes_through(incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = WatchedFolder(incoming, poll_s=POLL_S)

    def interrupt(timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(camera._closed, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt), camera:
        camera.read()
    assert camera.read() is None


def test_what_was_given_is_no_longer_waited_for(incoming: Path, reader: Reader) -> None:
    for k in range(5):
        picture(incoming / f"{k}.png")
        assert reader.name() == f"{k}.png"
    assert not reader.camera._waiting
    assert not reader.camera._ready
