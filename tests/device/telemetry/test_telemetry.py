"""Readings of three kinds of machine, from file trees and a stand-in for NVML."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.telemetry import ClockFrequency, Power, Temperature, ThrottleCount, read_telemetry
from device.telemetry.jetson import parse_nvpmodel

TREES = Path(__file__).parent / "trees"


def no_nvml() -> None:
    return None


def no_nvpmodel() -> str:
    return ""


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a tree out and gives its root; a sensor marked !EAGAIN fails as the kernel lets it fail."""

    def grow(name: str) -> Path:
        off: set[Path] = set()
        for line in (TREES / f"{name}.tree").read_text(encoding="utf-8").splitlines():
            path_text, text = line.split("\t", 1)
            path = tmp_path / path_text
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0") + "\n")
            if text == "!EAGAIN":
                off.add(path)
        read_text = Path.read_text

        def read(path: Path, *args: Any, **kwargs: Any) -> str:
            if path in off:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return read_text(path, *args, **kwargs)

        monkeypatch.setattr(Path, "read_text", read)
        return tmp_path

    return grow


def test_a_jetson_is_read_whole(grown: Any) -> None:
    root = grown("jetson_orin_nano")
    reading = read_telemetry(root, nvpmodel=lambda: "NV Power Mode: MAXN_SUPER\n2\n", nvml=lambda: pytest.fail("asked"))
    assert reading.machine == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert reading.power_mode == "MAXN_SUPER"
    assert reading.clocks[0] == ClockFrequency("cpu0", 1728.0, 1728.0)
    assert reading.clocks[2] == ClockFrequency("cpu2", 729.6, 1728.0)
    assert reading.clocks[6:] == (ClockFrequency("gpu", 612.0, 1020.0),)
    assert [t.name for t in reading.temperatures] == ["cpu-thermal", "gpu-thermal", "soc0-thermal", "tj-thermal"]
    assert reading.temperatures[0] == Temperature("cpu-thermal", 51.281, 99.0)
    assert reading.power == (
        Power("VDD_IN", 7.166, 20.128),
        Power("VDD_CPU_GPU_CV", 1.852, 15.096),
        Power("VDD_SOC", 2.13, 10.048),
    )
    assert reading.throttling == ("devfreq-17000000.gpu 3/8", "VDD_SOC over its critical current")
    assert reading.throttle_counts == (
        ThrottleCount("under-voltage", 0),
        ThrottleCount("average over-current", 2),
        ThrottleCount("instantaneous over-current", 37),
    )
    assert reading.problems == ("/sys/class/thermal/thermal_zone2/temp: Resource temporarily unavailable",)


def test_a_jetson_without_nvpmodel_tells_its_governor(grown: Any) -> None:
    assert read_telemetry(grown("jetson_orin_nano"), nvpmodel=no_nvpmodel).power_mode == "schedutil"


def test_a_workstation_is_read_whole(grown: Any) -> None:
    reading = read_telemetry(grown("workstation"), nvpmodel=lambda: pytest.fail("asked"), nvml=no_nvml)
    assert reading.machine == "Precision 3660"
    assert reading.power_mode == "balanced"
    assert [c.name for c in reading.clocks] == ["cpu0", "cpu1", "cpu2", "cpu10"]
    assert reading.clocks[3] == ClockFrequency("cpu10", 3700.0, 4900.0)
    assert reading.temperatures == (
        Temperature("x86_pkg_temp", 61.0, None),
        Temperature("coretemp Package id 0", 62.0, 100.0),
        Temperature("coretemp Core 0", 60.0, 100.0),
    )
    assert reading.power == (Power("amdgpu PPT", 35.0, 120.0), Power("BAT0", 8.5))
    assert reading.throttling == ("Processor 1/10",)
    assert reading.throttle_counts == (ThrottleCount("cores thermal", 13), ThrottleCount("package thermal", 21))
    assert reading.problems == ()


def test_a_virtual_machine_tells_what_it_has(grown: Any) -> None:
    reading = read_telemetry(grown("virtual_machine"), nvml=no_nvml)
    assert reading.machine == "AMD EPYC"
    assert reading.clocks == (ClockFrequency("cpu0", 2445.42), ClockFrequency("cpu1", 2445.421))
    assert (reading.temperatures, reading.power, reading.throttling, reading.power_mode) == ((), (), (), None)


