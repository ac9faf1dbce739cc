"""Daemons as programs of their own, so that they can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.runtime.daemon.c.building import HERE, ROOT


@dataclass
class Daemons:
    """Starts daemons at one socket, one after the other."""

    path: Path
    bundle: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, delay_ms: float = 0.0) -> subprocess.Popen[str]:
        """A daemon that answers; its networks take `delay_ms`, below 0: they never get loaded."""
        script = [sys.executable, str(HERE / "daemon_child.py"), str(self.path), str(self.bundle), str(delay_ms)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(script, stdout=subprocess.PIPE, text=True, env=environment)
        self.running.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    def stop(self) -> None:
        for child in self.running:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.running:
            try:
                child.wait(120)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise
            finally:
                assert child.stdout is not None
                child.stdout.close()
