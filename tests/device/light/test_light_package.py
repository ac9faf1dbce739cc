"""The public names of `device.light`, and that importing it brings no library of the hardware along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import device.light


def test_the_public_names_are_these() -> None:
    assert device.light.__all__ == [
        "SIMULATED_CEILINGS",
        "Board",
        "BoardEvent",
        "BoardLink",
        "CalibratedLight",
        "Ceilings",
        "DoseAccount",
        "DoseFile",
        "EventCode",
        "Exposure",
        "ExposureTiming",
        "Eye",
        "Flags",
        "FlashLitCamera",
        "FlashReceipt",
        "FlashSeen",
        "FlashedFrame",
        "Hazard",
        "LightCalibration",
        "LightChange",
        "LightKind",
        "LineFaults",
        "NakCode",
        "RatePoint",
        "SimulatedBoard",
        "Status",
        "Totals",
        "capture_with_flash",
        "load_calibration",
        "sign_calibration",
    ]
    assert all(getattr(device.light, name) for name in device.light.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        device.light.nothing  # noqa: B018


@pytest.mark.system
def test_importing_it_imports_no_serial_no_pydantic_and_no_cryptography() -> None:
    program = (
        "import sys, device.light, device.telemetry; "
        "print([m for m in ('serial', 'pydantic', 'cryptography', 'pynvml', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "[]"
