"""`WatchedFolder` with a memory: each picture once, also when the program ends and starts again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from device import Disconnected, FrameUnreadable, SourceNotFound, WatchedFolder, open_camera
from device.errors import SettingRefused

POLL_S = 0.002
FOREVER = "while True: pass"


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    (tmp_path / "incoming").mkdir()
    return tmp_path / "incoming"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "watch"


def picture(path: Path, grey: int = 0) -> Path:
    Image.new("L", (16, 16), grey).save(path)
    os.utime(path, (1, 1))  # old: it need not be waited for
    return path


def watch(folder: Path, state: Path | None, settle_s: float = 60.0) -> WatchedFolder:
    return WatchedFolder(folder, poll_s=POLL_S, settle_s=settle_s, state=state)


def names(camera: WatchedFolder, count: int) -> list[str]:
    frames = [camera.read() for _ in range(count)]
    return [frame.source for frame in frames if frame is not None]


def left_over(folder: Path, state: Path | None) -> list[str]:
    """What a new watcher gives until a picture that comes last."""
    last = picture(folder / f"~{len(os.listdir(folder))}.png").name
    found = []
    with watch(folder, state) as camera:
        while (name := names(camera, 1)[0]) != last:
            found.append(name)
    return found


def test_what_was_given_does_not_come_again_after_a_restart(incoming: Path, state: Path) -> None:
    for k in range(4):
        picture(incoming / f"{k}.png", k)
    with watch(incoming, state) as camera:
        assert names(camera, 2) == ["0.png", "1.png"]
    assert left_over(incoming, state) == ["2.png", "3.png"]
    assert left_over(incoming, state) == []


def test_without_a_state_each_start_begins_anew(incoming: Path) -> None:
    picture(incoming / "a.png")
    for _ in range(2):
        with open_camera(str(incoming), watch=True) as camera:
            frame = camera.read()
            assert frame is not None
            assert frame.source == "a.png"


def test_open_camera_passes_the_state_on(incoming: Path, state: Path) -> None:
    picture(incoming / "a.png")
    with open_camera(str(incoming), watch=True, state=state) as camera:
        camera.read()
    assert left_over(incoming, state) == []


def test_one_whose_work_was_broken_off_by_an_error_comes_again(incoming: Path, state: Path) -> None:
    picture(incoming / "a.png", 1)
    picture(incoming / "b.png", 2)
    with contextlib.suppress(ZeroDivisionError), watch(incoming, state) as camera:
        names(camera, 2)
        raise ZeroDivisionError
    assert left_over(incoming, state) == ["b.png"], "a is dealt with, as b was asked for after it"


@pytest.mark.system
def test_one_whose_work_was_killed_comes_again_and_no_other(incoming: Path, state: Path) -> None:
    for k in range(3):
        picture(incoming / f"{k}.png", k)
    program = (
        "import sys; from pathlib import Path; from device import WatchedFolder\n"
        "camera = WatchedFolder(Path(sys.argv[1]), state=Path(sys.argv[2]))\n"
        "for _ in range(2): print(camera.read().source, flush=True)\n" + FOREVER
    )
    command = [sys.executable, "-c", program, str(incoming), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as watcher:
        try:
            assert watcher.stdout is not None
            assert [watcher.stdout.readline().strip() for _ in range(2)] == ["0.png", "1.png"]
        finally:
            watcher.kill()
    assert left_over(incoming, state) == ["1.png", "2.png"]


def test_the_same_bytes_touched_or_copied_anew_do_not_come_again(incoming: Path, state: Path) -> None:
    path = picture(incoming / "a.png")
    with watch(incoming, state) as camera:
        names(camera, 1)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    os.utime(path, (2, 2))
    assert left_over(incoming, state) == []


def test_another_picture_of_the_same_name_comes(incoming: Path, state: Path) -> None:
    picture(incoming / "a.png", 1)
    with watch(incoming, state) as camera:
        names(camera, 1)
    picture(incoming / "a.png", 200)
    os.utime(incoming / "a.png", (2, 2))
    assert left_over(incoming, state) == ["a.png"]


def test_an_unreadable_one_is_reported_once_also_across_a_restart(incoming: Path, state: Path) -> None:
    (incoming / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.utime(incoming / "a.png", (1, 1))
    with watch(incoming, state, settle_s=0) as camera, pytest.raises(FrameUnreadable):
        camera.read()
    assert left_over(incoming, state) == []


def test_two_folders_share_a_state_without_mixing(incoming: Path, state: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (incoming, tmp_path / "other"):
        picture(folder / "a.png")
        with watch(folder, state) as camera:
            assert names(camera, 1) == ["a.png"]


def test_names_that_are_no_utf8_are_remembered(incoming: Path, state: Path) -> None:
    picture(incoming / "b\udce4d.png")
    with watch(incoming, state) as camera:
        assert names(camera, 1) == ["b?d.png"]
    assert left_over(incoming, state) == []


def test_a_state_that_cannot_be_used_is_refused(incoming: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingRefused, match="cannot be used to remember which pictures were read"):
        watch(incoming, tmp_path / "file")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "watched-files.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(SettingRefused, match="move that file away"):
        watch(incoming, tmp_path / "broken")


def test_a_missing_folder_leaves_no_state(tmp_path: Path, state: Path) -> None:
    with pytest.raises(SourceNotFound):
        watch(tmp_path / "gone", state)
    assert not state.exists()


def test_a_full_disk_is_said_and_not_passed_over(incoming: Path, state: Path) -> None:
    picture(incoming / "a.png", 1)
    picture(incoming / "b.png", 2)
    with watch(incoming, state) as camera:
        names(camera, 1)
        with contextlib.closing(sqlite3.connect(state / "watched-files.sqlite")) as locked:
            locked.execute("PRAGMA locking_mode=EXCLUSIVE")
            locked.execute("BEGIN EXCLUSIVE")
            camera._done._database.execute("PRAGMA busy_timeout=1")
            with pytest.raises(Disconnected, match="it cannot be remembered which pictures were read"):
                camera.read()
            locked.rollback()


def test_a_memory_that_cannot_be_read_is_said_by_our_own_error(incoming: Path, state: Path) -> None:
    picture(incoming / "a.png", 1)
    with watch(incoming, state) as camera:
        camera._done._database.execute("DROP TABLE seen")
        with pytest.raises(Disconnected, match="it cannot be told which pictures were read"):
            camera.read()


def test_closing_during_a_read_that_waits_gives_the_state_back(incoming: Path, state: Path) -> None:
    camera = watch(incoming, state)
    closer = threading.Timer(0.05, camera.close)
    closer.start()
    assert camera.read() is None
    closer.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        camera._done._database.execute("SELECT 1")


def test_another_picture_of_equal_name_size_and_time_comes(incoming: Path, state: Path) -> None:
    for level in (10, 20):
        path = incoming / "a.bmp"
        Image.new("RGB", (8, 8), (level, 0, 0)).save(path)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        with WatchedFolder(incoming, poll_s=0.01, state=state) as camera:
            frame = camera.read()
        assert frame is not None
        assert frame.pixels[0, 0, 0] == level


def test_a_half_copied_file_with_an_old_time_waits(incoming: Path) -> None:
    """As robocopy writes them: the time of 1980 first, the content after it."""
    Image.new("RGB", (64, 64), (50, 0, 0)).save(incoming / "whole.ppm")
    whole = (incoming / "whole.ppm").read_bytes()
    (incoming / "whole.ppm").unlink()
    with WatchedFolder(incoming, poll_s=0.01, settle_s=600) as camera:
        polls, poll = [0], camera._poll

        def counted() -> None:
            polls[0] += 1
            if polls[0] <= 6:
                (incoming / "a.ppm").write_bytes(whole[: len(whole) * polls[0] // 6])
                os.utime(incoming / "a.ppm", (315_532_800, 315_532_800))
            poll()

        camera._poll = counted  # type: ignore[method-assign]
        frame = camera.read()
    assert frame is not None
    assert (frame.pixels == (50, 0, 0)).all()
    assert polls[0] > 6


def test_two_that_cannot_be_read_are_not_taken_for_one(incoming: Path, state: Path) -> None:
    """Of neither are bytes known; the second one was passed over in silence."""
    for target in ("gone", "gone as well"):
        (incoming / "a.png").unlink(missing_ok=True)
        (incoming / "a.png").symlink_to(target)
        with watch(incoming, state, settle_s=0) as camera:
            picture(incoming / "b.png", grey=len(target))
            with pytest.raises(FrameUnreadable, match=r"a\.png: cannot be read"):
                camera.read()
