"""Names as they come: loops of links, names too long for any file, colons, endings that say nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device import CameraError, FrameUnreadable, Pictures, SourceNotFound, WatchedFolder, open_camera
from device.cameras.files import sniff
from device.cameras.files.folder import scan
from device.cameras.files.passed import counted
from device.live import keeps_its_own_time

LONG = "a" * 5000


def read_all(camera: Pictures | WatchedFolder) -> list[str]:
    """The frames' names, and the words of those that cannot be read."""
    found: list[str] = []
    while True:
        try:
            frame = camera.read()
        except FrameUnreadable as error:
            found.append(str(error))
            continue
        if frame is None:
            return found
        found.append(frame.source)


def test_links_in_a_circle_are_reported_and_stop_nothing(make_pictures: Callable[..., Path]) -> None:
    folder = make_pictures("a.png", "z.png")
    (folder / "b.png").symlink_to("c.png")
    (folder / "c.png").symlink_to("b.png")
    (folder / "d").symlink_to("d")
    (folder / "self.png").symlink_to(".")
    with Pictures(folder) as camera:
        found = read_all(camera)
        assert camera.passed_over == "2 entries: 1 folder, 1 pipe, device or broken link"
    assert [found[0], found[-1]] == ["a.png", "z.png"]
    assert all("cannot be read (Too many levels of symbolic links)" in words for words in found[1:-1])
    assert len(found) == 4


@pytest.mark.parametrize("watch", [False, True])
def test_a_folder_that_is_a_circle_is_refused(tmp_path: Path, watch: bool) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceNotFound):
        open_camera(str(tmp_path / "loop"), watch=watch)
    with pytest.raises(SourceNotFound, match="Too many levels of symbolic links"):
        open_camera(str(tmp_path / "loop" / "a.png"))


def test_a_folder_that_may_not_be_entered_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.stat

    def refuse(path: object, **how: bool) -> os.stat_result:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied")
        return stat(path, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refuse)  # tests may run as root, whom no file mode stops
    with pytest.raises(SourceNotFound, match=r"no file or folder that can be looked at \(Permission denied\)"):
        open_camera(str(tmp_path / "locked" / "a.png"))


@pytest.mark.parametrize(
    "spec",
    [
        LONG,
        f"{LONG}.jpg",
        "/".join(["d" * 200] * 30),
        f"x/{'b' * 256}.png",
        f"{LONG}:x",
        f"http://127.0.0.1:1/{LONG}",
        f"http://127.0.0.1:1/eye?{LONG}=1",
        f"rtsp://127.0.0.1:1/{LONG * 14}",
        f"http://{LONG}/",
        f"http://{'.'.join(['a' * 60] * 90)}/",
        f"aravis:{LONG}",
        f"camera:{LONG}",
        f"gstreamer:{LONG}",
        f"gstreamer:videotestsrc ! {LONG}",
        f"gstreamer:videotestsrc ! {LONG} ! appsink drop=true max-buffers=1 sync=false",
        f"sim:{LONG}=1",
        f"sim:seed={LONG}",
        f"sim:{'a=1,' * 2000}",
    ],
    ids=lambda spec: f"{spec[:20]}-{len(spec)}",
)
def test_what_is_too_long_for_any_name_is_one_line_that_can_be_read(spec: str) -> None:
    with pytest.raises(CameraError) as caught:
        open_camera(spec)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1500


@pytest.mark.parametrize("name", ["visit-12:30.mp4", "visit-12:31/a.jpg", "a.b:c.dcm"])
def test_a_time_in_a_name_is_no_protocol(name: str) -> None:
    with pytest.raises(SourceNotFound, match="no such file or folder, and no source is called"):
        open_camera(name)


def test_a_picture_with_a_time_in_its_name_is_read(
    make_pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_pictures("visit-12:30.png"))
    assert not keeps_its_own_time("visit-12:30.png")
    with open_camera("visit-12:30.png") as camera:
        assert read_all(camera) == ["visit-12:30.png"]  # type: ignore[arg-type]


ENCODED = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "webp": "WEBP", "jp2": "JPEG2000"}


