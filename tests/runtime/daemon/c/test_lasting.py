"""A hundred thousand frames of clients in C, and nothing that grows, here or in the daemon."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from runtime.daemon.client import Client
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, SOURCES, build
from tests.runtime.daemon.c.daemons import Daemons

CLIENTS = 4
WIDTH, HEIGHT = 320, 240


def facts(process: psutil.Process) -> tuple[int, float]:
    """Descriptors and resident MiB."""
    return process.num_fds(), process.memory_info().rss / 2**20


@pytest.mark.soak
@pytest.mark.parametrize("frames", [100_000])
def test_nothing_grows(daemons: Daemons, tmp_path: Path, frames: int) -> None:
    program = build("gcc", tmp_path / "exercise", "-O2", "-pthread", *SOURCES, HERE / "exercise.c")
    picture = tmp_path / "picture"
    picture.write_bytes(retina(1).tobytes())
    daemon = psutil.Process(daemons.start().pid)
    each = frames // CLIENTS // 2  # every client opens, reads and closes twice
    command = [program, daemons.path, CLIENTS, each, picture, WIDTH, HEIGHT]
    with subprocess.Popen(list(map(str, command))) as exercise, Client(daemons.path, "watch") as watch:
        here = psutil.Process(exercise.pid)
        seen: list[tuple[int, tuple[int, float], tuple[int, float]]] = []
        while exercise.poll() is None:
            health = watch.health()
            if health.clients == CLIENTS + 1 and health.frames < frames - 20 * CLIENTS:  # none of them has ended yet
                seen.append((health.frames, facts(daemon), facts(here)))
            time.sleep(0.2)
        assert exercise.wait() == 0
        early = next(entry for entry in seen if entry[0] > frames // 10)
        last = seen[-1]
        assert last[0] > frames * 9 // 10
        for before, after in zip(early[1:], last[1:], strict=True):
            assert after[0] <= before[0]
            assert after[1] < before[1] + 4
