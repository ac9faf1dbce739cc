"""Cameras through GStreamer, where OpenCV has it: CSI and USB cameras of a Jetson, or a pipeline in words."""

from device.cameras.gstreamer.config import CsiConfig, PipelineConfig, UsbConfig, parse_gstreamer
from device.cameras.gstreamer.open import open_gstreamer
from device.cameras.gstreamer.pipeline import check_pipeline, pipeline_of

__all__ = [
    "CsiConfig",
    "PipelineConfig",
    "UsbConfig",
    "check_pipeline",
    "open_gstreamer",
    "parse_gstreamer",
    "pipeline_of",
]
