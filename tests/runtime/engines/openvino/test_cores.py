"""An engine of fewer threads than cores keeps to no core of its own: two such programs would share the first one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
WATCHED = """
import contextlib, json, os, threading
import numpy as np
from runtime.bundle import open_bundle
from runtime.engines import load_engine

image, seen = np.zeros((1, 256, 256, 3), np.uint8), set()
with load_engine(open_bundle(None), "openvino", "fp32", threads=1) as engine:
    engine.infer(image)
    ended = threading.Event()

    def infer():
        while not ended.is_set():
            engine.infer(image)

    inferring = threading.Thread(target=infer)
    inferring.start()
    for _ in range(200):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # it has ended
                seen.add(tuple(sorted(os.sched_getaffinity(int(thread)))))
        ended.wait(0.002)
    ended.set()
    inferring.join()
print(json.dumps(sorted(seen)))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell which cores are allowed")
def test_one_thread_may_run_on_every_core_that_is_allowed() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [sorted(os.sched_getaffinity(0))]
