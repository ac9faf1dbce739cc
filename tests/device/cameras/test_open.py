"""`open_camera`: every form of a source, and a clear line for what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device import Pictures, Recording, SimulatedCamera, SourceNotFound, WatchedFolder, open_camera
from device.errors import SettingRefused


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


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("camera:/dev/nothing", "/dev/nothing: no such camera"),
        ("rtsp://127.0.0.1:1/eye", "nothing answers at 127.0.0.1 port 1"),
        ("HTTP://127.0.0.1:1/eye", "nothing answers at 127.0.0.1 port 1"),
        ("rtsp://127.0.0.1:nowhere/eye", "no address that can be used"),
    ],
)
def test_a_camera_that_is_not_there_is_named(spec: str, words: str) -> None:
    with pytest.raises(SourceNotFound, match=words):
        open_camera(spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("camera:", "got '' as the camera; expected its number or path first"),
        (
            "camera:0,zoom=3",
            "unknown setting 'zoom=3'; expected width, height, fps, fourcc, matrix, range, exposure_ms",
        ),
        ("camera:0,width=2,height=3", "width: got '2', expected greater than or equal to 16"),
        ("camera:0,width=640,width=640", "width is set twice"),
        ("camera:0,fourcc=mjpeg", "fourcc: got 'mjpeg'"),
        ("rtsp://me:secret@cart/eye#zoom=3", r"rtsp://\*\*\*@cart/eye#zoom=3': unknown setting"),
        ("aravis:,pixel_format=Mono12", "pixel_format: got 'Mono12', expected 'RGB8', 'BGR8'"),
        ("gstreamer:webcam", "got 'webcam'; expected csi, usb or a whole pipeline"),
        ("gstreamer:csi,sensor=99", "sensor: got '99'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_can(spec: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=words) as caught:
        open_camera(spec)
    assert "secret" not in str(caught.value)


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
