"""What touches hardware: cameras, and the files and simulations that stand in for them.

`import device` is cheap: OpenCV and Pillow are imported by the driver that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.cameras.base import Camera
from device.cameras.open import open_camera
from device.errors import CameraError, DeviceError, Disconnected, FrameTimeout, FrameUnreadable, SourceNotFound
from device.frame import Frame, GroundTruth

if TYPE_CHECKING:
    from device.cameras.files import Pictures, WatchedFolder
    from device.cameras.simulated import SimulatedCamera, SimulatedConfig
    from device.cameras.video import Recording

__all__ = [
    "Camera",
    "CameraError",
    "DeviceError",
    "Disconnected",
    "Frame",
    "FrameTimeout",
    "FrameUnreadable",
    "GroundTruth",
    "Pictures",
    "Recording",
    "SimulatedCamera",
    "SimulatedConfig",
    "SourceNotFound",
    "WatchedFolder",
    "open_camera",
]

_DRIVERS = {
    "Pictures": "device.cameras.files",
    "WatchedFolder": "device.cameras.files",
    "Recording": "device.cameras.video",
    "SimulatedCamera": "device.cameras.simulated",
    "SimulatedConfig": "device.cameras.simulated",
}


def __getattr__(name: str) -> Any:
    if name not in _DRIVERS:
        raise AttributeError(f"module 'device' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_DRIVERS[name]), name)
