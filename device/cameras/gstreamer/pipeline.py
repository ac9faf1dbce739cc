"""Pipelines as text: built from settings, and checked so that they can hold no old frames."""

from __future__ import annotations

import re

from device.cameras.gstreamer.config import CsiConfig, GStreamerConfig, UsbConfig
from device.errors import SettingRefused
from device.secrets import shortened

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
        return f"v4l2src device={config.device} ! image/jpeg,{size} ! {SINK}"
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
            f"pipeline ends in {shortened(element)!r}; expected `... ! video/x-raw,format=BGR ! {SINK}`"
        )
    for name, values in (("drop", ("true", "1")), ("max-buffers", ("1",)), ("sync", ("false", "0"))):
        if given.get(name) not in values:
            got = f"{name}={given[name]}" if name in given else f"no {name}"
            raise SettingRefused(f"pipeline's appsink has {got}; expected `{SINK}`, or old frames would queue")
    return text


def elements_of(text: str) -> list[str]:
    """Names of the elements in the order in which they stand, without the formats between them."""
    parts = (part.split(maxsplit=1)[0] for part in re.split(r"\s*!\s*", text.strip()) if part)
    return [name for name in parts if "/" not in name]
