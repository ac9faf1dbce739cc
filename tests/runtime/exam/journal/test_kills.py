"""`kill -9` at random points of running exams: no accepted frame or reading lost, none half stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed.py")


@pytest.mark.parametrize("kills", [pytest.param(30, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.soak)])
def test_kills_at_random_points_lose_nothing(tmp_path: Path, kills: int) -> None:
    command = [sys.executable, str(SCRIPT), "--kills", str(kills), "--folder", str(tmp_path), "--seed", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600 + 20 * kills)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == kills
    assert found["readings_acknowledged"] > kills / 3
    assert found["slowest_recovery_cpu_s"] < 1.0
