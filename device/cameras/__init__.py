"""Cameras: every source of frames, and `open_camera`, which chooses one by what the user wrote."""

from device.cameras.base import Camera
from device.cameras.open import open_camera

__all__ = ["Camera", "open_camera"]
