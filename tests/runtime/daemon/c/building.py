"""Compiles the C library, its example and the tests' programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
C = ROOT / "runtime" / "daemon" / "c"
HERE = Path(__file__).parent
SOURCES = [C / "ropscreen.c", C / "ropscreen_wire.c"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-pedantic", "-Werror"]
STRICT = ["-std=c11", *WARNINGS]


def tool(name: str) -> str:
    """Where a program is; a test that needs one that is missing is skipped."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"no {name} on this machine")
    return found


def build(compiler: str, output: Path, *arguments: str | Path) -> Path:
    """Compile with every warning an error."""
    command = [tool(compiler), *STRICT, f"-I{C}", *map(str, arguments), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if any("sanitize" in str(argument) for argument in arguments) and "cannot find" in done.stderr:
        pytest.skip(f"{compiler} has no sanitizer libraries on this machine")
    assert done.returncode == 0, done.stderr
    return output
