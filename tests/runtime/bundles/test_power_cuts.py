"""The short form of the soak `tests/bench/bundle_kills.py`: real kills of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "bundle_kills.py"


@pytest.mark.parametrize("kills", [5, pytest.param(1000, marks=pytest.mark.soak)])
def test_one_whole_bundle_is_active_after_each_kill(tmp_path: Path, kills: int) -> None:
    state = tmp_path / "kills.json"
    call = [sys.executable, str(SCRIPT), "--kills", str(kills), "--state", str(state)]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(state.read_text()) == {"kills": kills, "broken": 0}
