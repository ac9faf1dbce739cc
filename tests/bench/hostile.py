"""Prints what two hostile users do to an honest one's frames: `python tests/bench/hostile.py`, as root.

Each hostile user has all the connections that he may have, submits frames that are as large as the honest one's as
fast as their slots come back, asks for health without end, and has a process that connects and goes away. The
networks are a fake engine's that takes `--sleep-ms`. The honest user has a frame read at a time, alone and beside
them in turns, so that both figures are of the same minutes. The hostile programs have the lowest priority of the
system: what they take of the processor by themselves is for the system to bound, what is measured is the daemon. Exit
code 1 when the honest one's p99 is more than doubled or something was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.arrays import UInt8Array
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonError
from runtime.daemon.limits import MAX_CLIENTS_A_USER
from runtime.daemon.measure import pictures_of, started
from runtime.daemon.messages import FrameOrder
from runtime.percentiles import percentile

DAEMON = Path(__file__).parents[1] / "runtime" / "daemon" / "fake_daemon.py"
HONEST, HOSTILE = 12_001, (12_002, 12_003)
LIMIT = 2.0


def become(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def submit_for_ever(path: Path, picture_bytes: int, width: int, height: int) -> None:
    with Client(
        path, "hostile", slots=4, slot_bytes=picture_bytes, order=FrameOrder.EVERY, stored_pictures=True
    ) as client:
        while True:
            slot = client.free_slot()
            if slot is None:
                client.result()
                continue
            client.begin(slot)
            client.finish(slot)
            client.submit(slot, width, height)
            client.health()


def connect_for_ever(path: Path) -> None:
    while True:
        with contextlib.suppress(DaemonError), Client(path, "hostile", slots=1, slot_bytes=1 << 20):
            pass


def be_hostile(path: Path, connecting: bool, picture_bytes: int, width: int, height: int) -> NoReturn:
    """Never ends: whatever the daemon does about it, it comes again."""
    while True:
        try:
            if connecting:
                connect_for_ever(path)
            submit_for_ever(path, picture_bytes, width, height)
        except Exception:
            continue


@contextlib.contextmanager
def hostile_users(path: Path, picture_bytes: int, width: int, height: int) -> Iterator[None]:
    children = []
    for uid in HOSTILE:
        for number in range(MAX_CLIENTS_A_USER):
            child = os.fork()
            if child == 0:
                os.nice(19)
                become(uid)
                be_hostile(path, number == 0, picture_bytes, width, height)
            children.append(child)
    try:
        time.sleep(1.0)
        yield
        for child in children:
            os.kill(child, 0)  # raises where one has ended by itself
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def honest(path: Path, pictures: list[UInt8Array], frames: int) -> tuple[list[float], int]:
    """Milliseconds of each frame, and how often the daemon refused or gave no result."""
    taken, refused = [], 0
    picture = pictures[0]
    height, width = picture.shape[:2]
    with Client(
        path,
        "honest",
        max_age_ms=60_000,
        slots=2,
        slot_bytes=picture.nbytes,
        order=FrameOrder.EVERY,
        stored_pictures=True,
    ) as client:
        for number in range(frames):
            slot = client.free_slot()
            assert slot is not None
            client.fill(slot, pictures[number % len(pictures)])
            start = time.perf_counter()
            try:
                client.submit(slot, width, height, sequence=number)
                refused += client.result().outcome.name == "NO_RESULT"
            except DaemonError:
                refused += 1
            taken.append((time.perf_counter() - start) * 1e3)
    return taken, refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=800, help="of the honest user, alone and beside them")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--source", default="sim:seed=1,size=1024x1024")
    parser.add_argument("--sleep-ms", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("hostile.py: needs root, to be three users", file=sys.stderr)
        return 2
    pictures = pictures_of(options.source)
    height, width = pictures[0].shape[:2]
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "s"
        uids = [str(uid) for uid in (HONEST, *HOSTILE)]
        with started([sys.executable, str(DAEMON), str(path), str(options.sleep_ms), "0", *uids], path):
            alone: list[float] = []
            beside: list[float] = []
            refused = 0
            os.setgroups([])
            os.setresuid(HONEST, HONEST, 0)
            for _ in range(options.rounds):
                for found, users in ((alone, contextlib.nullcontext()), (beside, None)):
                    os.setresuid(0, 0, 0)
                    with users or hostile_users(path, pictures[0].nbytes, width, height):
                        os.setresuid(HONEST, HONEST, 0)
                        times, no = honest(path, pictures, options.frames // options.rounds)
                        os.setresuid(0, 0, 0)
                    found += times
                    refused += no
    figures = {
        "frames": len(alone),
        "alone_p50_ms": percentile(alone, 50),
        "alone_p99_ms": percentile(alone, 99),
        "beside_p50_ms": percentile(beside, 50),
        "beside_p99_ms": percentile(beside, 99),
        "p50_ratio": percentile(beside, 50) / percentile(alone, 50),
        "p99_ratio": percentile(beside, 99) / percentile(alone, 99),
        "refused": refused,
    }
    print(json.dumps(figures) if options.json else "\n".join(f"{key:14} {value:.6g}" for key, value in figures.items()))
    return 0 if figures["p99_ratio"] <= LIMIT and not refused else 1


if __name__ == "__main__":
    sys.exit(main())
