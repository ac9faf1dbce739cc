"""What a Jetson adds: GPU and memory clocks, the INA3221 power rails, over-current counters, nvpmodel's power mode.

Paths and meanings: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance" (r35 and r36).
"""

from __future__ import annotations

import re
import shutil
import subprocess

from device.telemetry.files import Files
from device.telemetry.reading import ClockFrequency, Power, ThrottleCount

_GPU_NAMES = ("gpu", "ga10b", "gv11b", "gp10b", "gb10b")
_OVER_CURRENT = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "instantaneous over-current"}


def is_jetson(files: Files) -> bool:
    """Whether the device tree names an NVIDIA Tegra chip."""
    return "nvidia,tegra" in (files.text("proc/device-tree/compatible") or "")


def clocks(files: Files) -> list[ClockFrequency]:
    """GPU (devfreq) and, where the kernel shows it, memory (EMC)."""
    found = []
    for folder in files.folders("sys/class/devfreq/*"):
        name = folder.split("/")[-1].split(".")[-1]
        now = files.number(f"{folder}/cur_freq", 1e-6)
        if name in _GPU_NAMES and now is not None:
            found.append(ClockFrequency("gpu", now, files.number(f"{folder}/max_freq", 1e-6)))
    emc = files.number("sys/kernel/debug/bpmp/debug/clk/emc/rate", 1e-6)  # readable by root only
    if emc is not None:
        found.append(ClockFrequency("emc", emc, files.number("sys/kernel/debug/bpmp/debug/clk/emc/max_rate", 1e-6)))
    return found


def power(files: Files) -> list[Power]:
    """Rails of the INA3221 monitors: volts x amperes, limit at the critical current; not those that are unconnected."""
    found = []
    for folder in _hwmon(files, "ina3221"):
        for path in files.folders(f"{folder}/in[1-3]_label"):
            label, channel = files.text(path), path.split("/")[-1][2]
            volts = files.number(f"{folder}/in{channel}_input", 1e-3)
            amperes = files.number(f"{folder}/curr{channel}_input", 1e-3)
            if label and label != "NC" and volts is not None and amperes is not None:
                most = files.number(f"{folder}/curr{channel}_crit", 1e-3)
                found.append(Power(label, round(volts * amperes, 3), most and round(volts * most, 3)))
    return found


def throttling(files: Files) -> list[str]:
    """Rails whose current is over its critical limit at this moment."""
    active = []
    for folder in _hwmon(files, "ina3221"):
        for path in files.folders(f"{folder}/curr[1-3]_crit_alarm"):
            if files.number(path):
                label = files.text(f"{folder}/in{path.split('/')[-1][4]}_label")
                active.append(f"{label} over its critical current")
    return active


def throttle_counts(files: Files) -> list[ThrottleCount]:
    """Over-current and under-voltage events since start (Orin's soctherm)."""
    found = []
    for folder in _hwmon(files, "soctherm_oc"):
        for key, meaning in _OVER_CURRENT.items():
            count = files.number(f"{folder}/{key}_event_cnt")
            if count is not None:
                found.append(ThrottleCount(meaning, int(count)))
    return found


def _hwmon(files: Files, driver: str) -> list[str]:
    return [f for f in files.folders("sys/class/hwmon/hwmon*") if files.text(f"{f}/name") == driver]


def parse_nvpmodel(text: str) -> str | None:
    """The mode's name in the output of `nvpmodel -q`; None when there is none."""
    found = re.search(r"NV Power Mode:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return found.group(1) if found else None


def ask_nvpmodel() -> str:
    """The output of `nvpmodel -q`, which only asks; empty where there is no such program or it gives no answer."""
    program = shutil.which("nvpmodel") or shutil.which("nvpmodel", path="/usr/sbin")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "-q"], capture_output=True, text=True, timeout=2, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
