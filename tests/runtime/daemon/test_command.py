from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.daemon.__main__ import main
from runtime.daemon.arguments import parse, serve_arguments
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonGone, DaemonRefused
from runtime.daemon.log import NOTICE, Log
from runtime.daemon.messages import DaemonState, Health, Obtained, WireOutcome
from runtime.daemon.notify import Notifier
from runtime.daemon.realtime import SoftRealTime
from runtime.daemon.units import DaemonUnitOptions, service_unit
from runtime.daemon.wire import ErrorCode
from tests.busy import at_a_calm_moment
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited
from tests.runtime.daemon.test_extremes import IMPOSSIBLE

COMMAND = [sys.executable, "-m", "runtime.daemon"]


@contextmanager
def datagrams(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(60)
        yield receiver


def test_status_and_reload(daemon: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--socket", str(daemon.path), "--json"]) == 3  # no self-test: a warning
    facts = json.loads(capsys.readouterr().out)
    assert (facts["state"], facts["reasons"], facts["bundle"]) == ("degraded", ["no_self_test"], "test")
    assert main(["status", "--socket", str(daemon.path)]) == 3
    said = capsys.readouterr().out
    assert said.startswith("degraded: bundle holds no self-test\n")
    assert "not for clinical use" in said
    assert main(["reload", "--socket", str(daemon.path)]) == 0
    daemon.load_error = RuntimeError("gone")
    assert main(["reload", "--socket", str(daemon.path)]) == 1
    assert "the old bundle stays: RuntimeError: gone" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["status", "reload"])
def test_no_daemon_there(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--socket", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "no daemon at" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--socket", "s", "--cpus", "x"],
        ["--socket", "s", "--fifo", "100"],
        ["--socket", "s", "--allow-uid", "-1"],
        ["--socket", "s", "--budget-ms", "0"],
    ],
)
def test_wrong_calls(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_unusable_sockets_and_bundles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(tmp_path / ("x" * 120))]) == 2
    assert "at most 107" in capsys.readouterr().err
    assert main(["--socket", str(tmp_path / "s"), "--bundle", str(tmp_path)]) == 2
    assert "manifest.json cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.system
