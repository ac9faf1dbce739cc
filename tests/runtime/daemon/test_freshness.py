"""No finding is older than it may be: in the daemon, in the client, and while one of them hangs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.bundle import Bundle
from runtime.daemon import clock
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonGone, DaemonRefused, DaemonSilent
from runtime.daemon.limits import Limits
from runtime.daemon.messages import (
    FROM_CLIENT,
    Configure,
    FrameOrder,
    Hello,
    Result,
    ResultFlag,
    Submit,
    Welcome,
    WireOutcome,
)
from runtime.daemon.ring import make_ring
from runtime.daemon.wire import LARGEST, VERSION, ErrorCode, decode
from tests.pictures import retina
from tests.runtime.daemon.conftest import PATIENCE_S, Running, awaited, running

FINDINGS = (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)
NO_MATRIX, NO_RANGE = ColourMatrix.NONE, Range.NONE
FAKE = Path(__file__).parent / "fake_daemon.py"


@pytest.mark.parametrize(
    ("ahead_ns", "said"),
    [
        (0, ""),
        (-59 * 10**9, ""),
        (-61 * 10**9, "lies 61 s back"),
        (3600 * 10**9, "lies 3600 s ahead"),
        (-3600 * 10**9, "lies 3600 s back"),
        (2 * 10**6, "lies 2.0 ms ahead"),
        (10**17, "days ahead"),
    ],
)
def test_a_capture_that_cannot_be_is_told(ahead_ns: int, said: str) -> None:
    now = 10**18
    problem = clock.wrong_capture(now + ahead_ns, now)
    assert (said in problem) if said else not problem
    assert clock.wrong_capture(0, now) == ""


def test_the_wrong_clock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    assert "as if by CLOCK_REALTIME" in clock.wrong_capture(wall, clock.now_ns())
    assert "as if by CLOCK_REALTIME" in clock.wrong_deadline(wall, clock.now_ns())
    # A machine that slept for a day: its monotonic clock is a day behind.
    after_sleep = time.monotonic_ns() + 86_400 * 10**9
    assert "as if by CLOCK_MONOTONIC" in clock.wrong_capture(time.monotonic_ns(), after_sleep)


@pytest.mark.parametrize("slept_s", [0, 1, 86_400])
@pytest.mark.parametrize("away_ns", [5 * 10**6, 3600 * 10**9, -61 * 10**9, -3599 * 10**9])
def test_no_clock_is_named_that_a_moment_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, away_ns: int, slept_s: int
) -> None:
    now = 10**15
    times = {time.CLOCK_MONOTONIC: now - slept_s * 10**9, time.CLOCK_REALTIME: 1_800_000_000 * 10**9}
    monkeypatch.setattr(time, "clock_gettime_ns", times.__getitem__)
    told = [clock.wrong_capture(now + away_ns, now), clock.wrong_deadline(now + away_ns, now)]
    assert told[0]
    assert bool(told[1]) is (abs(away_ns) > 60 * 10**9)
    assert not [text for text in told if "as if" in text]
    for name, of in times.items():
        says = f"as if by CLOCK_{'MONOTONIC' if name == time.CLOCK_MONOTONIC else 'REALTIME'}"
        assert (says in clock.wrong_deadline(of - 10**9, now)) is (name == time.CLOCK_REALTIME or slept_s > 60)


def test_the_daemon_refuses_a_deadline_that_is_a_time_from_now(daemon: Running) -> None:
    if clock.now_ns() < 62 * 10**9:
        pytest.skip("this machine has just been started")
    with daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240, deadline_ns=500_000_000)
        with pytest.raises(DaemonRefused, match=r"deadline_ns lies .* back; .*no time from now") as refused:
            client.result()
        assert refused.value.code is ErrorCode.BAD_TIME
        assert client.read(retina(1)).outcome in FINDINGS


@pytest.mark.parametrize("at", ["captured_ns", "deadline_ns"])
def test_the_daemon_refuses_a_moment_of_another_clock(daemon: Running, at: str) -> None:
    with daemon.client() as client:
        client.fill(0, retina(1))
        frame = client.submit(0, 320, 240, **{at: time.time_ns()})  # type: ignore[arg-type]
        assert frame
        with pytest.raises(DaemonRefused, match="CLOCK_REALTIME") as refused:
            client.result()
        assert refused.value.code is ErrorCode.BAD_TIME
        assert client.read(retina(1)).outcome in FINDINGS


def test_a_frame_captured_too_long_ago_has_no_result_though_nobody_set_a_deadline(
    bundle: Bundle, tmp_path: Path
) -> None:
    with running(tmp_path / "s", bundle, limits=Limits(max_age_ms=500)) as daemon:
        daemon.release.set()
        daemon.ready()
        with daemon.client() as client:
            client.fill(0, retina(1))
            client.submit(0, 320, 240, captured_ns=clock.now_ns() - 10**9)
            before = client.result()
            daemon.engine.segment_delay_ms = 1500.0
            during = client.read(retina(2))
        for result in (before, during):
            assert (result.outcome, result.flags & ResultFlag.LATE) == (WireOutcome.NO_RESULT, ResultFlag.LATE)
            assert result.reason.startswith("late")
        assert "at most 500" in before.reason


def test_a_frame_of_no_known_moment_is_as_old_as_its_message(bundle: Bundle, tmp_path: Path) -> None:
    """It lies in the socket while the daemon is stopped, or the machine sleeps."""
    with running(tmp_path / "s", bundle, limits=Limits(max_age_ms=400)) as daemon:
        daemon.release.set()
        daemon.ready()
        with daemon.client() as client:
            client.fill(0, retina(1))
            frame = Submit(
                client.ring.generation(0), 0, 0, 0, 0, 320, 240, 960, PixelFormat.RGB8, 0, NO_MATRIX, NO_RANGE, 0, 0, 0
            )
            with daemon.service._reception.lock:  # it hears nobody
                client._in_flight[client._send(frame)] = frame
                time.sleep(0.6)
            client._hear(time.monotonic() + PATIENCE_S)
            ((_, result),) = client._results
    assert isinstance(result, Result)
    assert (result.outcome, result.flags & ResultFlag.LATE) == (WireOutcome.NO_RESULT, ResultFlag.LATE)
    assert result.reason.startswith("late: captured")
    assert result.timings_ms[0] >= 600  # in the queue


@contextlib.contextmanager
def started(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon that can be stopped."""
    with subprocess.Popen([sys.executable, str(FAKE), str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            yield child
        finally:
            child.send_signal(signal.SIGCONT)
            child.terminate()


@pytest.mark.system
@pytest.mark.parametrize("away_s", [86_400, -3600])
def test_a_client_whose_clock_is_another_gets_no_finding(daemon: Running, away_s: int) -> None:
    """As in a container with a time namespace of its own; a day ahead is also how one looks that slept for a day."""
    script = (
        "import sys, time; from runtime.daemon.client import Client; from runtime.daemon.errors import DaemonRefused\n"
        "from tests.pictures import retina\n"
        "with Client(sys.argv[1], slots=1, slot_bytes=320 * 240 * 3) as client:\n"
        "    for moment in (0, time.monotonic_ns()):\n"
        "        client.fill(0, retina(1)); client.submit(0, 320, 240, captured_ns=moment)\n"
        "        try: print(client.result().outcome.name)\n"
        "        except DaemonRefused as error: print(error)\n"
    )
    inside = ["unshare", "--map-root-user", "--time", f"--boottime={away_s}", "--fork", sys.executable, "-c", script]
    done = subprocess.run([*inside, str(daemon.path)], capture_output=True, text=True, timeout=300)
    if "unshare" in done.stderr:
        pytest.skip(f"no time namespaces for this user: {done.stderr.strip()}")
    told, by_monotonic = done.stdout.splitlines()
    if away_s > 0:
        assert "lies 1.0 days ahead" in told
        assert "CLOCK_BOOTTIME" in told
        assert by_monotonic == "NO_RESULT"  # the daemon takes it, the client knows better
    else:
        assert "lies 3600 s back" in told


@pytest.mark.system
def test_while_the_daemon_hangs_the_client_says_that_there_is_no_result(tmp_path: Path) -> None:
    with (
        started(tmp_path / "s") as child,
        Client(tmp_path / "s", slots=3, slot_bytes=320 * 240 * 3, max_age_ms=300) as it,
    ):
        child.send_signal(signal.SIGSTOP)
        it.fill(0, retina(1))
        captured = clock.now_ns()
        it.submit(0, 320, 240, captured_ns=captured, sequence=1)
        hung = it.result(20)
        assert clock.now_ns() - captured >= 300_000_000
        assert (hung.outcome, hung.flags, hung.sequence) == (WireOutcome.NO_RESULT, ResultFlag.LATE, 1)
        assert hung.text.startswith("No result - late: captured")
        assert it.free_slot() != 0  # the daemon has it still
        child.send_signal(signal.SIGCONT)
        awaited(lambda: it.free_slot() == 1 and 0 not in it._given_up.values(), "the slot")
        assert not it._results  # what the daemon says of it now counts for nothing


def test_a_result_that_was_not_fetched_in_time_is_none(daemon: Running) -> None:
    with daemon.client(max_age_ms=400.0) as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        awaited(lambda: daemon.service.health().frames == 1, "the reading")
        time.sleep(0.45)
        result = client.result()
        assert (result.outcome, result.flags, result.class_count) == (WireOutcome.NO_RESULT, ResultFlag.LATE, 0)
        assert client.fresh_until_ns(result) < clock.now_ns()


def test_what_is_cancelled_has_no_result_whatever_the_daemon_says(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 60_000.0
    with daemon.client(order=FrameOrder.EVERY) as client, daemon.client(name="other") as other:
        for slot in range(3):
            client.fill(slot, retina(slot))
            client.submit(slot, 320, 240, sequence=slot)
        client.cancel()
        results = [client.result() for _ in range(3)]
        assert {(r.sequence, r.outcome, r.flags) for r in results} == {
            (n, WireOutcome.NO_RESULT, ResultFlag.CANCELLED) for n in range(3)
        }
        assert all(result.reason == "cancelled by its client" for result in results)
        daemon.engine.segment_delay_ms = 0.0
        awaited(lambda: client.free_slot() is not None, "a slot")
        assert other.read(retina(7)).outcome in FINDINGS
        assert daemon.service.health().frames <= 3  # those that waited were not read
        result = client.read(retina(5), sequence=9)
        assert (result.sequence, result.outcome) == (9, WireOutcome.NO_REFERRAL_FINDINGS)


def test_a_fetched_but_waiting_result_is_cancelled_too(daemon: Running) -> None:
    with daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        awaited(lambda: daemon.service.health().frames == 1, "the reading")
        client.cancel()
        result = client.result()
        assert (result.outcome, result.flags) == (WireOutcome.NO_RESULT, ResultFlag.CANCELLED)


def test_a_picture_that_is_read_has_its_own_result(daemon: Running) -> None:
    """Not that of a frame which was handed over before, nor of a picture that nobody waits for any more."""
    with daemon.client(order=FrameOrder.EVERY) as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240, sequence=1)
        assert client.read(retina(2), sequence=2).sequence == 2
        daemon.engine.segment_delay_ms = 60_000.0
        client._answer_s = 0.05
        with pytest.raises(DaemonSilent):
            client.read(retina(3), sequence=3)
        client._answer_s = PATIENCE_S
        daemon.engine.segment_delay_ms = 0.0
        assert client.read(retina(4), sequence=4).sequence == 4
        assert client.result().sequence == 1  # of the frame that was handed over; of the third there is none
        with pytest.raises(DaemonSilent):
            client.result(0.0)


def test_what_came_before_the_daemon_went_is_cancelled_too(daemon: Running) -> None:
    with daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        awaited(lambda: daemon.service.health().frames == 1, "the reading")
        daemon.service.stop()
        end = select.poll()
        end.register(client._socket, 0)
        awaited(lambda: end.poll(0), "the daemon's end")
        with pytest.raises(DaemonGone):
            client.cancel()
        result = client.result()
        assert (result.outcome, result.flags) == (WireOutcome.NO_RESULT, ResultFlag.CANCELLED)


@pytest.mark.system
def test_while_the_daemon_takes_no_message_a_cancel_holds(tmp_path: Path) -> None:
    """It hangs, and its socket is full."""
    with (
        started(tmp_path / "s") as child,
        Client(tmp_path / "s", slots=3, slot_bytes=320 * 240 * 3, max_age_ms=60_000) as it,
    ):
        child.send_signal(signal.SIGSTOP)
        it.fill(0, retina(1))
        it.submit(0, 320, 240)
        it._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 1))
        with contextlib.suppress(BlockingIOError):
            while it._socket.send(b"x"):
                pass
        it.cancel()
        result = it.result(0.0)
        assert (result.outcome, result.flags) == (WireOutcome.NO_RESULT, ResultFlag.CANCELLED)


