"""Cameras through OpenCV: V4L2 devices, and streams over the network."""

from device.cameras.opencv.camera import CaptureCamera
from device.cameras.opencv.config import StreamConfig, V4L2Config
from device.cameras.opencv.device import open_v4l2
from device.cameras.opencv.stream import open_stream

__all__ = ["CaptureCamera", "StreamConfig", "V4L2Config", "open_stream", "open_v4l2"]
