"""What one client or user cannot do to the others: places, memory, silence, turns."""

from __future__ import annotations

import fcntl
import os
import socket
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import Bundle
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonError, DaemonRefused
from runtime.daemon.limits import (
    KEPT_FOR_OWN,
    KEPT_FOR_ROOT,
    MAX_ALL_RINGS_BYTES,
    MAX_CLIENTS,
    MAX_CLIENTS_A_USER,
    Limits,
    groups_of,
    may_join,
    rings_bytes,
)
from runtime.daemon.messages import FROM_DAEMON, Configure, Error, FrameOrder, Hello, RingLayout, Welcome
from runtime.daemon.ring import Ring, make_ring
from runtime.daemon.turns import Turns
from runtime.daemon.wire import LARGEST, VERSION, ErrorCode, decode
from tests.busy import at_a_calm_moment
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited, running


def test_no_user_takes_the_places_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 990)
    others: list[int] = []
    for uid in (1000, 1001, 1002, 1003, 1004):
        while not may_join(uid, others):
            others.append(uid)
        assert others.count(uid) <= MAX_CLIENTS_A_USER
    assert len(others) == MAX_CLIENTS - KEPT_FOR_ROOT - KEPT_FOR_OWN
    while not may_join(990, others):
        others.append(990)
    assert len(others) == MAX_CLIENTS - KEPT_FOR_ROOT
    while not may_join(0, others):
        others.append(0)
    assert len(others) == MAX_CLIENTS


def test_the_daemons_own_user_leaves_room_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 990)
    assert may_join(990, [990] * (MAX_CLIENTS - KEPT_FOR_ROOT)) == MAX_CLIENTS - KEPT_FOR_ROOT
    assert may_join(0, [990] * (MAX_CLIENTS - KEPT_FOR_ROOT)) == 0


def test_members_of_the_group_are_admitted_or_those_of_them_that_are_named() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        groups = groups_of(here)
        assert os.getegid() in groups
        assert Limits(group=os.getegid()).admits(54321, here)
        assert not Limits(group=max(groups) + 1).admits(54321, here)
        assert not Limits(frozenset({1}), os.getegid()).admits(54321, here)
        assert Limits(frozenset({54321})).admits(54321, here)
        assert Limits().admits(os.geteuid(), here)
        assert not Limits().admits(54321, here)


def test_who_says_nothing_is_closed_and_who_waits_for_a_result_is_not(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle, limits=Limits(hello_s=0.3, idle_s=0.5, max_age_ms=60_000)) as daemon:
        daemon.release.set()
        daemon.ready()

        def is_closed(hello: Hello | None) -> None:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
                silent.settimeout(60)
                silent.connect(str(daemon.path))
                if hello is not None:
                    silent.send(hello.encode(1))
                    assert isinstance(decode(silent.recv(LARGEST), FROM_DAEMON).message, Welcome)
                error = decode(silent.recv(LARGEST), FROM_DAEMON).message
                assert isinstance(error, Error)
                assert error.code is ErrorCode.IDLE
                assert ("no HELLO" in error.text) is (hello is None)
                assert silent.recv(LARGEST) == b""

        def is_waited_for() -> None:
            with daemon.client() as client:
                client.fill(0, retina(1))
                client.submit(0, 320, 240)
                assert client.result(60).sequence == 0

        is_closed(None)
        at_a_calm_moment(partial(is_closed, Hello(VERSION, VERSION, "idle")))
        daemon.engine.segment_delay_ms = 2500.0
        at_a_calm_moment(is_waited_for, failures=(DaemonError,))


