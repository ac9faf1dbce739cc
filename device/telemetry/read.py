"""Takes one reading of the machine: Jetson, workstation with NVIDIA GPUs, or plain Linux. Never changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from device.telemetry import jetson, linux
from device.telemetry.files import Files
from device.telemetry.nvml import Gpus, find_nvml, read_gpus
from device.telemetry.reading import Telemetry


def read_telemetry(
    root: Path = Path("/"),
    *,
    nvpmodel: Callable[[], str] = jetson.ask_nvpmodel,
    nvml: Callable[[], Any | None] = find_nvml,
) -> Telemetry:
    """One reading. `root` is where `sys` and `proc` lie; `nvpmodel` gives the text of `nvpmodel -q`.

    `nvml` gives the module to ask for GPUs, or None. It raises nothing: what cannot be read is absent, and named in
    `problems` when it should have been there.
    """
    taken_ns, taken_at = time.monotonic_ns(), datetime.now(timezone.utc)
    files = Files(root)
    tegra = jetson.is_jetson(files)
    module = None if tegra else nvml()  # a Jetson's NVML, where there is one, tells nothing of these
    gpus = Gpus() if module is None else read_gpus(module)
    return Telemetry(
        machine=linux.machine(files),
        clocks=(*linux.clocks(files), *(jetson.clocks(files) if tegra else ()), *gpus.clocks),
        temperatures=(*linux.temperatures(files), *gpus.temperatures),
        power=(*(jetson.power(files) if tegra else ()), *linux.power(files), *gpus.power),
        throttling=(*linux.throttling(files), *(jetson.throttling(files) if tegra else ()), *gpus.throttling),
        throttle_counts=(*linux.throttle_counts(files), *(jetson.throttle_counts(files) if tegra else ())),
        power_mode=(jetson.parse_nvpmodel(nvpmodel()) if tegra else None) or linux.power_mode(files),
        problems=(*files.problems, *gpus.problems),
        taken_ns=taken_ns,
        taken_at=taken_at,
    )
