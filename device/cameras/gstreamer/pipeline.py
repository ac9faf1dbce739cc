"""Pipelines as text: built from settings, and checked so that they can hold no old frames."""

from __future__ import annotations

import re

import cv2

from device.cameras.gstreamer.config import CsiConfig, GStreamerConfig, UsbConfig
from device.cameras.opencv.unconverted import Makes, from_bgr, from_four, from_jpeg, from_yuv
from device.errors import SettingRefused
from device.pixels import ColourMatrix, PixelFormat, Range
from device.schemes import shown_source

SINK = "appsink drop=true max-buffers=1 sync=false"
"""Keeps one frame, the newest, and gives it when it comes, not when its time stamp says that it should be shown."""
_TO_BGR = "nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR"
"""The board's converter does all but the last step, which drops a byte of each pixel on the CPU."""


def pipeline_of(config: GStreamerConfig) -> str:
    """The pipeline's text; raises `SettingRefused` for one in words that could hold old frames."""
    if isinstance(config, CsiConfig):
        return f"{_csi_source(config)} ! {_TO_BGR} ! {SINK}"
    if isinstance(config, UsbConfig):
        size = f"width={config.width},height={config.height},framerate={config.fps}/1"
        # The JPEG as it came: the board's decoder makes a picture of a torn one and says nothing.
        kind = "image/jpeg" if config.format == "JPEG" else f"video/x-raw,format={config.format}"
        return f"v4l2src device={config.device} ! {kind},{size} ! {SINK}"
    return check_pipeline(config.pipeline)


def _csi_source(config: CsiConfig) -> str:
    source = f"nvarguscamerasrc sensor-id={config.sensor}"
    if config.exposure_ms is not None:
        exposure_ns = round(config.exposure_ms * 1e6)
        source += f' exposuretimerange="{exposure_ns} {exposure_ns}"'
    size = f"width={config.width},height={config.height},framerate={config.fps}/1"
    return f"{source} ! video/x-raw(memory:NVMM),{size}"


def check_pipeline(text: str) -> str:
    """The text itself when it ends in a sink that drops old frames; raises `SettingRefused`.

    Without `drop`, a sink queues: the newest reading would be of a frame from seconds ago.
    """
    *_, sink = text.split("!")
    element, *settings = sink.split() or [""]
    given = {name: value.lower() for name, _, value in (setting.partition("=") for setting in settings)}
    if element != "appsink":
        raise SettingRefused(
            f"pipeline ends in {shown_source(element)!r}; expected `... ! video/x-raw,format=BGR ! {SINK}`"
        )
    for name, values in (("drop", ("true", "1")), ("max-buffers", ("1",)), ("sync", ("false", "0"))):
        if given.get(name) not in values:
            got = f"{name}={shown_source(given[name])}" if name in given else f"no {name}"
            raise SettingRefused(f"pipeline's appsink has {got}; expected `{SINK}`, or old frames would queue")
    return text


_YUV = {"NV12": PixelFormat.NV12, "YUY2": PixelFormat.YUYV, "UYVY": PixelFormat.UYVY}
_FOUR = {
    **dict.fromkeys(("RGBx", "RGBA"), cv2.COLOR_RGBA2RGB),
    **dict.fromkeys(("BGRx", "BGRA"), cv2.COLOR_BGRA2RGB),
}
_COLORIMETRY = {"bt601": "2:4", "bt709": "2:3"}
_RANGES = {"1": Range.FULL, "2": Range.LIMITED}
_MATRICES = {"3": ColourMatrix.BT709, "4": ColourMatrix.BT601}
"""GStreamer's numbers of `GstVideoColorRange` and `GstVideoColorMatrix`."""


def makes_of(config: GStreamerConfig) -> Makes:
    """RGB of what the pipeline gives. Raises `SettingRefused` for what it says that cannot be made RGB rightly."""
    if isinstance(config, CsiConfig):
        return from_bgr
    if isinstance(config, UsbConfig):
        if config.matrix is None or config.range is None:
            return from_jpeg
        return from_yuv(_YUV[config.format], ColourMatrix[config.matrix.upper()], Range[config.range.upper()])
    caps = config.pipeline.split("!")[-2].strip() if "!" in config.pipeline else ""
    if caps.startswith("image/jpeg"):
        return from_jpeg
    found = re.search(r"[,\s]format=(?:\(string\))?\s*\"?(\w+)", caps)
    name = "BGR" if found is None else found[1]
    if name == "BGR":
        return from_bgr
    if name in _FOUR:
        return from_four(_FOUR[name], name)
    if name not in _YUV:
        known = ", ".join(("BGR", *_FOUR, *_YUV))
        raise SettingRefused(
            f"pipeline gives {shown_source(name)!r}; expected {known} or image/jpeg before the appsink"
        )
    said = re.search(r"[,\s]colorimetry=(?:\(string\))?\s*\"?([\w:.]+)", caps)
    levels, _, rest = _COLORIMETRY.get(said[1], said[1]).partition(":") if said else ("", "", "")
    matrix = rest.split(":")[0]
    if levels not in _RANGES or matrix not in _MATRICES:
        got = f"colorimetry={said[1]}" if said else "no colorimetry"
        raise SettingRefused(
            f"pipeline gives {name} with {shown_source(got)!r}; expected {name}'s matrix and range, as in "
            f"video/x-raw,format={name},colorimetry=bt601 (or bt709, or 1:4:0:0 for BT.601 of full range)"
        )
    return from_yuv(_YUV[name], _MATRICES[matrix], _RANGES[levels])


def elements_of(text: str) -> list[str]:
    """Names of the elements in the order in which they stand, without the formats between them."""
    parts = (part.split(maxsplit=1)[0] for part in re.split(r"\s*!\s*", text.strip()) if part)
    return [name for name in parts if "/" not in name]
