"""Clients that are killed in the middle, and nothing that grows."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from runtime.daemon.client import Client
from runtime.daemon.messages import WireOutcome
from tests.holding import goes_back_to, held
from tests.pictures import retina
from tests.runtime.daemon.conftest import awaited

HERE = Path(__file__).parent
RING: dict[str, Any] = {"slots": 2, "slot_bytes": 320 * 240 * 3, "max_age_ms": 60_000}


@contextmanager
def daemon_process(path: Path) -> Iterator[psutil.Process]:
    """A daemon with a fake engine, ready."""
    with subprocess.Popen([sys.executable, str(HERE / "fake_daemon.py"), str(path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield psutil.Process(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def ring_mappings(process: psutil.Process) -> int:
    return Path(f"/proc/{process.pid}/maps").read_text().count("ropscreend-ring")


def resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


@pytest.mark.system
@pytest.mark.parametrize("times", [pytest.param(50, id="50"), pytest.param(1000, id="1000", marks=pytest.mark.soak)])
def test_clients_killed_in_the_middle_of_a_submission(tmp_path: Path, times: int) -> None:
    path, rng = tmp_path / "s", random.Random(times)
    with daemon_process(path) as daemon:
        command = [sys.executable, str(HERE / "forked_clients.py"), str(path)]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks,
            Client(path, "steady", **RING, stored_pictures=True) as steady,
        ):
            assert forks.stdin is not None
            assert forks.stdout is not None
            for number in range(times):
                forks.stdin.write("\n")
                forks.stdin.flush()
                child = int(forks.stdout.readline())
                if number % 2:  # half of them wherever they are after a moment, half once they have their ring
                    awaited(lambda: ring_mappings(daemon) >= 2, "the client's ring")
                threading.Event().wait(rng.random() * 0.02)
                os.kill(child, signal.SIGKILL)
                assert forks.stdout.readline() == "gone\n"
                if number == times // 5:
                    before, memory = held(daemon.pid), resident(daemon)
                if number % 10 == 0:
                    assert steady.read(retina(2)).outcome is WireOutcome.NO_REFERRAL_FINDINGS
            forks.stdin.close()
            awaited(lambda: steady.health().clients == 1, "the last client's end")
            awaited(lambda: ring_mappings(daemon) == 1, "the last ring's end")
            assert steady.health().waiting == 0
            assert steady.read(retina(3)).outcome is WireOutcome.NO_REFERRAL_FINDINGS
            goes_back_to(before, daemon.pid)  # where that was counted one client more may have been there
            assert resident(daemon) < memory + 16


@pytest.mark.system
@pytest.mark.parametrize(
    "frames", [pytest.param(600, id="600"), pytest.param(100_000, id="100000", marks=pytest.mark.soak)]
)
def test_nothing_grows(tmp_path: Path, frames: int) -> None:
    path, here = tmp_path / "s", psutil.Process()
    pictures = [retina(seed) for seed in range(4)]
    with daemon_process(path) as daemon, Client(path, **RING) as client:
        early = max(200, frames // 10)
        for number in range(frames):
            pictures[number % 4][0, 0] = list(number.to_bytes(3, "big"))  # none is a repeated one
            result = client.read(pictures[number % 4], sequence=number, vessels=True)
            assert result.outcome is WireOutcome.NO_REFERRAL_FINDINGS
            if number == early:
                before = [(held(p.pid), resident(p)) for p in (daemon, here)]
        for (of_then, memory), process in zip(before, (daemon, here), strict=True):
            goes_back_to(of_then, process.pid)
            assert resident(process) < memory + 4
        assert client.health().frames == frames


@pytest.mark.system
def test_connections_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with daemon_process(path) as daemon:
        for number in range(60):
            if number == 10:
                awaited(lambda: ring_mappings(daemon) == 0, "the end of the first ten")
                before = held(daemon.pid)
            with Client(path, slots=4, slot_bytes=2**20) as client:
                client.health()
        awaited(lambda: ring_mappings(daemon) == 0, "the end of all")
        goes_back_to(before, daemon.pid)
