"""Live cameras: a thread for each, the newest frame wins, and a camera that is lost is had back."""

from __future__ import annotations

from device.live.abandoned import abandoned_threads
from device.live.config import LiveConfig
from device.live.keeper import StateChange
from device.live.lifecycle import TRANSITIONS, CameraState
from device.live.reader import LiveReader
from device.live.slot import CameraCounts
from device.live.source import keeps_its_own_time, open_source, shown_source
from device.live.tap import Tap

__all__ = [
    "TRANSITIONS",
    "CameraCounts",
    "CameraState",
    "LiveConfig",
    "LiveReader",
    "StateChange",
    "Tap",
    "abandoned_threads",
    "keeps_its_own_time",
    "open_source",
    "shown_source",
]
