"""Cameras through OpenCV: V4L2 devices and network streams."""
