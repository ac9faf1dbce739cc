"""The command as a program of its own: signals, pipes, a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from runtime.bundle import Bundle
from tests.pictures import retina

ROOT = Path(__file__).parents[3]
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.system


@pytest.fixture
def start(bundle: Bundle, tmp_path: Path) -> Iterator[Start]:
    """Start the command with the fake engine; ended at the end of the test."""
    programs: list[subprocess.Popen[str]] = []

    def call(*arguments: str, out: Path = tmp_path / "out") -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "tests.runtime.screen.with_fake_engine", *arguments]
        argv += ["--bundle", str(bundle.path), "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        programs.append(subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=environment))
        return programs[-1]

    yield call
    for program in programs:
        program.kill()
        program.communicate()


def whole_readings(out: Path) -> int:
    """How many readings there are; fails when a line is not whole."""
    content = (out / "readings.jsonl").read_bytes()
    assert content.endswith(b"\n")
    return len([json.loads(line) for line in content.splitlines()])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_between_frames_and_closes_everything(
    start: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    program = start("sim:")
    assert program.stdout is not None
    assert "sim:0" in program.stdout.readline()
    program.send_signal(number)
    printed, said = program.communicate(timeout=300)
    assert program.returncode == code
    assert "Traceback" not in said
    frames = whole_readings(tmp_path / "out")
    assert f"{frames} frame" in printed
    assert len(list((tmp_path / "out" / "overlays").glob("*.jpg"))) == frames
    assert "p50" in (tmp_path / "out" / "summary.html").read_text()


def test_a_signal_ends_the_wait_for_a_watched_folder(start: Start, tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    cv2.imwrite(str(incoming / "a.png"), retina()[:, :, ::-1])
    program = start(str(incoming), "--watch")
    assert program.stdout is not None
    assert "a.png" in program.stdout.readline()
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=300)
    assert program.returncode == 130
    assert "Traceback" not in said
    assert whole_readings(tmp_path / "out") == 1


def test_a_signal_ends_the_wait_for_a_live_camera(start: Start, tmp_path: Path) -> None:
    program = start("sim:fps=0.01,size=128x96")
    assert program.stdout is not None
    late = 0  # on a busy machine its first frame may be
    while "sim:0" not in program.stdout.readline():
        late += 1
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=300)
    assert program.returncode == 130
    assert "Traceback" not in said
    assert whole_readings(tmp_path / "out") >= late + 1


@pytest.mark.parametrize("command", ["runtime.screen", "runtime.bench"])
def test_ctrl_c_while_it_is_being_imported_leaves_no_traceback(command: str, tmp_path: Path) -> None:
    options = ("sim:", "--out", str(tmp_path)) if command == "runtime.screen" else ("--frames", "20")
    argv = [sys.executable, "-X", "importtime", "-m", command, *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stderr is not None
        while "numpy" not in program.stderr.readline():
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        said = program.stderr.read()
    assert "Traceback" not in said
    assert program.returncode == -signal.SIGINT


def test_a_kill_leaves_whole_lines(start: Start, tmp_path: Path) -> None:
    program = start("sim:", "--json")
    assert program.stdout is not None
    for _ in range(5):
        json.loads(program.stdout.readline())
    program.kill()
    program.communicate(timeout=300)
    assert whole_readings(tmp_path / "out") >= 5


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_closed_pipe_ends_the_run_quietly(start: Start, tmp_path: Path, options: tuple[str, ...]) -> None:
    program = start("sim:", *options)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    said = program.stderr.read()
    assert program.wait(timeout=300) == 141
    assert said.count("\n") <= 1
    assert whole_readings(tmp_path / "out") >= 1
    assert (tmp_path / "out" / "summary.html").is_file()


def test_standard_output_on_a_full_device_is_told(start: Start, tmp_path: Path, bundle: Bundle) -> None:
    argv = [sys.executable, "-m", "tests.runtime.screen.with_fake_engine", "sim:", "--frames", "3", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*argv, "--bundle", str(bundle.path), "--out", "out"], stdout=full, stderr=subprocess.PIPE, text=True,
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_standard_output_that_is_closed_is_told(tmp_path: Path, bundle: Bundle, options: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "tests.runtime.screen.with_fake_engine", "sim:", "--frames", "3", *options]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *argv, "--bundle", str(bundle.path), "--out", "out"],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write to standard output" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_ends_the_run_with_whole_readings(start: Start, tiny_disk: Path) -> None:
    program = start("sim:", "--frames", "400", out=tiny_disk / "out")
    _, said = program.communicate(timeout=300)
    assert program.returncode == 1
    assert "No space left on device; free space there" in said
    assert "Traceback" not in said
    assert whole_readings(tiny_disk / "out") >= 1
    assert not list((tiny_disk / "out").rglob("*.part"))


def test_readings_alone_that_fill_a_disk_stay_whole(start: Start, tiny_disk: Path) -> None:
    program = start("sim:", "--frames", "500", "--no-overlays", out=tiny_disk / "out")
    _, said = program.communicate(timeout=300)
    assert program.returncode == 1
    assert "readings.jsonl: No space left on device" in said or "summary.html: No space" in said
    assert whole_readings(tiny_disk / "out") >= 20


def test_a_terminal_sees_lines_and_a_live_line(bundle: Bundle, tmp_path: Path) -> None:
    ours, terminal = pty.openpty()
    argv = [sys.executable, "-m", "tests.runtime.screen.with_fake_engine", "sim:", "--frames", "5"]
    program = subprocess.Popen(
        [*argv, "--bundle", str(bundle.path)], stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # raised when the other end is closed
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    assert program.wait(timeout=300) == 0
    text = seen.decode()
    assert "screening" in text
    assert "4/5" in text
    assert "sim:4" in text
    assert "5 frames: 5 NO REFERRAL FINDINGS" in text
