"""Cameras through OpenCV: V4L2 devices; and how sources are set."""

from device.cameras.opencv.camera import CaptureCamera
from device.cameras.opencv.config import StreamConfig, V4L2Config
from device.cameras.opencv.device import open_v4l2

__all__ = ["CaptureCamera", "StreamConfig", "V4L2Config", "open_v4l2"]
