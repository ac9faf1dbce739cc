"""What NVIDIA's management library tells about the GPUs of a workstation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from device.telemetry.reading import ClockFrequency, Power, Temperature

# nvmlClocksEventReasons of nvml.h. Idle (0x1) and the settings 0x2, 0x10 and 0x100 hold clocks down as wanted.
THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}


@dataclass
class Gpus:
    """Everything found on all GPUs."""

    clocks: list[ClockFrequency] = field(default_factory=list)
    temperatures: list[Temperature] = field(default_factory=list)
    power: list[Power] = field(default_factory=list)
    throttling: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_nvml() -> Any | None:
    """The module `pynvml` of nvidia-ml-py; None where it is not installed."""
    try:
        import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return None
    return pynvml


def read_gpus(nvml: Any) -> Gpus:
    """Clocks, temperature, power and throttling of every GPU. A machine without a driver has none."""
    gpus = Gpus()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        gpus.problems.append(f"NVML: {error}")
        return gpus
    try:
        for index in range(nvml.nvmlDeviceGetCount()):
            _read_gpu(nvml, index, gpus)
    except nvml.NVMLError as error:
        gpus.problems.append(f"NVML: {error}")
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()
    return gpus


def _read_gpu(nvml: Any, index: int, gpus: Gpus) -> None:
    gpu, name = nvml.nvmlDeviceGetHandleByIndex(index), f"nvml{index}"

    def ask(function: str, *arguments: Any) -> Any | None:
        try:
            return getattr(nvml, function)(gpu, *arguments)
        except nvml.NVMLError as error:  # many boards leave one or the other out
            gpus.problems.append(f"{name} {function.removeprefix('nvmlDeviceGet')}: {error}")
            return None

    for kind, number in (("sm", nvml.NVML_CLOCK_SM), ("memory", nvml.NVML_CLOCK_MEM)):
        now, most = ask("nvmlDeviceGetClockInfo", number), ask("nvmlDeviceGetMaxClockInfo", number)
        if now is not None:
            gpus.clocks.append(ClockFrequency(f"{name} {kind}", now, most))
    celsius = ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)
    if celsius is not None:
        limit = ask("nvmlDeviceGetTemperatureThreshold", nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
        gpus.temperatures.append(Temperature(name, celsius, limit))
    milliwatts = ask("nvmlDeviceGetPowerUsage")
    if milliwatts is not None:
        cap = ask("nvmlDeviceGetEnforcedPowerLimit")
        gpus.power.append(Power(name, milliwatts / 1000, None if cap is None else cap / 1000))
    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
    gpus.throttling += [f"{name} {text}" for bit, text in THROTTLE_REASONS.items() if reasons & bit]
