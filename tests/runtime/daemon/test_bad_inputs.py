from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.bundle import Bundle, open_bundle
from runtime.daemon import golden
from runtime.daemon.client import Client
from runtime.daemon.connection import MESSAGES_A_SECOND
from runtime.daemon.endpoint import listening
from runtime.daemon.errors import DaemonError, DaemonGone, DaemonRefused, SocketUnusable
from runtime.daemon.limits import KEPT_FOR_ROOT, MAX_CLIENTS, Limits
from runtime.daemon.messages import (
    FROM_DAEMON,
    AskHealth,
    Configure,
    DaemonState,
    Error,
    FrameOrder,
    Health,
    Hello,
    Reason,
    Reload,
    Submit,
    Welcome,
    WireOutcome,
)
from runtime.daemon.model import open_model
from runtime.daemon.ring import SEALS
from runtime.daemon.slots import MAX_SLOT_BYTES
from runtime.daemon.wire import LARGEST, VERSION, ErrorCode, Message, decode
from runtime.engines.fake import FakeEngine, Fault
from runtime.errors import BundleError
from tests.holding import goes_back_to, held
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited, running

FINDINGS = (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)


RIGHT: dict[str, Any] = {"generation": 2, "sequence": 0, "captured_ns": 0, "deadline_ns": 0, "slot": 0}
RIGHT |= {"width": 320, "height": 240, "stride": 960, "flags": 0, "capture_us": 0, "chroma_offset": 0, "data_bytes": 0}
RIGHT |= {"matrix": ColourMatrix.NONE, "range": Range.NONE}
JPEG = {"format": PixelFormat.JPEG, "stride": 0, "data_bytes": 100}
BT709 = {"matrix": ColourMatrix.BT709, "range": Range.LIMITED}


def connected(daemon: Running) -> socket.socket:
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    raw.settimeout(300)
    raw.connect(str(daemon.path))
    return raw


def answer(raw: socket.socket) -> Message | None:
    """The next message, None at the end."""
    try:
        data = raw.recv(LARGEST + 1)
    except ConnectionResetError:
        return None
    return decode(data, FROM_DAEMON).message if data else None


def refusal(raw: socket.socket) -> ErrorCode:
    message = answer(raw)
    assert isinstance(message, Error)
    return message.code


@pytest.mark.parametrize("bad", [name for name in golden.refused() if name != "empty"])
def test_a_broken_message_costs_its_sender_the_connection_and_nobody_else(daemon: Running, bad: str) -> None:
    data, code = golden.refused()[bad]
    with daemon.client() as other, connected(daemon) as raw:
        raw.send(Hello(1, VERSION, "bad").encode(1))
        assert isinstance(answer(raw), Welcome)
        raw.send(data)
        assert refusal(raw) is code
        assert answer(raw) is None
        assert other.read(retina(1)).outcome in FINDINGS


def test_the_order_of_messages(daemon: Running) -> None:
    with connected(daemon) as raw:
        raw.send(AskHealth().encode(1))
        assert refusal(raw) is ErrorCode.OUT_OF_ORDER
        assert answer(raw) is None
    with connected(daemon) as raw:
        for tag in (1, 2):
            raw.send(Hello(1, VERSION, "twice").encode(tag))
        assert isinstance(answer(raw), Welcome)
        assert refusal(raw) is ErrorCode.OUT_OF_ORDER
    with Client(daemon.path) as client:
        client._send(Submit(**(RIGHT | {"format": PixelFormat.RGB8})))
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is ErrorCode.NOT_CONFIGURED


@pytest.mark.parametrize(("lowest", "highest"), [(VERSION, VERSION), (1, VERSION), (1, 9), (VERSION, 65535)])
def test_a_client_that_speaks_this_version_too_is_served(daemon: Running, lowest: int, highest: int) -> None:
    with connected(daemon) as raw:
        raw.send(Hello(lowest, highest, "both").encode(1))
        welcome = answer(raw)
        assert isinstance(welcome, Welcome)
        assert welcome.version == VERSION
        raw.send(AskHealth().encode(2))
        assert isinstance(answer(raw), Health)


