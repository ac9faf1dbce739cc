"""Builds rop-read, and makes a bundle of tiny networks that it can read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import openvino
import pytest

from build_engines.__main__ import main
from runtime.bundle import Bundle, open_bundle
from tests.runtime.engines.tiny import tiny_bundle

NATIVE = Path(__file__).parents[3] / "runtime" / "native"


def build(folder: Path, *options: str, target: str = "rop-read") -> Path:
    """The program; a test is skipped where a compiler or a library is missing."""
    for program in ("cmake", "c++", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
    where = Path(openvino.__file__).parent / "cmake"
    if not where.is_dir():
        pytest.skip("this openvino comes without headers")
    configured = run(
        "cmake", "-S", NATIVE, "-B", folder, f"-DOpenVINO_DIR={where}", "-DCMAKE_BUILD_TYPE=None", *options
    )
    if configured.returncode and any(
        word in configured.stderr for word in ("Could NOT find", "not found", "required packages")
    ):
        pytest.skip(f"a library is missing: {configured.stderr.strip().splitlines()[-1]}")
    assert configured.returncode == 0, configured.stderr
    built = run("cmake", "--build", folder, "--parallel", "2", "--target", target)
    if "cannot find -l" in built.stderr or "cannot find /" in built.stderr:
        pytest.skip("no sanitizer libraries on this machine")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / target


def run(*command: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end, nobody's site configured."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROP_")}
    # What OpenVINO keeps until the process ends is no leak of ours; what we free too late or twice is a fault.
    own |= {"ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=900, env=own, check=False
    )


def readable_bundle(folder: Path) -> Bundle:
    """Tiny networks with self-test, stage vectors and saved graphs for this CPU."""
    bundle = tiny_bundle(folder)
    assert main(["trust", str(bundle.path)]) == 0
    assert main(["ir", str(bundle.path), "--cpu-class", "avx2", "--precision", "fp32"]) == 0
    return open_bundle(folder)
