"""A program whose GPU is lost: the frame at hand is told, then it ends with a code of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.bundle import Bundle
from runtime.cuda.errors import GPU_LOST_EXIT_CODE
from tests.runtime.engines.tensorrt.fake_plans import both_plans, write_plans

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.system


@pytest.mark.parametrize("frames", [3, 20], ids=["at the last frame", "with frames to come"])
def test_the_frame_at_hand_is_told_then_the_program_ends_with_its_own_code(
    tiny: Bundle, tmp_path: Path, frames: int
) -> None:
    write_plans(tiny, both_plans(tiny))
    out = tmp_path / "out"
    child = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "tests.runtime.engines.tensorrt.with_lost_gpu",
                "sim:faults=0",
                "--frames",
                str(frames),
            ),
            *("--bundle", str(tiny.path), "--out", str(out), "--budget-ms", "60000"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == GPU_LOST_EXIT_CODE, child.stderr
    assert "GPU lost: cuGraphLaunch: as it was told to fail (700); this process ends with code 75" in child.stderr
    assert "Traceback" not in child.stderr
    readings = [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]
    assert len(readings) == 3
    assert [reading["outcome"] == "NO_RESULT" for reading in readings] == [False, False, True]
    assert readings[-1]["reason"].startswith("GPU lost: cuGraphLaunch")
    assert (out / "summary.html").is_file()


def test_a_program_that_goes_on_is_ended() -> None:
    code = (
        "import threading, runtime.cuda.errors as errors\n"
        "errors.GRACE_S = 0.2\n"
        "errors.end_process('GPU lost: a test')\n"
        "print('still here', flush=True)\n"
        "threading.Event().wait()\n"
    )
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert child.returncode == GPU_LOST_EXIT_CODE
    assert child.stdout == "still here\n"
    assert child.stderr == "GPU lost: a test; this process ends with code 75: start it again\n"
