"""What touches hardware: cameras, the light board, telemetry, and the files and simulations that stand in for them.

`import device` is cheap: NumPy, OpenCV and Pillow are imported by what needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.errors import (
    CameraBusy,
    CameraError,
    CameraNotPermitted,
    DeviceError,
    Disconnected,
    DriverMissing,
    FrameMisshapen,
    FrameTimeout,
    FrameUnreadable,
    NoNewFrame,
    RepeatedFrame,
    SettingRefused,
    SourceNotFound,
    StaleFrame,
)

if TYPE_CHECKING:
    from device.cameras.base import Camera
    from device.cameras.files import Pictures, WatchedFolder
    from device.cameras.open import open_camera
    from device.cameras.simulated import SimulatedCamera, SimulatedConfig
    from device.cameras.video import Recording
    from device.frame import Frame, GroundTruth
    from device.live import LiveConfig, LiveReader, open_source

__all__ = [
    "Camera",
    "CameraBusy",
    "CameraError",
    "CameraNotPermitted",
    "DeviceError",
    "Disconnected",
    "DriverMissing",
    "Frame",
    "FrameMisshapen",
    "FrameTimeout",
    "FrameUnreadable",
    "GroundTruth",
    "LiveConfig",
    "LiveReader",
    "NoNewFrame",
    "Pictures",
    "Recording",
    "RepeatedFrame",
    "SettingRefused",
    "SimulatedCamera",
    "SimulatedConfig",
    "SourceNotFound",
    "StaleFrame",
    "WatchedFolder",
    "open_camera",
    "open_source",
]

_WHEN_USED = {
    "Camera": "device.cameras.base",
    "Frame": "device.frame",
    "GroundTruth": "device.frame",
    "open_camera": "device.cameras.open",
    "LiveConfig": "device.live",
    "LiveReader": "device.live",
    "open_source": "device.live",
    "Pictures": "device.cameras.files",
    "WatchedFolder": "device.cameras.files",
    "Recording": "device.cameras.video",
    "SimulatedCamera": "device.cameras.simulated",
    "SimulatedConfig": "device.cameras.simulated",
}


def __getattr__(name: str) -> Any:
    if name not in _WHEN_USED:
        raise AttributeError(f"module 'device' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHEN_USED[name]), name)
