"""The C client and the daemon, each a program of its own."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.daemon.client import Client
from runtime.daemon.messages import DaemonState
from tests.busy import at_a_calm_moment
from tests.holding import goes_back_to, held
from tests.pictures import retina
from tests.runtime.daemon.c.clib import CClient, Result, Status
from tests.runtime.daemon.c.daemons import Daemons

pytestmark = pytest.mark.system
NewClient = Callable[[], CClient]
WIDTH, HEIGHT = 320, 240
PIXELS = retina(width=WIDTH, height=HEIGHT).tobytes()
REFER, NO_REFERRAL_FINDINGS, RETAKE, NO_RESULT = 1, 2, 3, 4
NEWEST = 1
LATE, SUPERSEDED, HAS_VESSELS = 1, 4, 8
MOST_MS = 50


def ready(new_client: NewClient, path: Path, **options: int) -> CClient:
    client = new_client()
    assert client.open(path) is Status.OK
    assert client.configure(**options) is Status.OK
    return client


def test_reads_a_frame_as_the_python_client_does(lasting_daemon: Path, new_client: NewClient) -> None:
    client = ready(new_client, lasting_daemon)
    assert client.send(PIXELS, WIDTH, HEIGHT, flags=1, sequence=7) is Status.OK
    status, result = client.wait()
    how: dict[str, Any] = {"slots": 1, "slot_bytes": len(PIXELS), "stored_pictures": True, "max_age_ms": 60_000}
    with Client(lasting_daemon, **how) as python:
        same = python.read(retina(width=WIDTH, height=HEIGHT), vessels=True, sequence=7)
        expected_map = python.vessels(same)
    assert status is Status.OK
    assert (result.outcome, result.sequence) == (NO_REFERRAL_FINDINGS, 7)
    assert result.text.decode() == same.text
    assert result.reason.decode() == same.reason
    assert tuple(result.probabilities) == same.probabilities
    assert bytes(result.frame_sha256) == same.frame_sha256 == hashlib.sha256(PIXELS).digest()
    assert result.flags == same.flags
    status, vessels = client.vessels(result)
    assert status is Status.OK
    assert expected_map is not None
    assert vessels == expected_map.tobytes()
    assert any(vessels)


def test_answers_about_itself(daemons: Daemons, new_client: NewClient) -> None:
    child = daemons.start()
    client = ready(new_client, daemons.path)
    status, health = client.health()
    assert status is Status.OK
    assert health.daemon_pid == child.pid
    assert health.state in (DaemonState.READY, DaemonState.DEGRADED)
    assert health.clients == 1
    status, bundle = client.bundle()
    assert status is Status.OK
    assert [bytes(name).rstrip(b"\0") for name in bundle.class_names][:3] == [b"no_ridge", b"ridge", b""]
    assert bytes(bundle.sha256) == bytes(health.bundle_sha256)


def test_every_frame_gets_its_result_in_order_and_slots_come_back(lasting_daemon: Path, new_client: NewClient) -> None:
    client = ready(new_client, lasting_daemon)
    for sequence in range(3):
        assert client.send(PIXELS, WIDTH, HEIGHT, sequence=sequence) is Status.OK
    assert [client.wait()[1].sequence for _ in range(3)] == [0, 1, 2]
    assert client.wait()[0] is Status.BAD_STATE
    assert "no frame is under way" in client.error
    assert client.acquire()[0] is Status.OK
    assert client.error == ""


def test_newest_wins_where_it_was_chosen(daemons: Daemons, new_client: NewClient) -> None:
    daemons.start(delay_ms=200)
    client = ready(new_client, daemons.path, order=NEWEST)

    def newest_wins() -> None:
        for sequence in range(3):
            assert client.send(PIXELS, WIDTH, HEIGHT, sequence=sequence) is Status.OK
            time.sleep(0.02)  # so that the first is being read
        results = [client.wait()[1] for _ in range(3)]
        flags = {result.sequence: result.flags & SUPERSEDED for result in results}
        assert flags == {0: 0, 1: SUPERSEDED, 2: 0}
        outcomes = {result.sequence: result.outcome for result in results}
        assert outcomes[1] == NO_RESULT
        assert outcomes[2] == NO_REFERRAL_FINDINGS

    at_a_calm_moment(newest_wins)


def test_a_late_frame_says_late(daemons: Daemons, new_client: NewClient, library: ctypes.CDLL) -> None:
    daemons.start(delay_ms=30)
    client = ready(new_client, daemons.path)
    assert client.send(PIXELS, WIDTH, HEIGHT, deadline_ns=library.rop_now_ns() + 1_000_000) is Status.OK
    status, result = client.wait()
    assert (status, result.outcome, result.flags & LATE) == (Status.OK, NO_RESULT, LATE)


def test_a_vessel_map_is_stale_once_its_slot_was_submitted_again(lasting_daemon: Path, new_client: NewClient) -> None:
    client = ready(new_client, lasting_daemon, slots=1)
    assert client.send(PIXELS, WIDTH, HEIGHT, flags=1) is Status.OK
    _, first = client.wait()
    assert first.flags & HAS_VESSELS
    assert client.send(PIXELS, WIDTH, HEIGHT, flags=1) is Status.OK
    assert client.vessels(first) == (Status.STALE, bytes(65536))
    _, second = client.wait()
    assert client.vessels(first)[0] is Status.STALE
    assert client.vessels(second)[0] is Status.OK


def test_a_daemon_that_is_not_ready_refuses_without_a_finding(daemons: Daemons, new_client: NewClient) -> None:
    daemons.start(delay_ms=-1)
    client = ready(new_client, daemons.path)
    assert client.bundle()[0] is Status.REFUSED
    assert client.refusal.code == 23
    assert client.health()[1].state == DaemonState.LIVE
    assert client.send(PIXELS, WIDTH, HEIGHT, sequence=3) is Status.OK
    status, result = client.wait()
    assert (status, result.refused, result.outcome, result.sequence) == (Status.OK, 23, NO_RESULT, 3)
    assert result.text.startswith(b"No result - ")
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK  # the slot came back


def test_a_ring_too_large_is_refused_and_a_smaller_one_can_be_had(lasting_daemon: Path, new_client: NewClient) -> None:
    client = new_client()
    assert client.open(lasting_daemon) is Status.OK
    assert client.configure(slots=16, slot_bytes=2**32 - 1) is Status.REFUSED
    assert client.refusal.code == 18
    assert client.configure() is Status.OK


def test_a_killed_daemon_is_told_at_once_and_its_successor_is_found(daemons: Daemons, new_client: NewClient) -> None:
    client = new_client()

    def told_at_once() -> None:
        child = daemons.start(delay_ms=60_000)
        assert client.open(daemons.path) is Status.OK
        assert client.configure() is Status.OK
        assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        start = time.monotonic()
        status, result = client.wait(10_000)
        took_ms = (time.monotonic() - start) * 1e3
        assert (status, result.outcome) == (Status.GONE, NO_RESULT)
        assert client.health()[0] is Status.GONE
        assert client.acquire()[0] is Status.GONE
        client.close()
        assert client.open(daemons.path) is Status.NO_DAEMON
        assert took_ms < MOST_MS

    for _ in range(2):
        at_a_calm_moment(told_at_once)


def test_a_wait_under_way_ends_when_the_daemon_is_killed(daemons: Daemons, new_client: NewClient) -> None:
    child = daemons.start(delay_ms=60_000)
    client = ready(new_client, daemons.path)
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
    died: list[float] = []

    def kill() -> None:
        died.append(time.monotonic())
        os.kill(child.pid, signal.SIGKILL)

    timer = threading.Timer(0.1, kill)
    timer.start()
    status, _ = client.wait(50_000)
    took_ms = (time.monotonic() - died[0]) * 1e3
    timer.join()
    assert status is Status.GONE
    assert took_ms < 40_000  # the system takes the daemon down first, in its own time; nothing waits for the reading


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_came_before_the_daemon_ended_is_still_given(
    daemons: Daemons, new_client: NewClient, cancelled: bool
) -> None:
    """Unless it was cancelled since: it is the infant's before."""
    child = daemons.start()
    client = ready(new_client, daemons.path)
    assert client.send(PIXELS, WIDTH, HEIGHT, sequence=1) is Status.OK
    with Client(daemons.path) as other:
        end = time.monotonic() + 60
        while other.health().frames < 1:
            assert time.monotonic() < end
            time.sleep(0.002)
    child.terminate()
    child.wait()
    assert client.send(PIXELS, WIDTH, HEIGHT, sequence=2) is Status.GONE
    if cancelled:
        assert client.cancel() is Status.GONE
    status, result = client.poll()
    assert (status, result.sequence, result.outcome) == (Status.OK, 1, NO_RESULT if cancelled else NO_REFERRAL_FINDINGS)
    assert client.poll()[0] is Status.GONE


