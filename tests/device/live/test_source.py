"""Which sources get a live reader, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.cameras.files import Pictures, WatchedFolder
from device.errors import SourceNotFound
from device.live import keeps_its_own_time, open_source, shown_source


@pytest.mark.parametrize(
    ("spec", "live"),
    [
        ("sim:", False),
        ("sim:fps=30", True),
        ("camera:0", True),
        ("camera:/dev/video0,width=640", True),
        ("rtsp://cart/eye", True),
        ("RTSP://cart/eye", True),
        ("http://10.0.0.1:8080/eye", True),
        ("aravis:", True),
        ("gstreamer:csi,sensor=0", True),
        ("photos", False),
        ("photos/eye.png", False),
        ("C:\\photos", False),
        ("", False),
    ],
)
def test_which_sources_keep_their_own_time(spec: str, live: bool) -> None:
    assert keeps_its_own_time(spec) is live


def test_a_file_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eye:1.png").write_bytes(b"x")
    assert not keeps_its_own_time("eye:1.png")


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("rtsp://nurse:secret@cart:554/eye?x=1", "rtsp://***@cart:554/eye?x=***"),
        ("http://nurse@cart/eye", "http://***@cart/eye"),
        ("rtsp://a:p@ss@cart/eye", "rtsp://***@cart/eye"),
        ("rtsp://cart/eye", "rtsp://cart/eye"),
        ("camera:0", "camera:0"),
        ("sim:fps=5", "sim:fps=5"),
    ],
)
def test_no_password_is_shown(spec: str, shown: str) -> None:
    assert shown_source(spec) == shown


def test_stored_pictures_open_as_they_are(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with open_source(str(tmp_path)) as camera:
        assert isinstance(camera, Pictures)
    with open_source(str(tmp_path), watch=True, state=tmp_path / "seen") as camera:
        assert isinstance(camera, WatchedFolder)
    with pytest.raises(SourceNotFound, match="only a folder can be watched"):
        open_source("sim:fps=5", watch=True)


def test_a_source_that_no_driver_knows_is_refused() -> None:
    with pytest.raises(SourceNotFound, match="no source is called magic:; expected a picture"):
        open_source("magic:1")
