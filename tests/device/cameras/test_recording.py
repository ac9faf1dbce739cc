"""`Recording`: whole videos, cut ones, and files that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device import FrameUnreadable, Recording, SourceNotFound

CODECS = [("clip.avi", "MJPG"), ("clip.mp4", "mp4v"), ("clip.mkv", "FFV1"), ("clip.webm", "VP80")]


def read_all(camera: Recording) -> tuple[list[np.ndarray], list[FrameUnreadable]]:
    frames: list[np.ndarray] = []
    errors: list[FrameUnreadable] = []
    while True:
        try:
            frame = camera.read()
        except FrameUnreadable as error:
            errors.append(error)
            continue
        if frame is None:
            return frames, errors
        frames.append(frame.pixels)


@pytest.mark.parametrize(("name", "codec"), CODECS)
def test_every_frame_comes_in_rgb(make_video: Callable[..., Path], name: str, codec: str) -> None:
    with Recording(make_video(name, codec)) as camera:
        first = camera.read()
        assert first is not None
        assert first.source == f"{name}#00000"
        frames, errors = read_all(camera)
    assert (len(frames), errors) == (11, [])
    red = [float(pixels[..., 0].mean()) for pixels in frames]
    assert np.allclose(red, [20 * k for k in range(1, 12)], atol=8), "red is red, and frame k is frame k"


@pytest.mark.parametrize(("name", "codec"), [case for case in CODECS if case[1] != "mp4v"])
def test_a_cut_video_gives_its_whole_frames_then_one_error(
    make_video: Callable[..., Path], name: str, codec: str
) -> None:
    with Recording(make_video("whole_" + name, codec)) as whole:
        expected, _ = read_all(whole)
    with Recording(make_video(name, codec, keep=0.6)) as cut:
        frames, errors = read_all(cut)
        assert cut.read() is None
    assert 3 <= len(frames) <= 8
    for got, want in zip(frames, expected, strict=False):
        np.testing.assert_array_equal(got, want)
    assert len(errors) == 1
    assert f"states 12 frames and has {len(frames)} whole ones" in str(errors[0])
    assert errors[0].source == f"{name}#{len(frames):05d}"


def test_a_video_without_its_index_is_refused(make_video: Callable[..., Path]) -> None:
    with pytest.raises(SourceNotFound, match="cut off may lack its index"):
        Recording(make_video("clip.mp4", "mp4v", keep=0.6))


@pytest.mark.parametrize("content", [b"", b"hello world, I am a text", b"\0" * 4096])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(SourceNotFound, match=rf"clip\.mp4: not a video that can be opened \({len(content)} bytes"):
        Recording(tmp_path / "clip.mp4")


def test_a_missing_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no such file"):
        Recording(tmp_path / "gone.mp4")


QUIET_PROGRAM = """
import sys
from device import CameraError, Recording
for path in sys.argv[1:]:
    try:
        with Recording(path) as camera:
            while camera.read() is not None:
                pass
    except CameraError as error:
        print(error)
"""


@pytest.mark.system
def test_opencv_and_ffmpeg_write_nothing_on_stderr(make_video: Callable[..., Path]) -> None:
    # In a process of its own: FFmpeg takes its level when the first video is opened, here by the maker of the videos.
    paths = [make_video(keep=0.55), make_video("clip.mp4", "mp4v", keep=0.6), make_video("clip.mkv", "FFV1", keep=0.5)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    done = subprocess.run(
        [sys.executable, "-c", QUIET_PROGRAM, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""
