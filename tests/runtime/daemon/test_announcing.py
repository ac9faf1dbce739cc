"""EXPECT and NEARLY: believed within limits, never needed, and unknown in version 1."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import runtime.daemon.client
import runtime.daemon.reception
import runtime.daemon.service
from runtime.daemon import golden
from runtime.daemon.client import Client
from runtime.daemon.connection import MESSAGES_A_SECOND
from runtime.daemon.errors import DaemonError, DaemonGone, DaemonRefused, DaemonSilent
from runtime.daemon.messages import (
    FROM_CLIENT,
    FROM_CLIENT_2,
    FROM_DAEMON_2,
    Configure,
    Expect,
    Hello,
    Nearly,
    Outcome,
    Result,
    Submit,
    Welcome,
)
from runtime.daemon.reception import Reception
from runtime.daemon.ring import make_ring
from runtime.daemon.service import BELIEVED
from runtime.daemon.wire import LARGEST, Message, ProtocolError, decode
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited

FINDINGS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)


@dataclass
class Believed:
    """What the daemon did about announcements."""

    awake: list[float] = field(default_factory=list)
    """Seconds, in order; 0: no longer."""

    @property
    def times(self) -> int:
        return sum(seconds > 0 for seconds in self.awake)


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> Believed:
    it, stay = Believed(), Reception.stay_awake

    def noted(reception: Reception, seconds: float) -> None:
        it.awake.append(seconds)
        stay(reception, seconds)

    monkeypatch.setattr(Reception, "stay_awake", noted)
    return it


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Every RESULT and NEARLY that clients in this process heard."""
    heard: list[Message] = []
    is_nearly, plain_result = runtime.daemon.client.is_nearly, runtime.daemon.client.plain_result

    def nearly(data: bytes, version: int) -> bool:
        found = is_nearly(data, version)
        if found or plain_result(data, version):
            heard.append(decode(data, FROM_DAEMON_2, version).message)
        return found

    monkeypatch.setattr(runtime.daemon.client, "is_nearly", nearly)
    return heard


def test_an_announced_frame_is_read_and_ends_the_staying_awake(daemon: Running, believed: Believed) -> None:
    with daemon.client() as client:
        for seed in range(3):
            assert client.read(retina(seed)).outcome in FINDINGS
    assert believed.awake == [runtime.daemon.service.AWAKE_S, 0.0] * 3


def test_the_way_is_rehearsed_without_reading_anything(daemon: Running) -> None:
    with daemon.client() as client:
        client.read(retina(1))
        before, health = daemon.engine.frames, client.health()
        client.expect()
        after = client.health()
        assert (daemon.engine.frames, after.frames, after.waiting) == (before, health.frames, 0)
        assert client.read(retina(2)).outcome in FINDINGS


def test_a_client_that_announces_and_submits_nothing_is_not_believed_until_it_submits(
    daemon: Running, believed: Believed
) -> None:
    with daemon.client() as client:
        for _ in range(BELIEVED + 5):
            client.expect()
        client.health()
        assert believed.times == BELIEVED
        assert client.read(retina(1)).outcome in FINDINGS
        assert believed.times == BELIEVED
        client.expect()
        client.health()
        assert believed.times == BELIEVED + 1


def test_announcements_before_there_is_a_ring_do_nothing(daemon: Running, believed: Believed) -> None:
    with daemon.client(slots=0) as client:
        client.expect()
        client.health()
    assert believed.awake == []


def test_announcements_while_the_engine_is_busy_do_nothing(daemon: Running, believed: Believed) -> None:
    daemon.engine.segment_delay_ms = 200.0
    with daemon.client(announce=False) as client, daemon.client(name="other") as other:
        client.fill(0, retina(1))
        before = daemon.engine.frames
        client.submit(0, 320, 240)
        awaited(lambda: daemon.engine.frames > before, "the frame in the engine")
        for _ in range(BELIEVED + 2):
            other.expect()
        assert other.health().frames == 0
        assert believed.times == 0
        assert client.result().outcome in FINDINGS
        daemon.engine.segment_delay_ms = 0.0
        other.expect()
        other.health()
        assert believed.times == 1  # those in vain were not held against it


def test_others_are_heard_while_the_engine_stays_awake_for_one(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.daemon.service, "AWAKE_S", 1.0)
    with daemon.client(name="announces") as one, daemon.client(name="other", announce=False) as other:
        one.begin(0)
        start = time.monotonic()
        assert other.health().clients == 2
        assert other.read(retina(1)).outcome in FINDINGS
        assert time.monotonic() - start < 0.9
        one.finish(0)


