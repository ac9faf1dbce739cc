"""`list_cameras`: what is listed can be opened, and what cannot says why."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from device import open_camera
from device.cameras.listing import list_cameras
from tests.device.cameras.opencv.kernel import METADATA, plug_in


@pytest.fixture(autouse=True)
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is not searched here; test_aravis.py does it."""
    monkeypatch.setattr("device.cameras.aravis.discovery.discover", list)


def test_a_v4l2_camera_is_listed_with_what_it_can_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = plug_in(monkeypatch, tmp_path)
    camera = next(camera for camera in list_cameras() if camera.kind == "v4l2")
    assert (camera.source, camera.name, camera.problem) == (f"camera:{kernel.device}", "Eye Camera", None)
    assert "MJPG 1280x720 30/15 fps" in map(str, camera.modes)
    with open_camera(camera.source) as opened:
        assert opened.read() is not None


def test_its_second_node_for_metadata_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plug_in(monkeypatch, tmp_path).capabilities = METADATA
    assert [camera.kind for camera in list_cameras()] == ["simulated", "simulated"]


def test_one_that_may_not_be_opened_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plug_in(monkeypatch, tmp_path)

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:  # undone before pytest removes the folder
        patched.setattr(os, "open", refuse)
        camera = next(camera for camera in list_cameras() if camera.kind == "v4l2")
    assert camera.problem is not None
    assert "permission denied" in camera.problem


def test_the_simulated_ones_open() -> None:
    simulated = [camera for camera in list_cameras() if camera.kind == "simulated"]
    assert len(simulated) == 2
    for listed in simulated:
        with open_camera(listed.source + ",frames=1") as camera:
            frame = camera.read()
        assert frame is not None
        assert (frame.width, frame.height) == (listed.modes[0].width, listed.modes[0].height)
