"""Each way by which a frame gets a reading, driven as a user drives it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import runtime.bench.__main__
import runtime.exam.__main__
import runtime.screen.__main__
from runtime.daemon.client import Client
from runtime.daemon.messages import WireOutcome as Numbered
from tests.runtime.daemon.c.clib import CClient, Status
from tests.runtime.word.tiny import PICTURE

PATIENCE_S = 300.0
OLD_MS = 60_000
"""Of frames, for daemons and their clients: how long a busy machine takes is not the case here."""
INFANT = {
    "infant_id": "H-1",
    "name": "Test^Infant",
    "born_at": (datetime.now(timezone.utc) - timedelta(days=40)).isoformat(),
    "gestational_age": "27w3d",
    "birth_weight_g": 980,
}


@dataclass(frozen=True)
class Said:
    """What a way said of the picture; None where it says nothing of the kind."""

    outcome: str
    reason: str | None = None
    budget_ms: float | None = None
    late: bool | None = None
    trust: dict[str, Any] | None = None


@dataclass(frozen=True)
class Refused:
    """It gave no reading: the exit code, and what it told."""

    code: int
    told: str


Options = list[str]
"""`--bundle`, `--site-profile`, `--trusted-keys`, as every command takes them."""


class Ways:
    """The commands, in one folder with one picture."""

    def __init__(self, folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._picture, self._capsys = folder, picture, capsys

    def screen(self, options: Options, *more: str) -> Said | Refused:
        out = self._folder / "out"
        arguments = [str(self._picture), "--no-overlays", "--out", str(out), *options, *more]
        code, told = self._call(runtime.screen.__main__.main, arguments)
        lines = (out / "readings.jsonl").read_text().splitlines() if (out / "readings.jsonl").exists() else []
        if code:
            assert not lines
            return Refused(code, told)
        (reading,) = map(json.loads, lines)
        return _said(reading)

    def exam(self, options: Options, *more: str) -> Said | Refused:
        opened = self.new_exam(options)
        if isinstance(opened, Refused):
            return opened
        place = ["--eye", "OD", "--view", "nasal", str(self._picture)]
        code, told = self._call(
            runtime.exam.__main__.main, ["capture", "--json", *self._journal, *place, *options, *more]
        )
        if code:
            return Refused(code, told)
        (capture,) = json.loads(told)["captures"]
        said = _said(capture["reading"])
        assert (capture["outcome"], capture["reason"]) == (said.outcome, said.reason)
        return said

    def new_exam(self, options: Options, *more: str) -> dict[str, Any] | Refused:
        """The exam as it was opened."""
        key, infant = self._folder / "cart.key", self._folder / "infant.json"
        infant.write_text(json.dumps(INFANT))
        if not key.exists():
            assert self._call(runtime.exam.__main__.main, ["key", str(key)])[0] == 0
        new = ["new", "--json", *self._journal, "--infant", str(infant), *options, *more]
        code, told = self._call(runtime.exam.__main__.main, new)
        return Refused(code, told) if code else json.loads(told)

    @property
    def _journal(self) -> Options:
        files = ("--journal", str(self._folder / "journal"), "--key-file", str(self._folder / "cart.key"))
        return [*files, "--operator", "anna"]

    def bench(self, options: Options, *more: str) -> Said | Refused:
        report = self._folder / "report.json"
        frames = ["--frames", "3", "--warmup", "0", "--no-cold-start", "--no-accuracy", "--json", str(report)]
        arguments = ["--source", str(self._picture), *frames, *options]
        code, told = self._call(runtime.bench.__main__.main, arguments)
        if not report.exists():
            return Refused(code, told)
        content = json.loads(report.read_text())
        (outcome,) = set(content["frames"]["outcome"])
        return Said(outcome, trust=content["trust"])

    def _call(self, main: Callable[[list[str]], int], arguments: list[str]) -> tuple[int, str]:
        code = main(arguments)
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.err if code else said.out


def _said(reading: dict[str, Any]) -> Said:
    return Said(reading["outcome"], reading["reason"], reading["budget_ms"], reading["late"], reading["trust"])


@dataclass(frozen=True)
class Serving:
    """A daemon of its own process that can be asked."""

    path: Path
    process: subprocess.Popen[str]

    def ask_python(self) -> Said:
        ring: dict[str, Any] = {"slots": 1, "slot_bytes": PICTURE.nbytes, "stored_pictures": True}
        with Client(self.path, **ring, answer_s=PATIENCE_S, max_age_ms=OLD_MS) as client:
            result = client.read(PICTURE)
        return Said(result.outcome.name, result.reason, result.budget_ms or None, bool(result.flags & 1))

    def ask_c(self, client: CClient) -> Said:
        height, width = PICTURE.shape[:2]
        assert client.open(self.path) is Status.OK
        assert client.configure(slots=1, slot_bytes=PICTURE.nbytes) is Status.OK
        assert client.send(PICTURE.tobytes(), width, height) is Status.OK
        status, result = client.wait()
        assert status is Status.OK
        return Said(
            Numbered(result.outcome).name, result.reason.decode(), result.budget_ms or None, bool(result.flags & 1)
        )

    def threshold(self) -> float:
        with Client(self.path) as client:
            return round(client.bundle().refer_threshold, 6)

    def reload(self) -> tuple[bool, str]:
        """Whether it took, and what was told."""
        with Client(self.path, answer_s=PATIENCE_S) as client:
            answer = client.reload()
        return not answer.failed, answer.text


@contextmanager
def serving(path: Path, options: Options, *more: str) -> Iterator[Serving | Refused]:
    """`python -m runtime.daemon`, ready; or why it ended."""
    command = [sys.executable, "-m", "runtime.daemon", "--socket", str(path), "--max-age-ms", str(OLD_MS)]
    command += [*options, *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            if (code := _ready(path, process)) is not None:
                assert process.stderr is not None
                told = process.stderr.read()
                assert "Traceback" not in told
                yield Refused(code, told)
            else:
                yield Serving(path, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)


def _ready(path: Path, process: subprocess.Popen[str]) -> int | None:
    """None when it answers with a loaded model; its exit code when it ended."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if (code := process.poll()) is not None:
            return code
        try:
            with Client(path) as client:
                client.bundle()
            return None
        except Exception:  # not there yet, or not loaded yet
            time.sleep(0.02)
    raise AssertionError(f"no daemon at {path} after {PATIENCE_S} s")
