"""Real programs that stand in for cameras: ffmpeg, GStreamer's RTSP server, Aravis' GigE Vision camera."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
FAKE_GIGE = "arv-fake-gv-camera-0.8"
RTSP_SERVER = Path(__file__).parent / "opencv" / "rtsp_server.py"
LOSSY_RTSP_SERVER = Path(__file__).parent / "stream" / "rtsp_lossy_server.py"
DEADLINE_S = 120.0
_GVCP_PORT = 3956
_LISTENS_OR_SERVES = ("0A", "01")
"""ffmpeg stops listening at its first client, who may be quicker than a look at the table."""


class Program:
    """A program that was started; killed at the end of its block."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def wait_for_line(self, words: bytes) -> None:
        assert self._process.stdout is not None
        seen = self._process.stdout.readline()
        assert words in seen, (self.command, seen)

    def wait_for_port(self, port: int, *, table: str = "tcp") -> None:
        """Until something listens there; asked of the kernel, as a connection might be the only one it takes."""
        until = time.monotonic() + DEADLINE_S
        while not _listens(port, table):
            assert self._process.poll() is None, (self.command, self.output())
            assert time.monotonic() < until, self.command
            time.sleep(0.01)

    def output(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.read().decode()

    def freeze(self) -> None:
        """As a camera that hangs: connected, but silent."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _listens(port: int, table: str) -> bool:
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if int(address.split(":")[1], 16) == port and (table == "udp" or state in _LISTENS_OR_SERVES):
            return True
    return False


@contextmanager
def running(*command: str) -> Iterator[Program]:
    program = Program(*command)
    try:
        yield program
    finally:
        program.kill()


@contextmanager
def mjpeg_over_http(port: int, *, grey: bool = False) -> Iterator[Program]:
    """ffmpeg serves one client with a picture of 320 x 240 that changes 20 times a second, then ends."""
    with _over_http(port, "-c:v", "mjpeg", "-q:v", "3", "-f", "mpjpeg", grey=grey) as program:
        yield program


@contextmanager
def h264_over_http(port: int) -> Iterator[Program]:
    """The same as H.264 with a whole picture only every five seconds, as cameras send it to save bandwidth."""
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "100", "-pix_fmt", "yuv420p")
    with _over_http(port, *codec, "-f", "mpegts") as program:
        yield program


@contextmanager
def _over_http(port: int, *codec: str, grey: bool = False) -> Iterator[Program]:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    source = "testsrc2=size=320x240:rate=20" + (",hue=s=0" if grey else "")
    target = ("-listen", "1", f"http://127.0.0.1:{port}/eye")
    quietly = ("ffmpeg", "-nostdin", "-loglevel", "error")
    with running(*quietly, "-re", "-f", "lavfi", "-i", source, *codec, *target) as program:
        program.wait_for_port(port)
        yield program


@contextmanager
def rtsp(port: int, *, grey: bool = False) -> Iterator[Program]:
    """GStreamer's RTSP server with JPEG pictures of 320 x 240, 20 a second: a moving ball, red or white."""
    with _rtsp_server(RTSP_SERVER, str(port), "0xffffffff" if grey else "0xffff0000") as program:
        yield program


@contextmanager
def rtsp_of(port: int, pipeline: str, *, lost_every: int = 0) -> Iterator[Program]:
    """The same of a pipeline's words, of whose packets every so many-th one is lost."""
    with _rtsp_server(LOSSY_RTSP_SERVER, str(port), pipeline, str(lost_every)) as program:
        yield program


@contextmanager
def _rtsp_server(script: Path, *arguments: str) -> Iterator[Program]:
    if not _system_python_has("GstRtspServer"):
        pytest.skip("GStreamer's RTSP server is not installed (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi)")
    with running(SYSTEM_PYTHON, str(script), *arguments) as program:
        program.wait_for_line(b"ready")
        yield program


@lru_cache
def _system_python_has(library: str) -> bool:
    check = f"import gi; gi.require_version({library!r}, '1.0')"
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=DEADLINE_S).returncode == 0
    except OSError:
        return False


@contextmanager
def gige_camera(*, lost_per_thousand: int = 0) -> Iterator[Program]:
    """Aravis' simulated GigE Vision camera at 127.0.0.1, serial number TEST; one at a time on a machine."""
    if shutil.which(FAKE_GIGE) is None:
        pytest.skip(f"{FAKE_GIGE} is not installed (Debian: aravis-tools)")
    with (Path(tempfile.gettempdir()) / "rop-tests-gige.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(FAKE_GIGE, "-i", "127.0.0.1", "-s", "TEST", "-r", str(lost_per_thousand)) as program:
            program.wait_for_port(_GVCP_PORT, table="udp")
            yield program
