"""Ctrl-C while a command is still being loaded: the program ends, and prints no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

CALLS = {
    "screen": ("run", ["sim:", "--frames", "1"]),
    "bench": ("run", []),
    "reread": ("run", [".", "--out", "again.csv"]),
    "bundles": ("verbs", ["list"]),
    "fleet": ("verbs", ["status", ".", "--carts", "."]),
}
"""What each loads when its line is parsed, and a line that it parses."""
PROGRAM = """
import runpy, signal, sys

loads, program, sys.argv = sys.argv[1], sys.argv[2], sys.argv[2:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored

class Early:
    def find_spec(self, name, path=None, target=None):
        if name == loads:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Early())
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("command", CALLS)
def test_stopped_while_it_is_loaded(command: str, tmp_path: Path) -> None:
    loads, words = CALLS[command]
    call = [sys.executable, "-c", PROGRAM, f"runtime.{command}.{loads}", f"runtime.{command}", *words]
    found = subprocess.run(call, capture_output=True, text=True, check=False, cwd=tmp_path, env=ENVIRONMENT)
    assert found.returncode in (-signal.SIGINT, 130)
    assert found.stderr == ""