def test_an_empty_root_gives_an_empty_reading(tmp_path: Path) -> None:
    reading = read_telemetry(tmp_path, nvml=no_nvml)
    assert (reading.machine, reading.clocks, reading.problems) == ("unknown", (), ())


def test_the_reading_is_json(grown: Any) -> None:
    reading = read_telemetry(grown("jetson_orin_nano"), nvpmodel=no_nvpmodel)
    back = json.loads(json.dumps(reading.to_dict(), allow_nan=False))
    assert back["clocks"][6] == {"name": "gpu", "now_mhz": 612.0, "max_mhz": 1020.0}


def test_reading_writes_nothing(grown: Any) -> None:
    root = grown("jetson_orin_nano")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    read_telemetry(root, nvpmodel=no_nvpmodel)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    for path in before:
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.system
def test_this_machine_can_be_read() -> None:
    reading = read_telemetry()
    assert reading.machine
    json.dumps(reading.to_dict())


@given(st.one_of(st.text(max_size=60), st.sampled_from(["nan", "inf", "-1e999", "1e9", ""])))
def test_a_file_of_nonsense_is_a_problem_and_no_number(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("nonsense")
    zone = root / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text(text, encoding="utf-8", errors="replace")
    reading = read_telemetry(root, nvml=no_nvml)
    assert len(reading.temperatures) + len(reading.problems) == 1
    json.dumps(reading.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: 15W\n0\n", "15W"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_30W_ALL\n3\n", "MODE_30W_ALL"),
        ("NVPM VERB: Current mode: NV Power Mode: 25W\n1\n", "25W"),
        ("NV Power Mode:\n", None),
        ("", None),
        ("command not found", None),
    ],
)
def test_the_text_of_nvpmodel(text: str, mode: str | None) -> None:
    assert parse_nvpmodel(text) == mode


class FakeNvml:
    """Two GPUs as nvidia-ml-py gives them; the second does not support some of what it is asked."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1, 2, 0, 1

    class NVMLError(Exception):
        pass

    def __init__(self, broken: str | None = None) -> None:
        self.broken = broken
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if self.broken == "init":
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if self.broken == "handle":
            raise self.NVMLError("GPU is lost")
        return index

    def __getattr__(self, name: str) -> Any:
        values = {
            "nvmlDeviceGetClockInfo": {1: 1980, 2: 2619},
            "nvmlDeviceGetMaxClockInfo": {1: 1980, 2: 2619},
            "nvmlDeviceGetTemperature": {0: 88},
            "nvmlDeviceGetTemperatureThreshold": {1: 87},
            "nvmlDeviceGetPowerUsage": 690_500,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1 | 0x4 | 0x40,
        }

        def call(gpu: int, *arguments: int) -> Any:
            if gpu == 1 and "Power" in name:
                raise self.NVMLError("Not Supported")
            value = values[name]
            return value[arguments[0]] if isinstance(value, dict) else value

        return call


def test_gpus_are_read_through_nvml(tmp_path: Path) -> None:
    nvml = FakeNvml()
    reading = read_telemetry(tmp_path, nvml=lambda: nvml)
    assert reading.clocks[:2] == (ClockFrequency("nvml0 sm", 1980, 1980), ClockFrequency("nvml0 memory", 2619, 2619))
    assert reading.temperatures == (Temperature("nvml0", 88, 87), Temperature("nvml1", 88, 87))
    assert reading.power == (Power("nvml0", 690.5, 700.0),)
    assert reading.throttling[:2] == ("nvml0 power cap", "nvml0 hardware thermal slowdown")
    assert reading.problems == ("nvml1 PowerUsage: Not Supported",)
    assert nvml.open == 0


@pytest.mark.parametrize(("broken", "problem"), [("init", "Driver Not Loaded"), ("handle", "GPU is lost")])
def test_a_broken_driver_is_a_problem_and_no_error(tmp_path: Path, broken: str, problem: str) -> None:
    nvml = FakeNvml(broken)
    assert read_telemetry(tmp_path, nvml=lambda: nvml).problems == (f"NVML: {problem}",)
    assert nvml.open == 0
