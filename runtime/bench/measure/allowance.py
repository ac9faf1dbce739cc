"""What of the machine this process may use: the cores it may run on, and the CPU quota of its control groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtime.cores import allowed_cores

PROC = Path("/proc")
SYS = Path("/sys")
V1_MOUNTS = ("cpu,cpuacct", "cpu", "cpuacct,cpu")


@dataclass(frozen=True)
class Allowance:
    """The share of a machine that a process may use."""

    cores: tuple[int, ...]
    """Numbers of the cores it may run on, ascending."""
    quota_cores: float | None
    """Cores' worth of time that its control groups let it use; None where nothing limits it."""


def allowance(proc: Path = PROC, root: Path = SYS) -> Allowance:
    """What this process may use now."""
    return Allowance(allowed_cores(), quota_cores(proc, root))


def quota_cores(proc: Path = PROC, root: Path = SYS) -> float | None:
    """The smallest quota of this process's control group and of those above it (slices, containers); None without one.

    Source: the kernel's cgroup-v2.rst (`cpu.max`) and sched-bwc.rst (`cpu.cfs_quota_us`).
    """
    quotas = [quota for folder in group_folders(proc, root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def group_folders(proc: Path = PROC, root: Path = SYS) -> Iterator[Path]:
    """The folders of this process's control groups that bear on its CPU time, from its own up to the top."""
    for mount, path in _groups(proc, root / "fs/cgroup"):
        # A container sees its own group as the top, but may be told its path as the host has it: what is not there
        # is passed over. Steps upward ("/..", a process of outside the namespace) lead nowhere that can be seen.
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        for depth in range(len(parts), -1, -1):
            folder = mount.joinpath(*parts[:depth])
            if folder.is_dir():
                yield folder


def _groups(proc: Path, mounted: Path) -> Iterator[tuple[Path, str]]:
    """Where each hierarchy that rules CPU time is mounted, and this process's path in it."""
    for line in _text(proc / "self/cgroup").splitlines() or ["0::/"]:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield (mounted / "unified" if (mounted / "unified").is_dir() else mounted), path
        elif "cpu" in controllers.split(","):
            mount = next((mounted / name for name in V1_MOUNTS if (mounted / name).is_dir()), None)
            if mount is not None:
                yield mount, path


def _quota(folder: Path) -> float | None:
    limit, _, period = _text(folder / "cpu.max").partition(" ")
    if not limit:
        limit, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    # "max" (v2) and "-1" (v1) are no limit; nor is what cannot be read as one.
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() and int(period) and int(limit) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
