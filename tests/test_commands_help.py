"""Every command parses before it imports: `--help` of each brings in nothing that takes time."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    *("PIL", "cryptography", "cv2", "matplotlib", "numpy", "onnx", "openvino", "pydantic", "pydicom", "rich", "serial"),
    "torch",
)
COMMANDS = [
    "runtime.screen",
    "runtime.bench",
    "runtime.bench compare",
    "runtime.bundles",
    *(f"runtime.bundles {verb}" for verb in ("install", "activate", "rollback", "list", "remove")),
    "runtime.fleet",
    *(f"runtime.fleet {verb}" for verb in ("push", "pull", "report", "status", "units")),
    "runtime.reread",
    "runtime.daemon",
    *(f"runtime.daemon {verb}" for verb in ("status", "reload", "install", "measure")),
    "runtime.exam",
    *(f"runtime.exam {verb}" for verb in ("key", "new", "capture", "close", "list", "verify", "retire", "demo")),
    "runtime.cart",
    "runtime.dicom",
    *(f"runtime.dicom {verb}" for verb in ("worklist", "send", "outbox")),
    "device",
    *(f"device {word}" for word in ("cameras", "probe", "grab", "light", "telemetry")),
    "calibration",
    *(f"calibration {word}" for word in ("create", "inspect", "compare")),
    "build_engines",
    *(f"build_engines {word}" for word in ("describe", "evaluate", "familiar", "report", "sensitivity", "sign")),
    "build_engines trust",
    "build_engines --target tensorrt",
    "build_engines.train",
]
RUN = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
code = None
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    code = ended.code
print("imported:", *sorted(name for name in {heavy!r} if name in sys.modules))
sys.exit(code)
""".replace("{heavy!r}", repr(HEAVY))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    call = [sys.executable, "-c", RUN, *command.split(), "--help"]
    found = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "usage: " in found.stdout
    assert found.stdout.splitlines()[-1] == "imported:"


def test_every_installed_command_is_tried() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    modules = {line.partition("=")[2].strip().partition(":")[0].removesuffix(".__main__") for line in scripts if line}
    assert modules
    assert modules - set(COMMANDS) == set()
