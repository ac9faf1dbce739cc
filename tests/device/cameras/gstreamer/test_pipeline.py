"""Pipelines as text, checked against GStreamer's own tools where they are, and refused where old frames could queue."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from device import Disconnected, FrameTimeout, SourceNotFound, open_camera
from device.cameras.gstreamer import CsiConfig, PipelineConfig, UsbConfig, check_pipeline, parse_gstreamer, pipeline_of
from device.cameras.gstreamer import open as module
from device.cameras.gstreamer.pipeline import SINK, elements_of, makes_of
from device.errors import DriverMissing, SettingRefused
from tests.device.cameras.opencv.kernel import Capture

ENDS_UNREAD = "wait-on-eos=false"
"""Lets gst-launch-1.0 end although nobody takes the last frame from the sink."""
OWN = f"videotestsrc ! videoconvert ! video/x-raw,format=BGR,width=64,height=48 ! {SINK}"


def test_a_csi_camera() -> None:
    config = parse_gstreamer("gstreamer:csi,sensor=1,width=1280,height=720,fps=60,exposure_ms=8")
    assert isinstance(config, CsiConfig)
    assert pipeline_of(config) == (
        'nvarguscamerasrc sensor-id=1 exposuretimerange="8000000 8000000" '
        "! video/x-raw(memory:NVMM),width=1280,height=720,framerate=60/1 "
        "! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR "
        "! appsink drop=true max-buffers=1 sync=false"
    )


def test_a_usb_camera() -> None:
    config = parse_gstreamer("gstreamer:usb,device=/dev/video2")
    assert isinstance(config, UsbConfig)
    assert pipeline_of(config) == (
        "v4l2src device=/dev/video2 ! image/jpeg,width=1920,height=1080,framerate=30/1 "
        "! appsink drop=true max-buffers=1 sync=false"
    )


def test_a_device_cannot_smuggle_in_another_element() -> None:
    with pytest.raises(ValueError, match="pattern"):
        UsbConfig(device="/dev/video0 ! filesink location=x")


def test_a_pipeline_in_words_is_kept() -> None:
    config = parse_gstreamer(f"gstreamer:{OWN}")
    assert isinstance(config, PipelineConfig)
    assert pipeline_of(config) == OWN
    assert elements_of(OWN) == ["videotestsrc", "videoconvert", "appsink"]


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        ("autovideosink", "ends in 'autovideosink'"),
        ("appsink", "no drop"),
        ("appsink drop=false max-buffers=1 sync=false", "drop=false"),
        ("appsink drop=true max-buffers=4 sync=false", "max-buffers=4"),
        ("appsink drop=true max-buffers=1", "no sync"),
    ],
)
def test_a_pipeline_that_could_hold_old_frames_is_refused(sink: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        check_pipeline(f"videotestsrc ! {sink}")


def test_an_empty_end_is_refused() -> None:
    with pytest.raises(SettingRefused, match="ends in ''"):
        check_pipeline("videotestsrc ! ")


@pytest.mark.system
def test_gstreamer_takes_what_is_not_nvidias_of_the_pipelines() -> None:
    """The board's own elements are replaced by the plain ones that do the same; the rest runs as it is."""
    launch = shutil.which("gst-launch-1.0")
    if launch is None:
        pytest.skip("gst-launch-1.0 is not installed (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-good)")
    stand_ins = {
        "nvarguscamerasrc sensor-id=0": "videotestsrc num-buffers=5",
        "v4l2src device=/dev/video0": "videotestsrc num-buffers=5 ! jpegenc",
        "video/x-raw(memory:NVMM)": "video/x-raw",
        "nvjpegdec": "jpegdec",
        "nvvidconv": "videoconvert",
    }
    for config in (CsiConfig(width=320, height=240), UsbConfig(width=320, height=240)):
        text = pipeline_of(config)
        for nvidias, plain in stand_ins.items():
            text = text.replace(nvidias, plain)
        done = subprocess.run([launch, "-q", *text.split(), ENDS_UNREAD], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr


def test_where_opencv_has_no_gstreamer_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  Video I/O:\n    GStreamer:                   NO\n")
    with pytest.raises(DriverMissing, match="built without GStreamer"):
        open_camera("gstreamer:csi")


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Capture:
    capture = Capture(size=(1920, 1080))
    monkeypatch.setattr(module, "opencv_has_gstreamer", lambda: True)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    return capture


def test_where_it_has_it_frames_come(capture: Capture) -> None:
    with open_camera("gstreamer:csi") as camera:
        frame = camera.read()
        assert frame is not None
        assert (frame.source, frame.width, frame.height) == ("gstreamer:0", 1920, 1080)
        capture.frames = lambda index: False
        with pytest.raises(Disconnected, match="the pipeline ended"):
            camera.read()
    assert capture.released == 1
    with open_camera("gstreamer:csi,read_timeout_s=0.000001") as camera, pytest.raises(FrameTimeout):
        camera.read()


@pytest.mark.system
def test_a_pipeline_that_does_not_start_says_what_is_missing(capture: Capture) -> None:
    capture.opens = False
    if shutil.which("gst-inspect-1.0") is None:
        pytest.skip("gst-inspect-1.0 is not installed (Debian: gstreamer1.0-tools)")
    with pytest.raises(SourceNotFound, match=r"does not start; try it by hand: gst-launch-1\.0 videotestsrc"):
        open_camera(f"gstreamer:{OWN}")
    with pytest.raises(DriverMissing, match="no element nosuchthing on this machine"):
        open_camera(f"gstreamer:nosuchthing ! {SINK}")
    assert capture.released == 2


def test_an_inspection_that_hangs_does_not_hide_the_reason(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("gst-inspect-1.0", 10)

    capture.opens = False
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(SourceNotFound, match="does not start; try it by hand"):
        open_camera(f"gstreamer:{OWN}")


@pytest.mark.parametrize(
    "caps", ["format=NV12,colorimetry=bt601", "format=YUY2,colorimetry=bt709", "format=UYVY,colorimetry=1:4:0:0"]
)
@pytest.mark.system
def test_yuv_of_a_pipeline_has_the_colours_that_gstreamer_itself_gives(caps: str, tmp_path: Path) -> None:
    launch = shutil.which("gst-launch-1.0")
    if launch is None:
        pytest.skip("gst-launch-1.0 is not installed (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-good)")
    size = "width=64,height=48"
    begin = f"{launch} -q videotestsrc num-buffers=1 pattern=smpte100 ! video/x-raw,{caps},{size}"
    kept = f"tee name=t ! queue ! filesink location={tmp_path}/yuv t. ! queue"
    converted = f"videoconvert dither=0 ! video/x-raw,format=RGB ! filesink location={tmp_path}/rgb"
    done = subprocess.run(
        f"{begin} ! {kept} ! {converted}".split(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    expected = np.fromfile(tmp_path / "rgb", np.uint8).reshape(48, 64, 3)
    yuv = np.fromfile(tmp_path / "yuv", np.uint8).reshape((72, 64) if "NV12" in caps else (48, 64, 2))
    swapped = (
        caps.replace("bt709", "bt601") if "bt709" in caps else caps.replace("bt601", "bt709").replace("1:4", "1:3")
    )
    off = []
    for said in (caps, swapped):
        made = makes_of(PipelineConfig(pipeline=f"videotestsrc ! video/x-raw,{said} ! {SINK}"))(yuv)
        off.append(np.median(np.abs(made.astype(int) - expected.astype(int)).max(2)))
    assert off[0] <= 3 < 8 < off[1], "GStreamer counts in fewer bits"


@pytest.mark.parametrize("name", ["RGBx", "RGBA", "BGRx", "BGRA", "BGR"])
def test_pixels_of_four_bytes_are_rgb_in_their_order(name: str) -> None:
    given = np.zeros((4, 6, len(name)), np.uint8)
    for channel, value in (("R", 10), ("G", 20), ("B", 30)):
        given[..., name.index(channel)] = value + np.arange(24).reshape(4, 6)
    made = makes_of(PipelineConfig(pipeline=f"a ! video/x-raw, format=(string){name}, width=6 ! {SINK}"))(given)
    assert made[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ("video/x-raw,format=NV12", "gives NV12 with 'no colorimetry'"),
        ("video/x-raw,format=UYVY,colorimetry=bt2020", "'colorimetry=bt2020'"),
        ("video/x-raw,format=YUY2,colorimetry=0:4:0:0", "'colorimetry=0:4:0:0'"),
        ("video/x-raw,format=I420,colorimetry=bt601", "gives 'I420'; expected BGR"),
        ("video/x-raw,format=GRAY8", "gives 'GRAY8'; expected BGR"),
    ],
)
def test_a_pipeline_whose_colours_would_be_guessed_is_refused(caps: str, words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        makes_of(PipelineConfig(pipeline=f"videotestsrc ! {caps} ! {SINK}"))


def test_a_usb_camera_that_sends_yuv() -> None:
    config = parse_gstreamer(
        "gstreamer:usb,device=/dev/video2,format=NV12,matrix=bt709,range=limited,width=640,height=480"
    )
    assert (
        pipeline_of(config)
        == f"v4l2src device=/dev/video2 ! video/x-raw,format=NV12,width=640,height=480,framerate=30/1 ! {SINK}"
    )
    assert makes_of(config)(np.full((720, 640), 128, np.uint8)).shape == (480, 640, 3)
    for spec, words in (
        ("format=NV12", "expected both with NV12"),
        ("range=full", "none with JPEG"),
        ("format=UYVY,matrix=bt601", "expected both"),
    ):
        with pytest.raises(SettingRefused, match=words):
            parse_gstreamer(f"gstreamer:usb,{spec}")
