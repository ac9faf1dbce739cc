"""Valgrind and the sanitizers watch the C client at work against the daemon; clients are killed while they submit."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from runtime.daemon.client import Client
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, SOURCES, build, tool
from tests.runtime.daemon.c.daemons import Daemons

pytestmark = pytest.mark.system
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}


def command(program: Path, path: Path, tmp_path: Path, clients: int, frames: int) -> list[str]:
    picture = tmp_path / "picture.raw"
    picture.write_bytes(retina().tobytes())
    return [str(program), str(path), str(clients), str(frames), str(picture), "320", "240"]


def exercised(line: list[str], **environment: str) -> None:
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "done\n"


@pytest.mark.parametrize("which", SANITIZERS)
def test_sanitizers_find_nothing(which: str, lasting_daemon: Path, tmp_path: Path) -> None:
    flags: list[str | Path] = ["-g", "-O1", *SANITIZERS[which], HERE / "exercise.c", *SOURCES, "-lpthread"]
    program = build("clang", tmp_path / "exercise", *flags)
    exercised(
        command(program, lasting_daemon, tmp_path, 4, 12), TSAN_OPTIONS="halt_on_error=1", ASAN_OPTIONS="detect_leaks=1"
    )


def test_valgrind_finds_nothing(lasting_daemon: Path, tmp_path: Path) -> None:
    program = build("gcc", tmp_path / "exercise", "-g", "-O1", HERE / "exercise.c", *SOURCES, "-lpthread")
    line = command(program, lasting_daemon, tmp_path, 2, 5)
    watch = ["--quiet", "--error-exitcode=9", "--leak-check=full"]
    done = subprocess.run([tool("valgrind"), *watch, *line], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


def kill_submitters(times: int, daemons: Daemons, tmp_path: Path) -> None:
    """Kill clients that submit without a pause; the daemon must go on and hold nothing of theirs."""
    program = build("gcc", tmp_path / "exercise", "-O2", HERE / "exercise.c", *SOURCES, "-lpthread")
    daemon = daemons.start()
    line = command(program, daemons.path, tmp_path, 1, 0)
    luck = random.Random(11)
    open_files = Path(f"/proc/{daemon.pid}/fd")
    before = 0
    with Client(daemons.path, slots=1, slot_bytes=320 * 240 * 3, stored_pictures=True) as watcher:
        for turn in range(times):
            frames = watcher.health().frames
            victim = subprocess.Popen(line, stdout=subprocess.DEVNULL)
            end = time.monotonic() + 120
            while watcher.health().frames == frames:  # it is at it
                assert time.monotonic() < end
                time.sleep(0.002)
            time.sleep(luck.random() * 0.01)
            victim.kill()
            victim.wait()
            while watcher.health().clients > 1 or watcher.health().waiting:
                assert time.monotonic() < end
                time.sleep(0.002)
            if turn == 0:
                before = len(list(open_files.iterdir()))
        while len(list(open_files.iterdir())) > before:  # the last ring is given back after its client is gone
            assert time.monotonic() < end
            time.sleep(0.002)
        assert watcher.read(retina()).sequence == 0
    assert daemon.poll() is None


def test_clients_killed_while_they_submit_leave_nothing_behind(daemons: Daemons, tmp_path: Path) -> None:
    kill_submitters(20, daemons, tmp_path)


@pytest.mark.soak
def test_a_thousand_clients_killed_while_they_submit_leave_nothing_behind(daemons: Daemons, tmp_path: Path) -> None:
    kill_submitters(1000, daemons, tmp_path)


def held(pid: int) -> tuple[int, int]:
    """(resident KiB, open descriptors) of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return resident, len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.soak
def test_a_hundred_thousand_frames_leave_client_and_daemon_as_they_were(daemons: Daemons, tmp_path: Path) -> None:
    program = build("gcc", tmp_path / "exercise", "-O2", HERE / "exercise.c", *SOURCES, "-lpthread")
    daemon = daemons.start()
    client = subprocess.Popen(command(program, daemons.path, tmp_path, 1, 0), stdout=subprocess.DEVNULL)
    seen = []
    with Client(daemons.path) as watcher:
        for frames in (10_000, 100_000):
            while watcher.health().frames < frames:
                assert client.poll() is None
                time.sleep(0.1)
            seen.append((held(client.pid), held(daemon.pid)))
    client.kill()
    client.wait()
    for (early_kib, early_files), (late_kib, late_files) in zip(*seen, strict=True):
        assert late_kib <= early_kib + 2048
        assert late_files <= early_files
