"""`open_gstreamer`: a camera through GStreamer, and a plain reason where that cannot be."""

from __future__ import annotations

import re
import shutil
import subprocess

import cv2

from device.cameras.gstreamer.config import GStreamerConfig, PipelineConfig
from device.cameras.gstreamer.pipeline import elements_of, makes_of, pipeline_of
from device.cameras.opencv.camera import CaptureCamera
from device.cameras.quiet import quiet
from device.errors import CameraError, Disconnected, DriverMissing, FrameTimeout, SourceNotFound
from device.schemes import shown_source
from device.secrets import hide_own_arguments

_OPEN_TIMEOUT_S = 10.0
_INSPECT_TIMEOUT_S = 10.0


def open_gstreamer(config: GStreamerConfig) -> CaptureCamera:
    """Start the pipeline.

    Raises `SettingRefused` for a pipeline that could hold old frames, `DriverMissing` when OpenCV was built without
    GStreamer or an element is not installed, `SourceNotFound` when the pipeline does not start.
    """
    hide_own_arguments()
    pipeline, makes = pipeline_of(config), makes_of(config)
    if not opencv_has_gstreamer():
        raise DriverMissing(
            "gstreamer: the OpenCV in use was built without GStreamer, as those of PyPI are; use the one that comes "
            "with JetPack, or camera:0 for a USB camera"
        )
    with quiet():
        capture = cv2.VideoCapture(
            pipeline,
            cv2.CAP_GSTREAMER,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                int(_OPEN_TIMEOUT_S * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                int(config.read_timeout_s * 1000),
            ],
        )
    if not capture.isOpened():
        capture.release()
        raise _not_started(pipeline)
    size = None if isinstance(config, PipelineConfig) else (config.width, config.height)
    return CaptureCamera(
        capture,
        name="gstreamer:",
        label="gstreamer",
        size=size,
        lost=lambda waited_s: _lost(waited_s, config.read_timeout_s),
        makes=makes,
    )


def opencv_has_gstreamer() -> bool:
    """Whether the OpenCV in use can run pipelines."""
    return re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()) is not None


def missing_elements(pipeline: str) -> list[str]:
    """Elements of the pipeline that are not installed, as far as `gst-inspect-1.0` is there to tell."""
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None:
        return []
    return [name for name in elements_of(pipeline) if not _exists(inspect, name)]


def _exists(inspect: str, name: str) -> bool:
    """Whether the element is installed; one that cannot be asked about counts as being there."""
    try:
        asked = subprocess.run([inspect, "--exists", name], capture_output=True, timeout=_INSPECT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return True
    return asked.returncode == 0


def _not_started(pipeline: str) -> CameraError:
    missing = missing_elements(pipeline)
    if missing:
        return DriverMissing(
            f"gstreamer: no element {', '.join(missing)} on this machine (those named nv... come with JetPack); "
            "expected all of: " + ", ".join(elements_of(pipeline))
        )
    return SourceNotFound(
        f"gstreamer: the pipeline does not start; try it by hand: gst-launch-1.0 {shown_source(pipeline)}; "
        "a camera may be busy, or not have that size or rate"
    )


def _lost(waited_s: float, timeout_s: float) -> CameraError:
    if waited_s > 0.9 * timeout_s:
        return FrameTimeout(f"gstreamer: no frame came in {waited_s:.1f} s; check the cable, or open it again")
    return Disconnected("gstreamer: the pipeline ended; check the cable, or open it again")
