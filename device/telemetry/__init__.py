"""How the machine is doing: clocks, temperatures, power, throttling, power mode. It only reads."""

from __future__ import annotations

from device.telemetry.read import read_telemetry
from device.telemetry.reading import ClockFrequency, Power, Telemetry, Temperature, ThrottleCount

__all__ = ["ClockFrequency", "Power", "Telemetry", "Temperature", "ThrottleCount", "read_telemetry"]
