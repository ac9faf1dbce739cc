"""The light and trigger board: ROPLINK from the host, a simulated board, and the dose of light each eye gets.

`import device.light` is cheap: pyserial, pydantic and cryptography are imported by the file that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.eye import Eye
from device.lamp import FlashSeen
from device.light.board import Board, Ceilings
from device.light.link import BoardEvent, BoardLink, FlashReceipt
from device.light.messages import EventCode, Flags, NakCode, Status, Totals
from device.light.simulated import SIMULATED_CEILINGS, LightChange, LineFaults, SimulatedBoard

if TYPE_CHECKING:
    from device.light.calibrated import CalibratedLight
    from device.light.calibration import Hazard, LightCalibration, RatePoint, load_calibration, sign_calibration
    from device.light.capture import FlashedFrame, capture_with_flash
    from device.light.dose import DoseAccount, Exposure, LightKind
    from device.light.dose_file import DoseFile
    from device.light.exposure import ExposureTiming
    from device.light.scene import FlashLitCamera

__all__ = [
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

_WHEN_USED = {
    "CalibratedLight": "device.light.calibrated",
    "LightCalibration": "device.light.calibration",
    "DoseAccount": "device.light.dose",
    "DoseFile": "device.light.dose_file",
    "Exposure": "device.light.dose",
    "ExposureTiming": "device.light.exposure",
    "FlashLitCamera": "device.light.scene",
    "FlashedFrame": "device.light.capture",
    "Hazard": "device.light.calibration",
    "LightKind": "device.light.dose",
    "RatePoint": "device.light.calibration",
    "capture_with_flash": "device.light.capture",
    "load_calibration": "device.light.calibration",
    "sign_calibration": "device.light.calibration",
}


def __getattr__(name: str) -> Any:
    if name not in _WHEN_USED:
        raise AttributeError(f"module 'device.light' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHEN_USED[name]), name)