@pytest.mark.parametrize(("lowest", "highest"), [(1, 1), (1, VERSION - 1), (VERSION + 1, 9)])
def test_a_client_of_another_version_is_told_which_is_spoken(daemon: Running, lowest: int, highest: int) -> None:
    with connected(daemon) as raw:
        raw.send(Hello(lowest, highest, "other").encode(1))
        error = answer(raw)
        assert isinstance(error, Error)
        assert (error.code, error.lowest, error.highest) == (ErrorCode.BAD_VERSION, VERSION, VERSION)
        assert answer(raw) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"slot": 3}, ErrorCode.SLOT_RANGE),
        ({"slot": 2**32 - 1}, ErrorCode.SLOT_RANGE),
        ({"width": 0}, ErrorCode.BAD_DIMENSIONS),
        ({"height": 0}, ErrorCode.BAD_DIMENSIONS),
        ({"stride": 959}, ErrorCode.BAD_DIMENSIONS),
        ({"height": 961}, ErrorCode.BAD_DIMENSIONS),
        ({"stride": 2**31, "height": 2**31}, ErrorCode.BAD_DIMENSIONS),
        ({"width": 2**32 - 1, "height": 2**32 - 1, "stride": 2**32 - 1}, ErrorCode.BAD_DIMENSIONS),
        ({"generation": 0}, ErrorCode.BAD_GENERATION),
        ({"generation": 3}, ErrorCode.BAD_GENERATION),
        ({"format": PixelFormat.GRAY8, "stride": 320}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.RGB48, "stride": 1920}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.BAYER8, "stride": 320}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.NV12, "stride": 320}, ErrorCode.BAD_FORMAT),  # matrix and range are not named
        ({"format": PixelFormat.NV12, "stride": 320, "matrix": ColourMatrix.BT601}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.YUYV, "width": 321, "stride": 642, **BT709}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.YUYV, "stride": 639, **BT709}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.NV12, "stride": 4096, **BT709}, ErrorCode.BAD_DIMENSIONS),
        ({"format": PixelFormat.NV12, "stride": 320, "chroma_offset": 76799, **BT709}, ErrorCode.BAD_FORMAT),
        ({"format": PixelFormat.NV12, "stride": 320, "chroma_offset": 2**32 - 1, **BT709}, ErrorCode.BAD_DIMENSIONS),
        ({"matrix": ColourMatrix.BT601, "range": Range.FULL}, ErrorCode.BAD_DIMENSIONS),
        ({"data_bytes": 100}, ErrorCode.BAD_DIMENSIONS),
        ({"format": PixelFormat.JPEG, "stride": 0}, ErrorCode.BAD_DIMENSIONS),
        ({"format": PixelFormat.JPEG, "stride": 0, "data_bytes": 640 * 480 * 3 + 1}, ErrorCode.BAD_DIMENSIONS),
        (JPEG | {"width": 65535, "height": 65535}, ErrorCode.BAD_DIMENSIONS),  # 100 bytes that would become 12 GB
        ({"captured_ns": 1}, ErrorCode.BAD_TIME),
        ({"captured_ns": 2**64 - 1}, ErrorCode.BAD_TIME),
        ({"deadline_ns": 2**64 - 1}, ErrorCode.BAD_TIME),
    ],
)
def test_a_wrong_frame_is_refused_and_the_connection_goes_on(
    daemon: Running, changed: dict[str, Any], code: ErrorCode
) -> None:
    with daemon.client() as client:
        frame = Submit(**(RIGHT | {"format": PixelFormat.RGB8} | changed))
        client._send(frame)
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is code
        assert client.read(retina(1)).outcome in FINDINGS
        assert client.health().refused == 1


def test_a_slot_resubmitted_while_in_use(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 60_000.0
    with daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240, sequence=1)
        client.submit(0, 320, 240, sequence=2)
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is ErrorCode.SLOT_IN_USE
        daemon.engine.segment_delay_ms = 0.0
        result = client.result()
        assert (result.sequence, result.outcome) == (1, WireOutcome.NO_REFERRAL_FINDINGS)


