"""What the kernel is asked about a camera, and the reasons why one cannot be used."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from device import SourceNotFound
from device.cameras.mode import Mode
from device.cameras.opencv import controls, v4l2
from device.errors import CameraBusy, CameraNotPermitted
from tests.device.cameras.opencv.kernel import METADATA, plug_in

REQUESTS = {
    "VIDIOC_QUERYCAP": (v4l2.QUERYCAP, "v4l2_capability", 104),
    "VIDIOC_ENUM_FMT": (v4l2.ENUM_FMT, "v4l2_fmtdesc", 64),
    "VIDIOC_REQBUFS": (v4l2.REQBUFS, "v4l2_requestbuffers", 20),
    "VIDIOC_ENUM_FRAMESIZES": (v4l2.ENUM_FRAMESIZES, "v4l2_frmsizeenum", 44),
    "VIDIOC_ENUM_FRAMEINTERVALS": (v4l2.ENUM_FRAMEINTERVALS, "v4l2_frmivalenum", 52),
    "VIDIOC_QUERYCTRL": (controls.QUERYCTRL, "v4l2_queryctrl", 68),
    "VIDIOC_G_CTRL": (controls.G_CTRL, "v4l2_control", 8),
    "VIDIOC_S_CTRL": (controls.S_CTRL, "v4l2_control", 8),
}
NUMBERS = {
    "V4L2_CID_EXPOSURE_ABSOLUTE": controls.KINDS[0].number,
    "V4L2_CID_EXPOSURE_AUTO": controls.KINDS[0].automatic,
    "V4L2_EXPOSURE_MANUAL": controls.KINDS[0].by_hand,
    "V4L2_EXPOSURE_APERTURE_PRIORITY": controls.KINDS[0].by_camera[0],
    "V4L2_EXPOSURE_AUTO": controls.KINDS[0].by_camera[1],
    "V4L2_CID_FOCUS_ABSOLUTE": controls.KINDS[1].number,
    "V4L2_CID_FOCUS_AUTO": controls.KINDS[1].automatic,
    "V4L2_CID_GAIN": controls.KINDS[2].number,
    "V4L2_CID_AUTOGAIN": controls.KINDS[2].automatic,
    "V4L2_CTRL_FLAG_DISABLED | V4L2_CTRL_FLAG_READ_ONLY": 5,
}
OFFSETS = {
    "v4l2_capability": {"card": 16, "bus_info": 48, "capabilities": 84, "device_caps": 88},
    "v4l2_fmtdesc": {"type": 4, "pixelformat": 44},
    "v4l2_frmsizeenum": {"pixel_format": 4, "type": 8, "discrete": 12},
    "v4l2_queryctrl": {"minimum": 40, "maximum": 44, "step": 48, "flags": 56},
    "v4l2_control": {"value": 4},
    "v4l2_frmivalenum": {"pixel_format": 4, "width": 8, "height": 12, "type": 16, "discrete": 20},
}


@pytest.mark.system
def test_numbers_and_layouts_are_those_of_the_kernels_header(tmp_path: Path) -> None:
    if shutil.which("cc") is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and linux/videodev2.h")
    checks = [f'_Static_assert({name} == {number}u, "");' for name, (number, _, _) in REQUESTS.items()]
    checks += [f'_Static_assert(({name}) == {number}u, "");' for name, number in NUMBERS.items()]
    checks += [f'_Static_assert(sizeof(struct {kind}) == {size}, "");' for _, kind, size in REQUESTS.values()]
    checks += [
        f'_Static_assert(offsetof(struct {kind}, {name}) == {offset}, "");'
        for kind, places in OFFSETS.items()
        for name, offset in places.items()
    ]
    source = tmp_path / "check.c"
    source.write_text("#include <stddef.h>\n#include <linux/videodev2.h>\n" + "\n".join(checks) + "\n")
    done = subprocess.run(["cc", "-fsyntax-only", str(source)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_camera_tells_its_name_and_modes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = plug_in(monkeypatch, tmp_path)
    node = v4l2.check_usable(str(kernel.device))
    assert (node.name, node.bus) == ("Eye Camera", "usb-1.2")
    assert node.modes == (
        Mode("MJPG", 1280, 720, (30.0, 15.0)),
        Mode("MJPG", 640, 480, (30.0,)),
        Mode("YUYV", 640, 480, (10.0,)),
    )
    assert str(node.modes[0]) == "MJPG 1280x720 30/15 fps"


def test_a_node_for_metadata_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = plug_in(monkeypatch, tmp_path)
    kernel.capabilities = METADATA
    with pytest.raises(SourceNotFound, match=r"gives no pictures .*metadata.*; expected one of .*video0"):
        v4l2.query(str(kernel.device))


def test_a_camera_that_another_program_holds_is_busy_and_that_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = plug_in(monkeypatch, tmp_path)
    kernel.busy = True
    monkeypatch.setattr(v4l2, "holders", lambda path: [4711])
    with pytest.raises(CameraBusy, match="video0: busy, process 4711 holds the camera; close it"):
        v4l2.check_usable(str(kernel.device))
    v4l2.query(str(kernel.device))  # what it is may be asked all the same


@pytest.mark.system
def test_who_holds_a_file_is_found(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    with held.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as other:
        assert v4l2.holders(str(held)) == [other.pid], "and not this process, which has it open as well"
        other.kill()


def test_a_camera_of_another_group_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = plug_in(monkeypatch, tmp_path)

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:  # undone before pytest removes the folder
        patched.setattr(os, "open", refuse)  # tests may run as root, whom no file mode stops
        with pytest.raises(CameraNotPermitted, match=r"belongs to group '\w+': run `sudo usermod -aG \w+ \$USER`"):
            v4l2.query(str(kernel.device))


def test_what_is_no_camera_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SourceNotFound, match="not a camera, but a file"):
        v4l2.query(str(tmp_path / "file"))
    with pytest.raises(SourceNotFound, match=r"no such camera \(No such file"):
        v4l2.query(str(tmp_path / "gone"))
    kernel = plug_in(monkeypatch, tmp_path)
    kernel.is_camera = False
    with pytest.raises(SourceNotFound, match=r"not a camera \(Inappropriate ioctl"):
        v4l2.query(str(kernel.device))


def test_a_real_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(SourceNotFound, match="not a camera"):
        v4l2.query("/dev/null")