def test_the_daemon_under_a_manager(tmp_path: Path) -> None:
    """The demonstration bundle: ready when its known answers came, kicks, reloads, ends cleanly and comes back."""
    path, notices = tmp_path / "s", tmp_path / "notify"
    environment = {**os.environ, "NOTIFY_SOCKET": str(notices), "WATCHDOG_USEC": "1000000", "OMP_NUM_THREADS": "1"}
    environment.pop("WATCHDOG_PID", None)
    command = [*COMMAND, "--socket", str(path), "--engine", "openvino", "--threads", "1", "--cpus", "0", "--fifo", "1"]
    with (
        datagrams(notices) as manager,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            told: list[str] = []
            while not told or not told[-1].startswith("READY=1"):
                told.append(manager.recv(4096).decode())
            assert told[0] == "STATUS=loading"
            assert "WATCHDOG=1" in told  # after the self-test, before ready
            with Client(path, slots=2, slot_bytes=320 * 240 * 3, answer_s=120) as client:
                assert client.read(retina(1)).outcome in WireOutcome
                health = client.health()
                assert health.state is DaemonState.READY or "SCHED_FIFO" in health.text
                assert health.cpu_pinning is Obtained.OBTAINED
                assert health.sched_fifo is not Obtained.NOT_ASKED
                for impossible in IMPOSSIBLE:
                    client._send(impossible)
                    with pytest.raises(DaemonRefused) as refused:
                        client.result()
                    assert refused.value.code is ErrorCode.BAD_DIMENSIONS
                process.send_signal(signal.SIGHUP)
                awaited(lambda: client.health().reloads == 1, "the reload")
            while manager.recv(4096) != b"WATCHDOG=1":  # nobody submits: only an idle self-test can say this
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert not path.exists()
            assert process.stderr is not None
            said = process.stderr.read()
            assert "Traceback" not in said
            assert "ROP_STATE=" in said
        finally:
            process.kill()


@pytest.mark.system
def test_a_killed_daemon_is_noticed_at_once_and_its_socket_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    helper = Path(__file__).parent / "fake_daemon.py"

    def noticed_at_once() -> None:
        with subprocess.Popen([sys.executable, str(helper), str(path)], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                with Client(path, slots=2, slot_bytes=320 * 240 * 3, max_age_ms=60_000) as client:
                    assert client.read(retina(1)).outcome is WireOutcome.NO_REFERRAL_FINDINGS
                    process.kill()
                    process.wait()
                    start = time.monotonic()
                    with pytest.raises(DaemonGone):
                        client.read(retina(2))
                    assert time.monotonic() - start < 0.5  # 50 ms on an idle machine
            finally:
                process.kill()

    for _ in range(2):
        at_a_calm_moment(noticed_at_once)


@pytest.mark.system
def test_socket_activation(tmp_path: Path) -> None:
    path = tmp_path / "s"
    helper = Path(__file__).parent / "fake_daemon.py"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        start = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        shell = ["bash", "-c", start, "bash", sys.executable, str(helper), str(path)]
        with subprocess.Popen(shell, pass_fds=[listener.fileno()], stdout=subprocess.PIPE) as process:
            try:
                with Client(path, answer_s=120) as client:  # connected before it runs
                    assert client.health().daemon_pid == process.pid
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
                assert path.exists()  # the manager's, not the daemon's to remove
            finally:
                process.kill()


def test_a_watchdog_is_kicked_only_when_told_and_not_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with datagrams(tmp_path / "n") as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "10000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier()
        assert notifier.watchdog_s == 10
        assert not select.select([manager], [], [], 0)[0]
        notifier.alive()
        notifier.alive()
        notifier.ready("one\ntwo")
        notifier.ready("three")
        got = [manager.recv(1024).decode() for _ in range(3)]
        assert got == ["WATCHDOG=1", "READY=1\nSTATUS=one two", "STATUS=three"]
        monkeypatch.setenv("WATCHDOG_PID", "1")
        assert Notifier().watchdog_s is None


def test_the_journal_gets_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with datagrams(tmp_path / "journal") as journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
        Log(tmp_path / "journal").write(NOTICE, "ready\nand steady", ROP_STATE="READY")
        entry = journal.recv(4096)
    assert b"MESSAGE\n\x10\0\0\0\0\0\0\0ready\nand steady\n" in entry
    assert b"PRIORITY=5\n" in entry
    assert entry.endswith(b"ROP_STATE=READY\n")


def test_without_a_journal_it_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    Log().write(NOTICE, "ready\x1b[2J", ROP_STATE="READY")
    assert capsys.readouterr().err == "ropscreend: ready\ufffd[2J ROP_STATE=READY\n"


def test_what_the_system_refuses_is_told() -> None:
    asked = SoftRealTime(cpus=(4095,), huge_pages=True, lock_memory=False)
    asked.for_process()
    asked.for_thread()
    assert asked.got_cpus is Obtained.REFUSED
    assert asked.got_huge_pages is not Obtained.NOT_ASKED
    assert (asked.got_fifo, asked.got_locked) == (Obtained.NOT_ASKED, Obtained.NOT_ASKED)
    assert asked.refusals[0].startswith("CPU pinning: ")


def test_a_ring_without_huge_pages_works_and_says_so(daemon: Running) -> None:
    daemon.service._real_time.huge_pages = True
    daemon.service._real_time.got_huge_pages = Obtained.OBTAINED
    with daemon.client(slots=4, slot_bytes=8 * 2**20) as client:
        health: Health = client.health()
        assert client.ring.layout.huge_pages in (Obtained.OBTAINED, Obtained.REFUSED)
        assert health.huge_pages is client.ring.layout.huge_pages
        if health.huge_pages is Obtained.REFUSED:
            assert "huge pages" in health.text
        assert client.read(retina(1)).outcome is WireOutcome.NO_REFERRAL_FINDINGS


def test_the_installed_command_line_means_what_was_asked(tmp_path: Path) -> None:
    given = ["--bundle", str(tmp_path), "--engine", "openvino", "--precision", "int8", "--threads", "2"]
    given += ["--budget-ms", "50.5", "--fifo", "10", "--allow-uid", "1000", "--allow-uid", "1001"]
    given += ["--socket-group", "camera", "--max-age-ms", "1500"]
    given += ["--cpus", "2,3", "--lock-memory", "--huge-pages"]
    given += ["--site-profile", str(tmp_path / "p"), "--trusted-keys", str(tmp_path / "k"), "--station", "cart 1"]
    options = parse(["install", *given])
    again = parse(["--socket", "s", *serve_arguments(options)])
    shared = vars(options).keys() & vars(again).keys() - {"verb", "socket"}
    assert shared > {"bundle", "threads", "station", "cpus"}
    for name in shared:
        assert getattr(again, name) == getattr(options, name), name


def test_install_writes_what_the_dry_run_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["install", "--unit-dir", str(tmp_path), "--bundle", "/opt/a bundle/100%", "--socket-group", "camera"]
    assert main([*call, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(call) == 0
    for name in ("ropscreend.service", "ropscreend.socket"):
        assert (tmp_path / name).read_text() in shown
    assert '--bundle "/opt/a bundle/100%%"' in shown
    assert "SocketGroup=camera\nSocketMode=0660" in shown
    assert "--socket-group camera" in shown
    capsys.readouterr()
    assert main(["install", "--unit-dir", str(tmp_path / "none")]) == 2
    assert "name another --unit-dir" in capsys.readouterr().err


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("real_time", [False, True])
def test_systemd_finds_nothing_wrong(real_time: bool, tmp_path: Path) -> None:
    steady = ["--fifo", "10", "--lock-memory"] if real_time else []
    assert main(["install", "--unit-dir", str(tmp_path), "--bundle", "/opt/a $b%c", *steady]) == 0
    units = [str(tmp_path / f"ropscreend.{kind}") for kind in ("service", "socket")]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", units[0]], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout[-200:]  # exposure at most 1.5 of 10


def test_the_watchdog_leaves_time_for_a_self_test() -> None:
    text = service_unit(DaemonUnitOptions(Path("/usr/bin/python3"), ()))
    assert "WatchdogSec=60" in text
    assert "RestrictRealtime=yes" in text
    assert "LimitCORE=0" in text  # what a crash leaves would hold pictures
