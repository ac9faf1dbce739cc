"""Provenance: on what machine, with what software, in what power mode a run was made."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from runtime.bench.measure.allowance import allowance
from runtime.bench.measure.libraries import library
from runtime.bench.measure.sensors import SYS, gpu_facts
from runtime.bench.schema import EnvironmentPart

LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "tensorrt", "pillow", "psutil", "onnxruntime")


def environment(root: Path = SYS) -> EnvironmentPart:
    """The machine and software as they are now."""
    psutil = library("psutil", "psutil")
    processor, cores = _processor(), int(psutil.cpu_count() or 1)
    allowed = allowance()
    memory_mb = round(psutil.virtual_memory().total / 2**20)
    gpu, driver = gpu_facts() or (None, None)
    identity = f"{processor}|{cores}|{round(memory_mb / 1024)}|{gpu}|{_text(Path('/etc/machine-id'))}"
    return EnvironmentPart(
        machine_id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        processor=processor,
        cores=cores,
        affinity=allowed.cores,
        quota_cores=allowed.quota_cores,
        memory_mb=memory_mb,
        gpu=gpu,
        driver=driver,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=sys.version.split()[0],
        libraries={name: found for name in LIBRARIES if (found := _version(name)) is not None},
        power_mode=_power_mode(),
        governor=_text(root / "devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
    )


def _version(distribution: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None


def _processor() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    device_tree = _text(Path("/proc/device-tree/model")).strip("\0")  # a Jetson says here which one it is
    return device_tree or platform.processor() or platform.machine()


def _power_mode() -> str | None:
    """The name of a Jetson's power mode; None where there is no nvpmodel or it does not answer."""
    program = shutil.which("nvpmodel")
    if program is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run([program, "-q"], capture_output=True, text=True, timeout=10, check=True).stdout
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        return " ".join(lines)[:200] or None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
