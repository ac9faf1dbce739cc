"""Every command parses before it imports: `--help` of each brings in nothing that takes time."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.fresh import FreshStarts

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


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(fresh: FreshStarts, command: str) -> None:
    ran = fresh.run([*command.split(), "--help"], ROOT, watched=HEAVY)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("usage: ")
    assert ran.imported == ()


@pytest.mark.parametrize("command", [*COMMANDS, "build_engines.peer"])
@pytest.mark.parametrize(
    ("out", "why"), [("/dev/full", "No space left on device"), (None, "Bad file descriptor")], ids=["full", "closed"]
)
def test_help_that_cannot_be_printed_is_one_line(fresh: FreshStarts, command: str, out: str | None, why: str) -> None:
    for option in ("--help", "--version"):
        if option == "--help" or len(command.split()) == 1:
            ran = fresh.run([*command.split(), option], ROOT, out=out)
            said = f"cannot write to standard output: {why}; name another file or pipe\n"
            assert (ran.code, ran.err) == (2, said), option


@pytest.mark.parametrize("command", ["device telemetry", "device cameras", "build_engines describe"])
@pytest.mark.parametrize("out", ["/dev/full", None], ids=["full", "closed"])
def test_an_answer_that_cannot_be_printed_is_no_traceback(fresh: FreshStarts, command: str, out: str | None) -> None:
    ran = fresh.run(command.split(), ROOT, out=out)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "cannot " in ran.err
    assert "Errno" not in ran.err


def test_what_is_imported_is_seen(fresh: FreshStarts, tmp_path: Path) -> None:
    """The watch itself."""
    (tmp_path / "heavy.py").write_text("import numpy, sys\nsys.exit(3)\n", encoding="utf-8")
    ran = fresh.run(["heavy"], tmp_path, watched=HEAVY)
    assert (ran.code, ran.imported) == (3, ("numpy",))


@pytest.mark.parametrize("words", ["runtime.exam --help", "device.version --nothing", "runtime.screen --nothing"])
def test_a_fresh_start_is_as_one_of_python(fresh: FreshStarts, words: str) -> None:
    real = subprocess.run([sys.executable, "-m", *words.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    ran = fresh.run(words.split(), ROOT)
    assert (ran.code, ran.out, ran.err) == (real.returncode, real.stdout, real.stderr)


def test_every_installed_command_is_tried() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    modules = {line.partition("=")[2].strip().partition(":")[0].removesuffix(".__main__") for line in scripts if line}
    assert modules
    assert modules - set(COMMANDS) == set()
