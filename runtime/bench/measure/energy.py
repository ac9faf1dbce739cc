"""Energy: counters of RAPL and NVML, which count joules themselves, read often enough that none runs over unseen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from runtime.bench.measure.sensors import SYS, nvml_gpu

NOT_READABLE = "RAPL's counters are there and may not be read by this user (their files are root's)"
NOT_THERE = "no RAPL (powercap), no INA3221 rail and no NVML here"


class EnergyCounter:
    """A counter of joules that begins again at some point. `take` it at least once before it can have come round."""

    def __init__(self, name: str, read: Callable[[], float], comes_round: float | None = None) -> None:
        """read: joules now. comes_round: joules at which it is zero again; None where it never is."""
        self.name = name
        self.joules: float | None = None
        """Since `start`; None when it could not be read."""
        self._read, self._comes_round = read, comes_round
        self._last = 0.0

    def start(self) -> bool:
        """Begin to count; whether it can be read."""
        try:
            self._last = self._read()
        except Exception:  # whatever it is: a counter that cannot be read is none
            return False
        self.joules = 0.0
        return True

    def take(self) -> None:
        """Count what came since the last time; a counter that has gone, or runs back, gives no figure at all."""
        if self.joules is None:
            return
        try:
            now = self._read()
        except Exception:
            self.joules = None
            return
        step = now - self._last
        if step < 0:
            step = -1.0 if self._comes_round is None else step + self._comes_round
        self.joules = None if step < 0 else self.joules + step
        self._last = now


def energy_counters(root: Path = SYS) -> list[EnergyCounter]:
    """All that this machine has: RAPL's packages with their memory, and the first GPU's."""
    found = []
    for folder in rapl_folders(root):
        with contextlib.suppress(OSError, ValueError):
            name = _name(folder)
            most = float((folder / "max_energy_range_uj").read_text()) / 1e6
            found.append(EnergyCounter(name, _joules(folder / "energy_uj"), most))
    with contextlib.suppress(Exception):  # whatever NVML has against it
        nvml, gpu = nvml_gpu()
        nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        found.append(EnergyCounter("gpu", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3))
    return found


def rapl_folders(root: Path = SYS) -> list[Path]:
    """Of the packages, and of memory within them; cores and graphics are parts of the package's own figure."""
    zones = sorted(root.glob("class/powercap/intel-rapl:*"))
    return [
        zone
        for zone in zones
        if (zone / "name").is_file() and _name(zone).split(":")[-1].startswith(("package", "dram"))
    ]


def from_powers(at_s: Sequence[float], values: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Joules by rail from its watts once a second (trapezoids), over the time from the first sample to the last."""
    found = {}
    for name, watts in values.items():
        known = [(at, watt) for at, watt in zip(at_s, watts, strict=True) if watt is not None]
        if name.endswith("_w") and len(known) >= 2:
            pairs = pairwise(known)
            found[name.removesuffix("_w")] = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairs)
    return found


def why_none(root: Path = SYS) -> str:
    """Why no energy can be told here."""
    return NOT_READABLE if rapl_folders(root) else NOT_THERE


def _name(zone: Path) -> str:
    """`package-0`, or `package-0:dram` of a zone within one."""
    own = (zone / "name").read_text(encoding="utf-8", errors="replace").strip()
    parent = zone.with_name(zone.name.rpartition(":")[0])
    return f"{_name(parent)}:{own}" if parent.name.count(":") and (parent / "name").is_file() else own


def _joules(path: Path) -> Callable[[], float]:
    return lambda: float(path.read_text()) / 1e6
