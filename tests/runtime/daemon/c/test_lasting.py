"""A hundred thousand frames of clients in C, and nothing that grows, here or in the daemon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from runtime.daemon.client import Client
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, SOURCES, build
from tests.runtime.daemon.c.clib import CClient, Status
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


def sixty_a_second(
    daemons: Daemons, new_client: Callable[[], CClient], seconds: float, slots: int = 8
) -> dict[str, float]:
    """A camera of 60 frames a second before an engine of 25, and what became of them. slots: as the README says."""
    daemon, here = psutil.Process(daemons.start(delay_ms=40).pid), psutil.Process()
    client, pixels = new_client(), retina(1, width=WIDTH, height=HEIGHT).tobytes()
    assert client.open(daemons.path) is Status.OK
    assert client.configure(slots=slots, slot_bytes=len(pixels), order=1) is Status.OK
    sent = given = no_slot = 0
    early: list[tuple[int, float]] = []
    begin = time.monotonic()
    while (past := time.monotonic() - begin) < seconds:
        status = client.send(pixels, WIDTH, HEIGHT, sequence=sent)
        no_slot += status is Status.NO_SLOT
        sent += status is Status.OK
        assert status in (Status.OK, Status.NO_SLOT)
        while client.poll()[0] is Status.OK:
            given += 1
        if not early and past > seconds / 5:
            early = [facts(daemon), facts(here)]
        time.sleep(max(0.0, begin + (sent + no_slot) / 60 - time.monotonic()))
    late = [facts(daemon), facts(here)]
    while given < sent and client.wait()[0] is Status.OK:
        given += 1
    grown = [after[1] - before[1] for before, after in zip(early, late, strict=True)]
    return {
        "seconds": round(time.monotonic() - begin),
        "handed over": sent,
        "superseded": client.health()[1].superseded,
        "lost": sent - given,
        "NO_SLOT": no_slot,
        "descriptors more": sum(after[0] - before[0] for before, after in zip(early, late, strict=True)),
        "daemon grew by MiB": round(grown[0], 1),
        "client grew by MiB": round(grown[1], 1),
    }


@pytest.mark.system
def test_of_frames_faster_than_the_engine_none_is_lost(daemons: Daemons, new_client: Callable[[], CClient]) -> None:
    found = sixty_a_second(daemons, new_client, 2)
    assert found["superseded"] > 0
    assert found["lost"] == 0  # whether a slot was free in time rests on how busy the machine is: the soak's figure


@pytest.mark.soak
def test_ten_minutes_of_them(daemons: Daemons, new_client: Callable[[], CClient]) -> None:
    """ROP_SECONDS=N does a part of it."""
    found = sixty_a_second(daemons, new_client, float(os.environ.get("ROP_SECONDS", "600")))
    sys.stdout.write(f"{found}\n")  # the figures, with -s
    assert (found["lost"], found["NO_SLOT"], found["descriptors more"]) == (0, 0, 0)
    assert max(found["daemon grew by MiB"], found["client grew by MiB"]) < 2