@pytest.mark.parametrize(("slots", "slot_bytes"), [(17, 100), (1, MAX_SLOT_BYTES + 1), (16, MAX_SLOT_BYTES)])
def test_a_ring_that_is_too_large(daemon: Running, slots: int, slot_bytes: int) -> None:
    with pytest.raises(DaemonRefused) as refused:
        daemon.client(slots=slots, slot_bytes=slot_bytes)
    assert refused.value.code is ErrorCode.RING_REFUSED


def test_a_second_ring(daemon: Running) -> None:
    with daemon.client() as client:
        client._send(Configure(1, 100, FrameOrder.NEWEST, 0))
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is ErrorCode.ALREADY_CONFIGURED


def test_the_ring_can_be_neither_shrunk_nor_grown(daemon: Running) -> None:
    with connected(daemon) as raw:
        raw.send(Hello(VERSION, VERSION, "raw").encode(1))
        answer(raw)
        raw.send(Configure(2, 1000, FrameOrder.NEWEST, 0).encode(2))
        _, (ring,), _, _ = socket.recv_fds(raw, LARGEST, 1)
        try:
            assert fcntl.fcntl(ring, fcntl.F_GET_SEALS) & SEALS == SEALS
            size = os.fstat(ring).st_size
            for wrong in (0, size - 4096, size + 4096):
                with pytest.raises(PermissionError):
                    os.ftruncate(ring, wrong)
            with pytest.raises(PermissionError):
                fcntl.fcntl(ring, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        finally:
            os.close(ring)


@pytest.mark.parametrize("stamped", [True, False])
def test_a_foreign_descriptor_is_never_taken(daemon: Running, stamped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by a kernel that says nothing of when a packet was sent: what it would say takes the descriptors' room."""
    if not stamped:
        monkeypatch.setattr("runtime.daemon.connection._STAMPED", 30_000)  # no such option
    before = held()
    with connected(daemon) as raw:
        socket.send_fds(raw, [Hello(1, VERSION, "foreign").encode(1)], [0, 1, 2])
        assert refusal(raw) is ErrorCode.FOREIGN_DESCRIPTOR
        assert answer(raw) is None
    goes_back_to(before)  # at the connection's end


class Nobody(Limits):
    """Limits that admit nobody, as they do for a user that is not on the list."""

    def admits(self, uid: int, connected: socket.socket) -> bool:
        return False


def test_users_that_are_not_on_the_list(bundle: Bundle, tmp_path: Path) -> None:
    nobody = Nobody()
    with running(tmp_path / "s", bundle, limits=nobody) as daemon:
        with connected(daemon) as raw:
            assert refusal(raw) is ErrorCode.NOT_ALLOWED
            assert answer(raw) is None
        with pytest.raises(DaemonError):
            Client(daemon.path)


def test_too_many_clients(daemon: Running) -> None:
    most = MAX_CLIENTS if os.geteuid() == 0 else MAX_CLIENTS - KEPT_FOR_ROOT
    clients = [Client(daemon.path) for _ in range(most)]
    try:
        with connected(daemon) as raw:
            assert refusal(raw) is ErrorCode.TOO_MANY_CLIENTS
        clients.pop().close()
        awaited(lambda: daemon.service.health().clients == most - 1, "a free place")
        clients.append(Client(daemon.path))
    finally:
        for client in clients:
            client.close()


def flood(raw: socket.socket) -> None:
    for tag in range(100 * MESSAGES_A_SECOND):
        raw.send(AskHealth().encode(tag))


def test_a_client_that_floods_or_never_reads_is_closed(daemon: Running) -> None:
    with daemon.client() as other:
        with connected(daemon) as raw:
            raw.send(Hello(1, VERSION, "flood").encode(1))
            with pytest.raises(OSError, match=r"."):
                flood(raw)
        assert other.read(retina(1)).outcome in FINDINGS
        awaited(lambda: daemon.service.health().clients == 1, "the flooding client's end")


def test_a_dead_daemon_is_told_apart_and_can_be_had_again(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(DaemonGone, match="start it"):
        Client(path)
    with running(path, bundle) as daemon:
        daemon.release.set()
        daemon.ready()
        client = daemon.client()
        daemon.service.stop()
        with pytest.raises(DaemonError):
            client.read(retina(1))
        with pytest.raises(DaemonGone):
            client.health()
        client.close()
    with running(path, bundle) as daemon:
        daemon.release.set()
        daemon.ready()
        with daemon.client() as client:
            assert client.read(retina(1)).outcome in FINDINGS


def test_a_daemon_that_said_it_ends_is_gone(bundle: Bundle, tmp_path: Path) -> None:
    """Its last word still lies in the socket when the next question finds nobody to take it."""
    with running(tmp_path / "s", bundle) as daemon:
        daemon.release.set()
        daemon.ready()
        client = daemon.client()
    with client, pytest.raises(DaemonGone, match="the daemon ends"):
        client.health()


def test_a_model_that_cannot_be_loaded_ends_the_daemon(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle) as daemon:
        daemon.load_error = BundleError("altered")
        daemon.release.set()
        awaited(lambda: daemon.failure is not None, "the end")
    assert isinstance(daemon.failure, BundleError)
    assert daemon.states == [DaemonState.LIVE]


def test_an_engine_that_fails_the_golden_frame_is_never_ready(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle) as daemon:
        daemon.engine.fault = Fault.NAN_VESSELS
        daemon.release.set()
        awaited(lambda: daemon.failure is not None, "the end")
    assert daemon.states == [DaemonState.LIVE]


def test_a_failed_idle_self_test_stops_every_result(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle, idle_s=0.02) as daemon:
        daemon.release.set()
        daemon.ready()
        awaited(lambda: daemon.alive >= 3, "idle self-tests")
        daemon.engine.probabilities = (0.2, 0.8)
        awaited(lambda: daemon.service.health().reasons & Reason.SELF_TEST_FAILED, "a failed self-test")
        alive = daemon.alive
        daemon.engine.probabilities = (0.9, 0.1)
        with daemon.client() as client:
            for seed in range(3):
                result = client.read(retina(seed))
                assert result.outcome is WireOutcome.NO_RESULT
                assert result.reason.startswith("self-test failed")
            assert "self-test failed" in client.health().text
        assert daemon.alive == alive


def test_the_bundle_is_replaced_under_a_running_daemon(
    daemon: Running, write_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    with daemon.client() as client:
        before = client.bundle()
        # Replaced on disk: nothing changes until it is asked for.
        daemon.bundle = open_bundle(write_bundle(version="4"))
        assert client.read(retina(1)).bundle_sha256 == before.sha256
        old = daemon.engine
        daemon.engine = FakeEngine((0.1, 0.9))
        answered = client.reload()
        after = client.bundle()
        assert (answered.failed, answered.sha256) == (0, after.sha256)
        assert (after.version, before.version) == ("4", "3")
        assert old.closed
        result = client.read(retina(2))
        assert (result.outcome, result.bundle_sha256) == (WireOutcome.REFER, after.sha256)
        assert client.health().reloads == 1
        daemon.service.reload()
        awaited(lambda: client.health().reloads == 2, "the second reload")


def test_a_bundle_that_was_altered_on_disk_is_not_loaded(
    daemon: Running, write_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.screener.load_engine", lambda *_: FakeEngine((0.1, 0.9)))
    folder = write_bundle(version="4")
    daemon.open_model = partial(open_model, folder, None, None, "", "auto", "auto", None, None)
    graph = folder / "classifier.fp32.onnx"
    whole = graph.read_bytes()
    with daemon.client() as client:
        before = client.bundle()
        graph.write_bytes(whole[:-1] + b"X")
        answered = client.reload()
        assert (answered.failed, answered.sha256) == (1, before.sha256)
        assert "was altered" in answered.text
        assert client.read(retina(1)).outcome is WireOutcome.NO_REFERRAL_FINDINGS
        graph.write_bytes(whole)
        assert not client.reload().failed
        assert client.bundle().version == "4"
        assert client.read(retina(2)).outcome is WireOutcome.REFER


@pytest.mark.parametrize("failure", [BundleError("altered"), RuntimeError("a backend's own"), None])
def test_a_reload_that_fails_keeps_the_old_one(daemon: Running, failure: Exception | None) -> None:
    with daemon.client() as client:
        before, old = client.bundle(), daemon.engine
        if failure is None:
            daemon.engine = FakeEngine()
            daemon.engine.fault = Fault.NAN_PROBABILITIES
        daemon.load_error = failure
        answered = client.reload()
        assert answered.failed
        assert answered.sha256 == before.sha256
        assert not old.closed
        assert client.health().reasons & Reason.RELOAD_FAILED
        assert client.read(retina(1)).outcome in FINDINGS
        if failure is None:
            assert daemon.engine.closed
        daemon.load_error, daemon.engine = None, FakeEngine()
        assert not client.reload().failed
        assert not client.health().reasons & Reason.RELOAD_FAILED


def test_sockets_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(SocketUnusable, match="at most 107"), listening(tmp_path / ("x" * 110)):
        pass
    with pytest.raises(SocketUnusable, match="No such file"), listening(tmp_path / "nowhere" / "s"):
        pass
    plain = tmp_path / "file"
    plain.write_text("kept")
    with pytest.raises(SocketUnusable, match="not a socket"), listening(plain):
        pass
    assert plain.read_text() == "kept"
    (tmp_path / "linked.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SocketUnusable, match="symbolic links"), listening(tmp_path / "linked"):
        pass
    assert not (tmp_path / "elsewhere").exists()
    path = tmp_path / "s"
    with listening(path), pytest.raises(SocketUnusable, match="another daemon"), listening(path):
        pass
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(SocketUnusable, match="another program"), listening(path):
            pass
    with listening(path):  # the other one is dead now: its socket is taken over
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
    with listening(path, group=os.getegid()):
        assert path.stat().st_mode & 0o777 == 0o660
        assert path.stat().st_gid == os.getegid()


def others_python() -> str:
    """A Python that user 65534 can run; this one may lie in a folder of root's."""
    for python in (sys.executable, "/usr/bin/python3"):
        call = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", python, "-S", "-c", ""]
        if subprocess.run(call, capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("no Python here that another user may run")


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="another user can be had by root only")
def test_another_user(bundle: Bundle, tmp_path: Path) -> None:
    """A user that is not on the list cannot reach a socket of its owner's; one on it may read but not reload."""
    folder = Path("/tmp") / f"ropd-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        with running(folder / "s", bundle, limits=Limits(frozenset({65534}))) as daemon:
            daemon.release.set()
            daemon.ready()
            code = (
                "import socket,sys; sys.path.insert(0, '/');"
                f"s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.connect({str(daemon.path)!r});"
                f"s.send(bytes.fromhex({Hello(1, VERSION, 'other').encode(1).hex()!r})); s.recv(1024);"
                "s.send(bytes.fromhex(sys.argv[1])); print(s.recv(1024).hex())"
            )
            other = [
                "setpriv",
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                others_python(),
                "-S",
                "-c",
                code,
            ]
            refused = subprocess.run([*other, Reload().encode(2).hex()], capture_output=True, text=True)
            assert "Permission denied" in refused.stderr, refused  # 0600: not even connected
            daemon.path.chmod(0o666)
            done = subprocess.run([*other, Reload().encode(2).hex()], capture_output=True, text=True, check=True)
            message = decode(bytes.fromhex(done.stdout), FROM_DAEMON).message
            assert isinstance(message, Error)
            assert message.code is ErrorCode.RELOAD_REFUSED
    finally:
        shutil.rmtree(folder)


def test_no_name_of_a_patient_can_be_a_source() -> None:
    assert json.dumps(golden.examples()["hello"][1].name) == '"camera-firmware:3.1"'  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="letters, digits"):
        Hello(1, VERSION, "Doe, Jane")
