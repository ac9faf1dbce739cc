"""A signal after inference reaches Python: OpenVINO's stack for signals is too small for one on CPUs with AMX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SIGNALLED = """
import ctypes, signal
from device import open_camera
from runtime import Screener, open_bundle
from runtime.bundle import DEMONSTRATION
from runtime.engines.load_openvino import SIGNAL_STACK_BYTES, _Stack

with Screener(open_bundle(DEMONSTRATION), trust="off") as screener, open_camera("sim:seed=1") as camera:
    print(screener.screen(camera.read()).outcome.value)
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    print(stack.start is None or stack.size >= SIGNAL_STACK_BYTES)
    signal.signal(signal.SIGINT, lambda *_: print("interrupted"))
    signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks are looked at by Linux's call")
def test_ctrl_c_after_inference_reaches_python() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    outcome, roomy, told = done.stdout.split("\n")[:3]
    assert outcome in ("refer", "no_referral_findings", "REFER", "NO_REFERRAL_FINDINGS")
    assert (roomy, told) == ("True", "interrupted")