def test_the_engine_sleeps_again_when_no_frame_comes(daemon: Running) -> None:
    with daemon.client() as client:
        client.expect()
        time.sleep(0.05)
        start = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - start < 0.1
        assert client.read(retina(1)).outcome in FINDINGS


def test_whoever_writes_the_frame_on_the_same_core_has_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another program holds the other core, whoever stays awake must not take this one from the camera."""
    yields: list[int] = []
    monkeypatch.setattr(os, "sched_yield", lambda: yields.append(1))
    reception = Reception()
    try:
        for seconds, expected in ((0.0, 0), (0.01, 1)):
            with reception.lock:
                reception.engine_waits()
                reception.stay_awake(seconds)
            assert reception.waits(0.02) == []
            assert len(yields) == expected
    finally:
        reception.close()


def test_with_one_core_nothing_stays_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    reception = Reception()
    try:
        with reception.lock:
            reception.engine_waits()
            reception.stay_awake(10.0)
        start = time.process_time()
        assert reception.waits(0.2) == []
        assert time.process_time() - start < 0.1
    finally:
        reception.close()


def test_with_one_core_the_client_does_not_ask_for_nearly(
    daemon: Running, packets: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    with daemon.client() as client:
        assert client.read(retina(1)).outcome in FINDINGS
    assert [type(message) for message in packets] == [Result]


def test_nearly_comes_before_the_result_of_a_frame_that_was_read(daemon: Running, packets: list[Message]) -> None:
    with daemon.client() as client:
        for seed in range(3):
            assert client.read(retina(seed)).outcome in FINDINGS
    assert [type(message) for message in packets] == [Nearly, Result] * 3


def test_a_result_comes_without_nearly_where_the_networks_had_no_part(daemon: Running, packets: list[Message]) -> None:
    with daemon.client() as client:
        assert client.read(retina(1)[:32, :32]).outcome is Outcome.NO_RESULT
        assert client.read(retina(2) // 20).outcome is Outcome.RETAKE
        assert client.read(retina(3), deadline_ns=time.monotonic_ns() - 1).outcome is Outcome.NO_RESULT
        assert client.read(retina(4)).outcome in FINDINGS
    assert [type(message) for message in packets] == [Result, Result, Result, Nearly, Result]


def test_a_client_that_was_not_told_to_announce_does_not_and_hears_no_nearly(
    daemon: Running, packets: list[Message], believed: Believed
) -> None:
    with Client(daemon.path, slots=3, slot_bytes=640 * 480 * 3) as client:
        assert client.read(retina(1)).outcome in FINDINGS
    assert [type(message) for message in packets] == [Result]
    assert believed.awake == []


def test_a_client_of_version_1_hears_no_nearly_and_announces_nothing(
    daemon: Running, packets: list[Message], believed: Believed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.daemon.client, "HIGHEST", 1)
    with daemon.client() as client:
        assert client.welcome.version == 1
        client.expect()
        assert client.read(retina(1)).outcome in FINDINGS
    assert [type(message) for message in packets] == [Result]
    assert believed.awake == []


def test_an_old_daemon_is_spoken_to_in_version_1(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.daemon.service, "HIGHEST", 1)
    with daemon.client() as client:
        assert client.welcome.version == 1
        client.expect()
        assert client.read(retina(1)).outcome in FINDINGS
        assert client.health().frames == 1


def test_two_clients_hear_their_own_nearly_only(daemon: Running, packets: list[Message]) -> None:
    with daemon.client(name="a") as one, daemon.client(name="b", announce=False) as other:
        one.fill(0, retina(1))
        other.fill(0, retina(2))
        one.submit(0, 320, 240, sequence=1)
        other.submit(0, 320, 240, sequence=2)
        assert other.result().sequence == 2
        assert [type(message) for message in packets] == [Result]
        assert one.result().sequence == 1
        assert [type(message) for message in packets] == [Result, Nearly, Result]


def test_a_frame_dropped_with_its_client_after_the_networks_hurts_nobody(daemon: Running) -> None:
    daemon.engine.classify_delay_ms = 100.0
    with daemon.client() as other:
        client = daemon.client()
        before = daemon.engine.frames
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        awaited(lambda: daemon.engine.frames > before, "the frame in the engine")
        client.close()
        daemon.engine.classify_delay_ms = 0.0
        assert other.read(retina(2)).outcome in FINDINGS


def test_announcements_count_against_the_flood_limit(daemon: Running) -> None:
    with daemon.client() as client:
        with contextlib.suppress(OSError):  # the daemon closes the connection
            for _ in range(2 * MESSAGES_A_SECOND):
                client._socket.send(Expect().encode(0, 2), socket.MSG_NOSIGNAL)
        with pytest.raises((DaemonGone, DaemonRefused)):
            client.health()
    with daemon.client() as other:
        assert other.read(retina(1)).outcome in FINDINGS


@dataclass
class Peer:
    """A daemon of version 2 that says what it is told to after a SUBMIT; nothing: it goes."""

    path: Path
    says: list[bytes] = field(default_factory=list)
    pause_s: float = 0.0
    """Before the last of them."""

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(LARGEST):
                message, tag = _heard(data)
                if isinstance(message, Hello):
                    connection.send(Welcome(2, 1, 16, 1 << 26, 1 << 29).encode(tag))
                elif isinstance(message, Configure):
                    sealed = make_ring(message.slots, message.slot_bytes)
                    socket.send_fds(connection, [sealed.ring.layout.encode(tag, 2)], [sealed.descriptor])
                    os.close(sealed.descriptor)
                elif isinstance(message, Submit):
                    for number, said in enumerate(self.says):
                        if number == len(self.says) - 1:
                            time.sleep(self.pause_s)
                        if not said:
                            return
                        connection.send(said)


def _heard(data: bytes) -> tuple[Message, int]:
    version = data[4]
    envelope = decode(data, FROM_CLIENT if version == 1 else FROM_CLIENT_2, version)
    return envelope.message, envelope.tag


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    it = Peer(tmp_path / "p")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(it.path))
        listener.listen()
        thread = threading.Thread(target=it.serve, args=(listener,))
        thread.start()
        yield it
        thread.join(20)
        assert not thread.is_alive()


RESULT = golden.examples()["result_refer"][1].encode(3, 2)
NEARLY = Nearly().encode(3, 2)


def submitted(peer: Peer) -> Client:
    client = Client(peer.path, slots=1, slot_bytes=192, answer_s=5.0)
    client.fill(0, np.zeros((8, 8, 3), np.uint8))
    client.submit(0, 8, 8)
    return client


@pytest.mark.parametrize(
    ("says", "pause_s"),
    [
        ([RESULT], 0.0),
        ([NEARLY, RESULT], 0.0),
        ([NEARLY, RESULT], 0.3),
        ([NEARLY, NEARLY, RESULT], 0.01),
        ([Nearly().encode(77, 2), RESULT], 0.01),
    ],
    ids=["no nearly", "at once", "long after", "twice", "of another frame"],
)
def test_the_result_counts_whatever_nearly_said(peer: Peer, says: list[bytes], pause_s: float) -> None:
    peer.says, peer.pause_s = says, pause_s
    with submitted(peer) as client:
        start = time.thread_time()
        assert client.result().outcome is Outcome.REFER
        assert time.thread_time() - start < 0.1  # awake for a moment only


def test_nearly_without_a_result_is_no_result(peer: Peer) -> None:
    peer.says = [NEARLY]
    with submitted(peer) as client:
        start = time.monotonic()
        with pytest.raises(DaemonSilent):
            client.result(0.2)
        assert 0.2 <= time.monotonic() - start < 2.0


def test_a_daemon_that_goes_after_nearly_is_gone(peer: Peer) -> None:
    peer.says = [NEARLY, b""]
    with submitted(peer) as client, pytest.raises(DaemonGone):
        client.result()


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_a_damaged_nearly_is_told(peer: Peer, at: int) -> None:
    damaged = bytearray(NEARLY)
    damaged[at] ^= 0x40
    peer.says = [bytes(damaged), RESULT]
    with submitted(peer) as client, pytest.raises(DaemonError, match="cannot be read"):
        client.result()


@given(st.binary(max_size=40) | st.binary(min_size=20, max_size=20))
def test_only_a_whole_nearly_is_one(data: bytes) -> None:
    assert runtime.daemon.client.is_nearly(data, 2) is (data[:12] == NEARLY[:12] and _decodes(data))
    assert not runtime.daemon.client.is_nearly(data, 1)


def _decodes(data: bytes) -> bool:
    try:
        decode(data, FROM_DAEMON_2, 2)
    except ProtocolError:
        return False
    return True