def test_what_another_bundle_read_is_no_result(daemon: Running) -> None:
    with daemon.client() as client:
        sha256 = client.bundle().sha256
    with daemon.client(bundle_sha256=sha256) as client:
        assert client.read(retina(1)).outcome in FINDINGS
    with daemon.client(bundle_sha256=bytes(32)) as client:
        result = client.read(retina(2))
        assert result.outcome is WireOutcome.NO_RESULT
        assert "another bundle" in result.text


def test_an_unsealed_ring_is_not_mapped(tmp_path: Path) -> None:
    """A daemon, or who passes for one, could cut it and so end the client."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            while data := peer.recv(LARGEST):
                envelope = decode(data, FROM_CLIENT)
                if isinstance(envelope.message, Hello):
                    peer.send(Welcome(VERSION, 1, 16, 1 << 26, 1 << 29).encode(envelope.tag))
                elif isinstance(envelope.message, Configure):
                    sealed = make_ring(1, 8192)
                    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
                    os.ftruncate(loose, sealed.ring.layout.ring_bytes)
                    socket.send_fds(peer, [sealed.ring.layout.encode(envelope.tag)], [loose])
                    os.close(loose)
                    os.close(sealed.descriptor)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(Exception, match="not sealed"):
            Client(tmp_path / "s", slots=1, slot_bytes=8192)
    finally:
        thread.join(60)
        listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_socket_of_another_user_is_an_impostors(tmp_path: Path) -> None:
    from runtime.daemon.errors import Impostor

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.seteuid(65534)  # the kernel notes who listens
    try:
        listener.bind("\0ropscreend-impostor")
        listener.listen()
    finally:
        os.seteuid(0)
    with listener:
        with pytest.raises(Impostor, match="user 65534's, expected root or this user"):
            Client("\0ropscreend-impostor")
        with pytest.raises(Impostor, match="expected user 1000"):
            Client("\0ropscreend-impostor", daemon_uid=1000)
