"""Readers of clocks, temperature, power and throttling: Linux sysfs (PCs and Jetson), and NVML where it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.bench.measure.allowance import PROC, group_folders
from runtime.bench.measure.kernel import KeptFile
from runtime.bench.measure.libraries import library

SYS = Path("/sys")
QUOTA = "CPU quota of the container"
"""Why a machine was slowed down that is not hot."""
MOST_CLOCKS = 16
"""Cores whose clock is read, spread over all of them: each reading makes that core stop for it."""

Read = Callable[[], float]

NVML_SLOWED = {
    0x04: "GPU power cap",
    0x08: "GPU hardware slowdown",
    0x20: "GPU software thermal slowdown",
    0x40: "GPU hardware thermal slowdown",
    0x80: "GPU power brake",
}
"""Bits of NVML's clocks-event reasons that mean throttling; idle and set clocks are none (nvml.h)."""


@dataclass(frozen=True)
class Sensor:
    """One quantity of the machine."""

    name: str
    """With its unit at the end: `cpu_mhz`, `cpu-thermal_c`, `VDD_IN_w`."""
    read: Read


@dataclass(frozen=True)
class ThrottleCounter:
    """Something that counts up, or stands above zero, while the machine is slowed down."""

    reason: str
    read: Read
    level: bool
    """True when any value above zero is throttling, False when only a growing one is."""


def sensors(root: Path = SYS) -> list[Sensor]:
    """All that can be read here."""
    found = [*_clocks(root), *_temperatures(root), *_powers(root)]
    with contextlib.suppress(Exception):  # whatever NVML has against it: there is then no GPU to watch
        found += _nvml_sensors()
    return found


def throttle_counters(root: Path = SYS, proc: Path = PROC) -> list[ThrottleCounter]:
    """All that tells of throttling here."""
    found = []
    for path in sorted(root.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")):
        found += [ThrottleCounter(f"{path.parent.parent.name} thermal throttling", _counter(path), False)]
    for path in sorted(root.glob("class/hwmon/hwmon*/oc*_event_cnt")):
        found += [ThrottleCounter(f"over-current event {path.name.split('_')[0]}", _counter(path), False)]
    for kind in sorted(root.glob("class/thermal/cooling_device*/type")):
        name = _text(kind)
        if name and not any(word in name.lower() for word in ("fan", "powerclamp")):
            found += [ThrottleCounter(f"cooling by {name}", _file(kind.with_name("cur_state")), True)]
    for folder in dict.fromkeys(group_folders(proc, root)):  # a quota of any group above slows this process, too
        if "nr_throttled" in _text(folder / "cpu.stat"):
            found += [ThrottleCounter(QUOTA, _throttled(folder / "cpu.stat"), False)]
    with contextlib.suppress(Exception):
        found += _nvml_throttling()
    return [counter for counter in found if _works(counter.read)]


def _throttled(statistics: Path) -> Read:
    return lambda: _line(statistics, "nr_throttled")


def _clocks(root: Path) -> Iterator[Sensor]:
    paths = sorted(root.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if paths:
        reads = [_file(path, 1e-3) for path in paths[:: -(-len(paths) // MOST_CLOCKS)]]
        if _works(reads[0]):
            yield Sensor("cpu_mhz", lambda: sum(read() for read in reads) / len(reads))


def _temperatures(root: Path) -> Iterator[Sensor]:
    zones = {
        f"{_text(kind)}_c": _file(kind.with_name("temp"), 1e-3)
        for kind in sorted(root.glob("class/thermal/thermal_zone*/type"))
    }
    if not zones:
        for label in sorted(root.glob("class/hwmon/hwmon*/temp1_input")):
            zones[f"{_text(label.with_name('name'))}_c"] = _file(label, 1e-3)
    yield from (Sensor(name, read) for name, read in zones.items() if _works(read))


def _powers(root: Path) -> Iterator[Sensor]:
    """Jetson's INA3221 rails: volts times amperes of each channel."""
    for label in sorted(root.glob("bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in[1-3]_label")):
        channel = label.name[2]
        volts = _file(label.with_name(f"in{channel}_input"), 1e-3)
        amperes = _file(label.with_name(f"curr{channel}_input"), 1e-3)
        if _works(volts) and _works(amperes):
            yield Sensor(f"{_text(label)}_w", _product(volts, amperes))


def _product(a: Read, b: Read) -> Read:
    return lambda: a() * b()


def nvml_gpu() -> tuple[Any, Any]:
    """The library and its first GPU; raises whatever it raises where there is none."""
    pynvml = library("pynvml", "nvidia-ml-py")

    pynvml.nvmlInit()
    return pynvml, pynvml.nvmlDeviceGetHandleByIndex(0)


def _nvml_sensors() -> list[Sensor]:
    nvml, gpu = nvml_gpu()
    return [
        Sensor(name, read)
        for name, read in (
            ("gpu_mhz", lambda: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))),
            ("gpu_c", lambda: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))),
            ("gpu_w", lambda: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3),
            ("gpu_memory_mb", lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used / 1e6),
        )
        if _works(read)
    ]


def _nvml_throttling() -> list[ThrottleCounter]:
    nvml, gpu = nvml_gpu()

    def bit(mask: int) -> Read:
        return lambda: float(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu) & mask)

    return [ThrottleCounter(reason, bit(mask), True) for mask, reason in NVML_SLOWED.items()]


def gpu_facts() -> tuple[str, str] | None:
    """Name of the first NVIDIA GPU and version of its driver; None where NVML cannot say."""
    with contextlib.suppress(Exception):
        nvml, gpu = nvml_gpu()
        return str(nvml.nvmlDeviceGetName(gpu)), str(nvml.nvmlSystemGetDriverVersion())
    return None


def _file(path: Path, scale: float = 1.0) -> Read:
    """A reader of a file with one number, which stays open once it was read."""
    kept: list[KeptFile] = []

    def read() -> float:
        if not kept:
            kept.append(KeptFile(path))
        return float(kept[0].read()) * scale

    return read


def _counter(path: Path) -> Read:
    """A reader of a file with one number, for now and then: some machines have hundreds."""
    return lambda: float(path.read_bytes())


def _line(path: Path, name: str) -> float:
    return next(float(line.split()[1]) for line in _text(path).splitlines() if line.startswith(name + " "))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _works(read: Read) -> bool:
    try:
        read()
    except Exception:  # a sensor that cannot be read, whatever its reason, is none
        return False
    return True