@pytest.mark.parametrize("kind", ENCODED)
@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113619.2.5", "i.0001", "a.IMA"])
def test_a_name_that_says_nothing_is_known_by_its_content(tmp_path: Path, kind: str, name: str) -> None:
    picture = np.random.default_rng(0).integers(90, 160, (64, 64, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / name, ENCODED[kind])
    (tmp_path / "README").write_text("what this is")
    with Pictures(tmp_path) as camera:
        assert read_all(camera) == [name]
        assert camera.passed_over == "1 entry: 1 without an ending"
    with open_camera(str(tmp_path / name)) as camera:
        assert camera.frame_count == 1


def test_a_file_that_is_named_itself_is_known_by_its_content_whatever_its_ending(
    make_pictures: Callable[..., Path],
) -> None:
    folder = make_pictures("a.png")
    shutil.copy(folder / "a.png", folder / "a.dat")
    with open_camera(str(folder / "a.dat")) as camera:
        assert camera.frame_count == 1
    with Pictures(folder) as camera:
        assert read_all(camera) == ["a.png"]


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.jp2", "a.dicom", "a.heic", "a.dcm"])
def test_rare_endings_are_read_by_what_is_in_them(tmp_path: Path, name: str) -> None:
    picture = np.random.default_rng(0).integers(90, 160, (64, 64, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / name, "JPEG")
    with Pictures(tmp_path) as camera:
        assert read_all(camera) == [name]


@pytest.mark.parametrize("name", ["a.part", "a.jpg.tmp", "a.crdownload", "a.txt", ".a", "a.png~"])
def test_a_copy_that_goes_on_is_no_picture_yet(make_pictures: Callable[..., Path], name: str) -> None:
    folder = make_pictures("a.png")
    shutil.copy(folder / "a.png", folder / name)
    assert [entry.name for entry in scan(folder).pictures] == ["a.png"]


def test_what_is_passed_over_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a.txt", "b.TXT", "c.pdf", "d.mp4", "e.x\x1by", "f.1", *(f"g.z{k}" for k in range(5))):
        (tmp_path / name).write_text("x")
    (tmp_path / "more").mkdir()
    told = "12 entries: 1 folder, 1 .mp4, 2 .txt, 1 .1, 1 .pdf, 1 .x?y, 5 kinds more"
    assert counted(scan(tmp_path).passed_over) == told
    assert counted([]) == ""
    assert counted(["folder", "", "folder", "hidden picture"]) == "3 entries: 2 folders, 1 hidden picture"


def test_hidden_pictures_are_counted_and_other_hidden_files_are_not(
    make_pictures: Callable[..., Path],
) -> None:
    folder = make_pictures("a.png", ".b.png")
    (folder / ".trash" / "more").mkdir(parents=True)
    shutil.copy(folder / "a.png", folder / ".trash" / "more" / "c.png")
    shutil.copy(folder / "a.png", folder / ".a.png.Xk3")  # a copy that goes on
    (folder / "._a.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / ".git").mkdir()
    (folder / ".loop.png").symlink_to(".loop.png")
    with Pictures(folder) as camera:
        assert camera.passed_over == "3 entries: 2 hidden pictures, 1 hidden folder with pictures"
    (folder / "readings.jsonl").touch()  # what a run wrote is no news to the next one
    (folder / "summary.html").touch()
    (folder / "overlays").mkdir()
    assert counted(scan(folder).passed_over) == "3 entries: 2 hidden pictures, 1 hidden folder with pictures"


def test_a_watched_file_without_an_ending_is_given_once_it_is_a_picture(make_pictures: Callable[..., Path]) -> None:
    data = (make_pictures("a.png") / "a.png").read_bytes()
    folder = make_pictures(folder="incoming")
    with WatchedFolder(folder, poll_s=0.002) as camera:
        (folder / "IM1").write_bytes(b"")
        assert not sniff.is_picture_by_content(folder / "IM1")
        (folder / "IM1").write_bytes(data)
        frame = camera.read()
        assert frame is not None
        assert frame.source == "IM1"
