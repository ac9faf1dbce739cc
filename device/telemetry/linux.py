"""What every Linux kernel tells in sysfs and procfs: clocks, temperatures, power, throttling, power profile."""

from __future__ import annotations

import re

from device.telemetry.files import Files
from device.telemetry.reading import ClockFrequency, Power, Temperature, ThrottleCount

_CPU = "sys/devices/system/cpu"


def machine(files: Files) -> str:
    """The device tree's model (Arm boards), else the maker's product name, else the processor's name."""
    for path in ("proc/device-tree/model", "sys/devices/virtual/dmi/id/product_name"):
        text = files.text(path)
        if text:
            return text
    for line in (files.text("proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def clocks(files: Files) -> list[ClockFrequency]:
    """One clock a CPU: from cpufreq, else from /proc/cpuinfo, where virtual machines have theirs."""
    found = []
    for folder in files.folders(f"{_CPU}/cpu[0-9]*/cpufreq"):
        now = files.number(f"{folder}/scaling_cur_freq", 1e-3)
        if now is not None:
            found.append(ClockFrequency(folder.split("/")[-2], now, files.number(f"{folder}/scaling_max_freq", 1e-3)))
    return found or _clocks_of_cpuinfo(files.text("proc/cpuinfo") or "")


def _clocks_of_cpuinfo(text: str) -> list[ClockFrequency]:
    values = re.findall(r"^cpu MHz\s*: (\d+\.?\d*)$", text, re.MULTILINE)
    return [ClockFrequency(f"cpu{number}", float(mhz)) for number, mhz in enumerate(values)]


def temperatures(files: Files) -> list[Temperature]:
    """Thermal zones, then the sensors of hwmon drivers that are not already there as a zone."""
    found = []
    for zone in files.folders("sys/class/thermal/thermal_zone*"):
        celsius = files.number(f"{zone}/temp", 1e-3)
        if celsius is not None:
            found.append(Temperature(files.text(f"{zone}/type") or zone.split("/")[-1], celsius, _trip(files, zone)))
    known = {temperature.name.replace("-", "_") for temperature in found}  # as hwmon spells a zone's name
    for folder in files.folders("sys/class/hwmon/hwmon*"):
        driver = files.text(f"{folder}/name") or folder.split("/")[-1]
        if driver not in known:
            found += _hwmon_temperatures(files, folder, driver)
    return found


def _trip(files: Files, zone: str) -> float | None:
    """The lowest trip point that slows down or switches off; `active` ones only turn fans on."""
    limits = []
    for kind_path in files.folders(f"{zone}/trip_point_*_type"):
        if files.text(kind_path) in ("passive", "hot", "critical"):
            limit = files.number(kind_path.removesuffix("type") + "temp", 1e-3)
            if limit is not None and limit > 0:  # disabled trip points are at or below zero
                limits.append(limit)
    return min(limits, default=None)


def _hwmon_temperatures(files: Files, folder: str, driver: str) -> list[Temperature]:
    found = []
    for path in files.folders(f"{folder}/temp*_input"):
        celsius = files.number(path, 1e-3)
        if celsius is not None:
            base = path.removesuffix("_input")
            label = files.text(f"{base}_label") or base.split("/")[-1]
            found.append(Temperature(f"{driver} {label}", celsius, files.number(f"{base}_crit", 1e-3)))
    return found


def power(files: Files) -> list[Power]:
    """Power sensors of hwmon drivers, and batteries."""
    found = []
    for folder in files.folders("sys/class/hwmon/hwmon*"):
        driver = files.text(f"{folder}/name") or folder.split("/")[-1]
        for path in files.folders(f"{folder}/power*_input"):
            watts = files.number(path, 1e-6)
            if watts is not None:
                base = path.removesuffix("_input")
                label = files.text(f"{base}_label") or base.split("/")[-1]
                found.append(Power(f"{driver} {label}", watts, files.number(f"{base}_cap", 1e-6)))
    for path in files.folders("sys/class/power_supply/*/power_now"):
        watts = files.number(path, 1e-6)
        if watts is not None:
            found.append(Power(path.split("/")[-2], watts))
    return found


def throttling(files: Files) -> list[str]:
    """Cooling devices that hold something down now; fans are none of them."""
    active = []
    for folder in files.folders("sys/class/thermal/cooling_device*"):
        kind = files.text(f"{folder}/type") or folder.split("/")[-1]
        state = files.number(f"{folder}/cur_state")
        if state and state > 0 and "fan" not in kind.lower():
            active.append(f"{kind} {state:g}/{files.number(f'{folder}/max_state') or 0:g}")
    return active


def throttle_counts(files: Files) -> list[ThrottleCount]:
    """Intel's thermal throttle counters: the sum over cores, and over packages as one core sees them."""
    cores = [files.number(path) for path in files.folders(f"{_CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count")]
    package = files.number(f"{_CPU}/cpu0/thermal_throttle/package_throttle_count")
    counts = []
    if cores:
        counts.append(ThrottleCount("cores thermal", int(sum(core or 0 for core in cores))))
    if package is not None:
        counts.append(ThrottleCount("package thermal", int(package)))
    return counts


def power_mode(files: Files) -> str | None:
    """ACPI platform profile, else the frequency governor of the first CPU."""
    profile = files.text("sys/firmware/acpi/platform_profile")
    return profile or files.text(f"{_CPU}/cpu0/cpufreq/scaling_governor")
