"""`Pictures`: order, what is passed over, what is refused, and decoding ahead."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from device import FrameUnreadable, Pictures, SourceNotFound


def names(camera: Pictures) -> list[str]:
    found = []
    while (frame := camera.read()) is not None:
        found.append(frame.source)
    return found


def test_order_is_that_of_the_bytes_of_the_names(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("b.png", "a10.jpg", "a9.PNG", "B.tif", "ä.png")
    with Pictures(folder) as camera:
        assert names(camera) == ["B.tif", "a10.jpg", "a9.PNG", "b.png", "ä.png"]


def test_other_files_hidden_ones_and_subfolders_are_passed_over(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("a.png", ".hidden.png")
    (folder / "notes.txt").write_text("x")
    (folder / "more.png").mkdir()
    os.mkfifo(folder / "pipe.png")  # opening it would block for ever
    with Pictures(folder) as camera:
        assert camera.passed_over == "4 entries: 1 folder, 1 hidden picture, 1 .txt, 1 pipe, device or broken link"
        assert camera.frame_count == 1
        assert names(camera) == ["a.png"]


def test_the_folders_in_a_folder_are_read_where_that_is_asked_for(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("b.png")
    for below in ("visit 2/left", "visit 10", "overlays", "visit 10/overlays", ".hidden", "empty"):
        (folder / below).mkdir(parents=True)
        (folder / below / "a.png").write_bytes((folder / "b.png").read_bytes())
    (folder / "empty" / "a.png").unlink()
    (folder / "visit 10" / "readings.jsonl").touch()  # a run drew the overlays beside it
    (folder / "visit 2" / "again").symlink_to(folder)
    (folder / "visit 2" / "bad.png").write_text("no picture")
    with Pictures(folder, below=True) as camera:
        assert camera.frame_count == 5
        read = [frame.source for frame in (camera.read(), camera.read(), camera.read()) if frame]
        with pytest.raises(FrameUnreadable, match=r"^visit 2/bad\.png: ") as refused:
            camera.read()
        assert refused.value.source == "visit 2/bad.png"
        assert [*read, *names(camera)] == ["b.png", "overlays/a.png", "visit 10/a.png", "visit 2/left/a.png"]
        assert camera.passed_over == "2 entries: 1 folder, 1 hidden folder with pictures"
    (folder / "b.png").unlink()
    with pytest.raises(SourceNotFound, match=r"\(5 entries: 4 folders, 1 hidden folder with pictures\).*--subfolders"):
        Pictures(folder)
    with Pictures(folder / "visit 2" / "left" / "a.png", below=True) as camera:
        assert names(camera) == ["a.png"]


def test_a_broken_link_is_reported(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("a.png")
    (folder / "b.png").symlink_to(folder / "gone.png")
    with Pictures(folder) as camera:
        camera.read()
        with pytest.raises(FrameUnreadable, match=r"b\.png: cannot be read \(No such file"):
            camera.read()
        assert camera.read() is None


def test_a_file_that_vanishes_is_reported(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("a.png", "b.png", "c.png")
    with Pictures(folder) as camera:
        (folder / "b.png").unlink()
        camera.read()
        with pytest.raises(FrameUnreadable, match="No such file"):
            camera.read()
        assert names(camera) == ["c.png"]


def test_missing_and_empty_folders_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no such file or folder; expected a picture or a folder"):
        Pictures(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceNotFound, match=r"has no pictures \(1 entry: 1 \.txt\); expected files that end in"):
        Pictures(tmp_path)


def test_an_unreadable_folder_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)  # tests may run as root, whom no file mode stops
    with pytest.raises(SourceNotFound, match=r"cannot be read \(Permission denied\)"):
        Pictures(tmp_path)


def test_one_is_decoded_ahead_and_no_more(make_pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from device.cameras.files import folder as module

    started, second = [], threading.Event()
    original = module.read_picture

    def spy(path: Path, sequence: int) -> object:
        started.append(sequence)
        if sequence == 1:
            second.set()
        return original(path, sequence)

    monkeypatch.setattr(module, "read_picture", spy)
    with Pictures(make_pictures(*(f"{k}.png" for k in range(6)))) as camera:
        camera.read()
        assert second.wait(60), "the next picture is decoded without being asked for"
        assert started == [0, 1]
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


def test_a_thousand_pictures_with_one_bad_one(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("0000.png")
    for k in range(1, 1000):
        os.link(folder / "0000.png", folder / f"{k:04d}.png")
    (folder / "0500.png").unlink()
    (folder / "0500.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    good, bad = 0, []
    with Pictures(folder) as camera:
        while True:
            try:
                if camera.read() is None:
                    break
                good += 1
            except FrameUnreadable as error:
                bad.append(error.source)
    assert (good, bad) == (999, ["0500.png"])
