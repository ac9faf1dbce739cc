"""A V4L2 camera that writes into the slots of the ring, by a stand-in for the kernel's udmabuf and camera."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.daemon.client import Client
from tests.busy import at_a_calm_moment
from tests.device.test_pixels import laid_out, to_yuv
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, SOURCES, C, build, tool

pytestmark = pytest.mark.system
WIDTH, HEIGHT = 322, 240
"""Of a picture that ends within a page."""
FRAMES = 6


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not Path("/usr/include/linux/udmabuf.h").exists():
        pytest.skip("no linux/udmabuf.h on this machine (Debian: linux-libc-dev)")
    folder = tmp_path_factory.mktemp("v4l2")
    command = [tool("gcc"), "-std=gnu11", "-Wall", "-Werror", "-shared", "-fPIC", HERE / "fake_v4l2.c", "-o"]
    subprocess.run([*map(str, command), str(folder / "fake.so")], check=True, timeout=300)
    return build("gcc", folder / "v4l2", "-O2", C / "ropscreen_v4l2.c", *SOURCES)


def called(
    program: Path, socket: Path, picture: Path, mode: str = "", device: str = "/dev/video-fake", code: int = 0
) -> tuple[list[str], str]:
    environment = os.environ | {
        "LD_PRELOAD": str(program.with_name("fake.so")),
        "FAKE_MODE": mode,
        "FAKE_PICTURE": str(picture),
    }
    command = [program, socket, device, str(WIDTH), str(HEIGHT), str(FRAMES)]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines(), done.stderr


def picture_in(folder: Path, *, dark: bool = False) -> Path:
    pixels = retina(width=WIDTH, height=HEIGHT)
    yuv = to_yuv(np.zeros_like(pixels) if dark else pixels, ColourMatrix.BT709, Range.LIMITED)
    path = folder / "picture"
    path.write_bytes(laid_out(yuv, PixelFormat.YUYV, 2 * WIDTH).tobytes())
    return path


@pytest.mark.parametrize("mode", ["", "torn"])
def test_what_the_camera_wrote_is_read(program: Path, lasting_daemon: Path, tmp_path: Path, mode: str) -> None:
    """A slot is the camera's, then the daemon's, then the camera's again; frames that are not whole are nobody's."""

    def is_read() -> None:
        with Client(lasting_daemon, "watch") as client:
            before = client.health()
            lines, _ = called(program, lasting_daemon, picture_in(tmp_path), mode)
            after = client.health()
        assert len(lines) >= FRAMES
        assert (after.torn, after.refused) == (before.torn, before.refused)
        read = [line for line in lines if line.partition(" ")[2].startswith("No referral findings")]
        assert 2 <= len(read) <= after.frames - before.frames
        assert all(int(line.partition(" ")[0]) > 0 for line in read)

    def is_told_dark() -> None:
        dark, _ = called(program, lasting_daemon, picture_in(tmp_path, dark=True), mode)
        assert any("too dark" in line for line in dark)
        assert not any("No referral" in line for line in dark)

    at_a_calm_moment(is_read)  # a busy machine may be late with every frame
    at_a_calm_moment(is_told_dark)


REFUSED = {
    "no udmabuf": "/dev/udmabuf: cannot be opened (.+): load the module udmabuf and allow this user, or copy frames",
    "no stream": "is no V4L2 camera that streams",
    "no yuyv": "gives no YUYV; take another format",
    "other size": "set 322 x 240, the camera gives 338 x 240",
    "no dmabuf": "its driver takes no DMA buffers of others; copy its frames",
    "no matrix": "the driver does not say by which matrix its YUV was made",
    "lost": r"the camera is lost \(No such device\)",
}


@pytest.mark.parametrize("mode", REFUSED)
def test_what_cannot_be_is_said_in_words(program: Path, lasting_daemon: Path, tmp_path: Path, mode: str) -> None:
    _, said = called(program, lasting_daemon, picture_in(tmp_path), mode, code=2)
    assert re.search(REFUSED[mode], said), said
    assert len(said.splitlines()) == 1


def test_without_a_camera_a_daemon_or_the_right_call(program: Path, lasting_daemon: Path, tmp_path: Path) -> None:
    picture = picture_in(tmp_path)
    _, said = called(program, lasting_daemon, picture, device=str(tmp_path / "video9"), code=2)
    assert "cannot be opened (No such file or directory)" in said
    _, said = called(program, lasting_daemon, picture, device=str(picture), code=2)
    assert "is no V4L2 camera that streams" in said
    _, said = called(program, tmp_path / "nobody", picture, code=2)
    assert "ropscreen-v4l2: " in said
    done = subprocess.run([program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.split(":")[1]) == (2, " usage")
