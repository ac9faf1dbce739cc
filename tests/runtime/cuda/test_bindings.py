from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
ROOT = Path(__file__).parents[3]


def exercise(driver: Path, **environment: str) -> dict[str, Any]:
    """What `exercise.py` says with cuda-bindings itself on the stand-in driver."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.runtime.cuda.exercise"],
        env={**os.environ, "LD_LIBRARY_PATH": str(driver), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    said: dict[str, Any] = json.loads(child.stdout)
    return said


@pytest.mark.parametrize("version", ["12.6", "12.8", "13.0"])
def test_all_of_it_runs_through_cuda_bindings_itself(stand_in_driver: Path, version: str) -> None:
    """A driver before 12.8, as on JetPack 6, has not the function for elapsed time that cuda-bindings 13 ask for."""
    major, minor = version.split(".")
    said = exercise(stand_in_driver, STAND_IN_VERSION=f"{int(major) * 1000 + int(minor) * 10}")
    assert "error" not in said
    assert said["facts"] == ["Stand-in GPU", 8, 7, True, version]
    assert said["after_a_reload"], "the engine that stays has no current context"
    assert said["mapped"]
    assert said["zeros"]
    assert said["single_calls"] == [7, 7, True]
    assert said["captured_only"] == 7
    assert said["finished"]
    assert said["graph"] == [9, 9, True]
    assert said["blocks_more"] < 20, "a thousand launches left something behind"
    assert said["forbidden"] == 900
    assert said["after_a_spoilt_capture"] == 11
    assert said["free_at_last"] == said["free_at_first"], "something was not given back"
    assert said["lost"] == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cuInit=100", "CUDA: cuInit: CUDA_ERROR_NO_DEVICE, no CUDA-capable device is detected (100)"),
        ("cuDevicePrimaryCtxRetain=2", "CUDA: cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY, out of memory (2)"),
        ("cuMemAlloc=2", "CUDA: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY, out of memory (2)"),
        ("cuGraphInstantiate=1", "CUDA: cuGraphInstantiate: CUDA_ERROR_INVALID_VALUE, some error (1)"),
        ("cuGraphUpload=2", "CUDA: cuGraphUpload: CUDA_ERROR_OUT_OF_MEMORY, out of memory (2)"),
    ],
)
def test_a_status_that_is_not_success_is_told(stand_in_driver: Path, fault: str, message: str) -> None:
    said = exercise(stand_in_driver, STAND_IN_FAIL=fault)
    assert said["error"] == message
    assert not said["gpu_lost"]
    assert said["lost"] == []


@pytest.mark.parametrize("call", ["cuGraphLaunch", "cuStreamQuery", "cuMemcpyHtoDAsync"])
def test_a_sticky_status_loses_the_gpu(stand_in_driver: Path, call: str) -> None:
    said = exercise(stand_in_driver, STAND_IN_FAIL=f"{call}=700")
    assert said["gpu_lost"]
    assert said["code"] == 700
    assert said["lost"] == [said["error"]]
    assert said["error"].startswith(f"GPU lost: {call}: CUDA_ERROR_ILLEGAL_ADDRESS, an illegal memory access")


def run(driver: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """This Python with those arguments, on the stand-in driver."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "LD_LIBRARY_PATH": str(driver)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_is_run_on_a_real_gpu_runs_on_the_stand_in(stand_in_driver: Path) -> None:
    """So that the tests for a GPU are seen to run at all where there is none."""
    child = run(stand_in_driver, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/gpu/test_cuda.py")
    assert child.returncode == 0, child.stdout
    assert "skipped" not in child.stdout


def test_the_measurement_for_a_shrink_on_the_gpu_runs_on_the_stand_in(stand_in_driver: Path) -> None:
    child = run(stand_in_driver, "tests/bench/gpu_shrink.py", "--frames", "2")
    assert child.returncode == 0, child.stderr
    rows = [line for line in child.stdout.splitlines() if line.startswith("| ") and " x " in line]
    assert [row.split(" |")[0] for row in rows] == ["| 640 x 480", "| 1440 x 1440", "| 2040 x 2040", "| 3264 x 2448"]


def test_without_a_driver_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    said = exercise(tmp_path)
    assert said["error"] == "CUDA: no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)"
