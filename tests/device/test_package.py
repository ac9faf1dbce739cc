"""The public names of `device`, and that importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import device


def test_the_public_names_are_these() -> None:
    assert device.__all__ == [
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
    assert all(getattr(device, name) for name in device.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        device.nothing  # noqa: B018


@pytest.mark.system
def test_importing_it_imports_no_opencv_and_no_pillow() -> None:
    program = "import sys, device; print([m for m in ('cv2', 'PIL', 'runtime', 'torch') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
