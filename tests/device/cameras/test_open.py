"""`open_camera`: every form of a source, and a clear line for what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device import Pictures, Recording, SimulatedCamera, SourceNotFound, WatchedFolder, open_camera


def test_each_form_opens_its_driver(make_pictures: Callable[..., Path], make_video: Callable[..., Path]) -> None:
    folder = make_pictures("a.PNG")
    for spec, driver in (
        (str(folder), Pictures),
        (str(folder / "a.PNG"), Pictures),
        (str(make_video()), Recording),
        ("sim:size=64x48", SimulatedCamera),
    ):
        with open_camera(spec) as camera:
            assert type(camera) is driver
    with open_camera(str(folder), watch=True) as camera:
        assert type(camera) is WatchedFolder


def test_an_empty_folder_can_be_watched(tmp_path: Path) -> None:
    with open_camera(str(tmp_path), watch=True) as camera:
        assert camera.frame_count is None


@pytest.mark.parametrize("spec", ["camera:0", "rtsp://cart/eye", "http://cart/eye", "https://cart/eye", "aravis:"])
def test_what_later_versions_drive_is_refused_plainly(spec: str) -> None:
    with pytest.raises(SourceNotFound, match="this version has no driver for it"):
        open_camera(spec)


@pytest.mark.parametrize("spec", ["", "nowhere", "usb:3", "nowhere.png", "simulated", "a\0b"])
def test_anything_else_is_refused_with_what_is_understood(spec: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"expected a picture \(JPEG.*folder of pictures.*video.*sim:"):
        open_camera(spec)


def test_a_file_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceNotFound, match=r"unknown kind \(\.txt\)"):
        open_camera(str(tmp_path / "notes.txt"))


def test_only_a_folder_can_be_watched(make_pictures: Callable[..., Path]) -> None:
    for spec in (str(make_pictures("a.png") / "a.png"), "sim:", "nowhere"):
        with pytest.raises(SourceNotFound, match="only a folder can be watched"):
            open_camera(spec, watch=True)