def test_memory_counts_for_each_user_and_in_all(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.daemon.service.is_trusted", lambda uid: False)
    monkeypatch.setattr("runtime.daemon.service.MAX_RINGS_A_USER_BYTES", 2 * 2**20)
    with daemon.client(slots=1, slot_bytes=2**20), pytest.raises(DaemonRefused) as refused:
        daemon.client(slots=1, slot_bytes=2**20)
    assert refused.value.code is ErrorCode.RING_REFUSED


def test_rings_have_half_of_what_the_daemons_control_group_may(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/ropscreend.service\n")
    folder = tmp_path / "sys/fs/cgroup/system.slice/ropscreend.service"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("max\n")
    (folder.parent / "memory.max").write_text(f"{2**30}\n")
    assert rings_bytes(tmp_path) == 2**29
    (folder / "memory.max").write_text(f"{2**28}\n")
    assert rings_bytes(tmp_path) == 2**27
    (tmp_path / "proc/self/cgroup").write_text("1:name=systemd:/\n")
    assert 0 < rings_bytes(tmp_path) <= MAX_ALL_RINGS_BYTES
    assert 0 < rings_bytes() <= MAX_ALL_RINGS_BYTES


def shared_kib(name: str) -> int:
    """Resident shared memory of this process's mappings of that name."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0] and ":" not in line.split(" ", 1)[0]:
            inside = name in line
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def blocks_of(descriptor: int) -> int:
    return os.fstat(descriptor).st_blocks * 512


def test_pages_go_back_to_the_system_though_the_client_keeps_its_mapping() -> None:
    sealed = make_ring(2, 2**20)
    kept = os.dup(sealed.descriptor)
    client = Ring(sealed.descriptor, sealed.ring.layout)
    os.close(sealed.descriptor)
    try:
        client.pixels(0)[:] = 7
        assert blocks_of(kept) >= 2 * 2**20
        del sealed
        assert blocks_of(kept) == 0
        assert not client.pixels(0).any()  # the client's own from here on
        assert fcntl.fcntl(kept, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    finally:
        os.close(kept)


def test_a_closed_connections_pages_are_given_back(daemon: Running) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as raw:
        raw.settimeout(300)
        raw.connect(str(daemon.path))
        raw.send(Hello(VERSION, VERSION, "keeps").encode(1))
        raw.recv(LARGEST)
        raw.send(Configure(2, 2**20, FrameOrder.NEWEST, 0).encode(2))
        data, (ring,), _, _ = socket.recv_fds(raw, LARGEST, 1)
        layout = decode(data, FROM_DAEMON).message
        assert isinstance(layout, RingLayout)
        kept = Ring(ring, layout)
        kept.pixels(0)[:] = 7
    try:
        awaited(lambda: blocks_of(ring) == 0, "the pages")
        with Client(daemon.path) as other:
            assert other.health().clients == 1
    finally:
        os.close(ring)


def test_turns_go_by_time_not_by_frames() -> None:
    turns: Turns[str] = Turns()
    for number in range(20):
        turns.put("large", f"large{number}", user=1)
        turns.put("small", f"small{number}", user=2)
    served = []
    for _ in range(20):
        job = turns.next()
        assert job is not None
        served.append(job[:5])
        owner, user = (job[:5], 1) if job.startswith("large") else (job[:5], 2)
        turns.charge(owner, 100.0 if owner == "large" else 10.0, user)
    assert served.count("small") >= 18


def test_many_connections_of_one_user_are_one_user() -> None:
    turns: Turns[str] = Turns()
    for number in range(8):
        for again in range(3):
            turns.put(f"hostile{number}", f"h{number}{again}", user=1)
    turns.put("honest", "mine", user=2)
    first = [turns.next(), turns.next()]
    assert "mine" in first


def test_who_comes_back_has_saved_nothing_up() -> None:
    turns: Turns[str] = Turns()
    turns.put("a", "a", user=1)
    assert turns.next() == "a"
    for number in range(50):
        turns.put("b", f"b{number}", user=2)
    for _ in range(20):
        turns.next()
        turns.charge("b", 10.0, 2)
    for number in range(20):
        turns.put("a", f"a{number}", user=1)
    served = []
    for _ in range(20):
        job = turns.next()
        assert job is not None
        served.append(job[0])
        turns.charge(job[0], 10.0, 1 if job[0] == "a" else 2)
    assert 8 <= served.count("a") <= 12


@pytest.mark.parametrize("their_ms", [1.0, 10.0, 100.0])
def test_one_frame_at_a_time_waits_for_the_frame_under_way_alone(their_ms: float) -> None:
    """Two users have heaps waiting, in many connections; a third sends its next when it has its result."""
    turns: Turns[str] = Turns()
    for user in (1, 2):
        for owner in range(7):
            for _ in range(4):
                turns.put(f"{user}.{owner}", f"{user}.{owner}", user=user)
    served, waited = [], 0
    for _ in range(300):
        job = turns.next()
        assert job is not None
        served.append(job)
        if job == "honest":
            waited = 0
            turns.charge(job, 10.0, 3)
            continue
        if waited == 0:
            turns.put("honest", "honest", user=3)  # comes while theirs is under way
        waited += 1
        assert waited <= 1
        turns.charge(job, their_ms, int(job[0]))
        turns.put(job, job, user=int(job[0]))
    assert served.count("honest") == 150
    assert abs(sum(job[0] == "1" for job in served) - 75) <= 1, "and the two others share what is left"


def test_who_sends_one_at_a_time_does_not_keep_heaps_from_their_turns() -> None:
    turns: Turns[int] = Turns()
    for _ in range(50):
        turns.put("heap", 0, user=0)
    for each in (1, 2, 3):
        turns.put("one", each, user=each)
    served = []
    for _ in range(100):
        user = turns.next()
        assert user is not None
        served.append(user)
        turns.charge("heap" if user == 0 else "one", 10.0, user)
        turns.put("heap" if user == 0 else "one", user, user=user)
    assert served.count(0) >= 24


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from("pndc")), max_size=60))
def test_nothing_is_lost_nor_given_twice(steps: list[tuple[int, int, str]]) -> None:
    turns: Turns[int] = Turns()
    waiting: dict[tuple[int, int], list[int]] = {}
    for number, (owner, user, step) in enumerate(steps):
        key = (owner, user)
        if step == "p":
            turns.put(key, number, user=user)
            waiting.setdefault(key, []).append(number)
        elif step == "n":
            given_back = turns.put(key, number, newest=True, user=user)
            assert given_back == waiting.get(key, [])
            waiting[key] = [number]
        elif step == "d":
            assert turns.drop(key, user) == waiting.pop(key, [])
        else:
            job = turns.next()
            assert (job is None) is not any(waiting.values())
            for jobs in waiting.values():
                if job in jobs:
                    assert jobs.pop(0) == job
                    break
        assert len(turns) == sum(map(len, waiting.values()))