def test_opening_and_closing_leaves_nothing_behind(lasting_daemon: Path, new_client: NewClient) -> None:
    ready(new_client, lasting_daemon).close()
    before = held()
    for _ in range(50):
        ready(new_client, lasting_daemon).close()
    goes_back_to(before)
    assert "ropscreend-ring" not in Path("/proc/self/maps").read_text()


def test_wrong_places_and_names(tmp_path: Path, lasting_daemon: Path, new_client: NewClient) -> None:
    client = new_client()
    (tmp_path / "file").write_text("")
    assert client.open(tmp_path / "none") is Status.NO_DAEMON
    assert client.open(tmp_path / "file") is Status.NO_DAEMON
    assert client.open(tmp_path / ("x" * 120)) is Status.PATH_TOO_LONG
    for name in ("", "x" * 32, "Anna Muster", "a/b"):
        assert client.open(lasting_daemon, name) is Status.BAD_ARGUMENT
    assert client.open("") is Status.BAD_ARGUMENT
    assert client.open(lasting_daemon, flags=4) is Status.BAD_ARGUMENT
    for size in (0, 63, 1025, 2**32 - 1):  # the last as of memory that nobody set: it is not read to its end
        assert client.open(lasting_daemon, size=size) is Status.BAD_ARGUMENT
        assert f"options.size: got {size}, needed" in client.error
    assert client.health()[0] is Status.BAD_STATE
    assert client.poll()[0] is Status.BAD_STATE
    assert client.vessels(Result())[0] is Status.BAD_STATE
    assert client.open(lasting_daemon) is Status.OK
    assert client.open(lasting_daemon) is Status.BAD_STATE
    for wrong in ({"slots": 0}, {"slots": 17}, {"slot_bytes": 0}, {"order": 3}, {"flags": 4}):
        assert client.configure(**wrong) is Status.BAD_ARGUMENT
    assert client.configure() is Status.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_user_who_may_not_connect_is_told(daemons: Daemons, new_client: NewClient) -> None:
    open_to_all = Path(tempfile.mkdtemp())  # every folder above tmp_path is root's alone
    open_to_all.chmod(0o755)
    daemons.path = open_to_all / "s"
    child = daemons.start()
    daemons.path.chmod(0o666)
    client = new_client()
    os.seteuid(65534)
    try:
        assert client.open(daemons.path) is Status.CLOSED
    finally:
        os.seteuid(0)
    assert client.refusal.code == 7
    assert b"65534" in client.refusal.text
    assert "65534" in client.error
    assert client.health()[0] is Status.BAD_STATE
    assert client.refusal.code == 0  # of the last call only
    child.terminate()
    child.wait()
    shutil.rmtree(open_to_all)
