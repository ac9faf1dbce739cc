"""Programs that are told no bundle take the active one: the real commands, on the tiny networks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.bench.__main__ import main as bench
from runtime.bundles.starts import MOST_STARTS, STARTS, STARTS_SCHEMA
from runtime.bundles.store import Slots
from runtime.daemon.__main__ import main as daemon
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonError
from runtime.screen.__main__ import main as screen
from runtime.slots import read_active
from runtime.trust.site import Site
from tests.runtime.bundles.making import ROOT, bundle_folder

PATIENCE_S = 300.0


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slots:
    monkeypatch.setenv("ROP_BUNDLES", str(tmp_path / "slots"))
    return Slots(tmp_path / "slots")


@pytest.fixture
def pair(slots: Slots, tmp_path: Path) -> tuple[str, str]:
    """Two installed bundles; the second is active."""
    first, second = (
        slots.add(bundle_folder(tmp_path / name, sign=None, version=name), lambda bundle: None)[0].sha256
        for name in ("first", "second")
    )
    switch(slots, first)
    switch(slots, second)
    return first, second


def switch(slots: Slots, sha256: str) -> None:
    slots.switch(sha256, "test", Site())


def test_screen_and_bench_take_the_active_one(slots: Slots, pair: tuple[str, str], tmp_path: Path) -> None:
    for sha256 in (pair[1], pair[0]):
        switch(slots, sha256)
        out = tmp_path / sha256[:6]
        assert screen(["sim:size=256x256", "--frames", "1", "--out", str(out)]) == 0
        reading = json.loads((out / "readings.jsonl").read_text().splitlines()[0])
        assert reading["bundle"]["sha256"] == sha256
        report = tmp_path / f"{sha256[:6]}.json"
        words = ["--frames", "3", "--warmup", "1", "--no-accuracy", "--no-cold-start", "--json", str(report)]
        bench([*words, "--source", "sim:size=256x256"])  # its verdict is the machine's, and not asked here
        assert f'"{sha256}"' in report.read_text()


def test_the_daemon_counts_its_starts_goes_back_and_reloads_the_active_one(
    slots: Slots, pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After starts that did not last it goes back by a real trial; then another one is activated and reloaded."""
    first, second = pair
    starts = {"schema": STARTS_SCHEMA, "starts": {"runtime.daemon": [time.time()] * MOST_STARTS}}
    (slots.folder / STARTS).write_text(json.dumps(starts))
    path = tmp_path / "s"
    call = [sys.executable, "-m", "runtime.daemon", "--socket", str(path)]
    with subprocess.Popen(call, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert read_by(path, process) == first
            state = read_active(slots.folder)
            assert state is not None
            assert (state.active, state.previous, state.returned) == (first, second, True)
            switch(slots, second)
            assert read_by(path, process) == first
            assert daemon(["reload", "--socket", str(path)]) == 0, capsys.readouterr().err
            assert read_by(path, process) == second
            assert json.loads((slots.folder / STARTS).read_text())["starts"] == {"runtime.daemon": []}
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=PATIENCE_S)[1]
        finally:
            process.kill()
    assert "crash loop" in said
    assert "went back to test first" in said
    assert "Traceback" not in said


def test_the_daemon_counts_a_start_that_was_killed(slots: Slots, pair: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "s"
    call = [sys.executable, "-m", "runtime.daemon", "--socket", str(path)]
    with subprocess.Popen(call, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            assert read_by(path, process) == pair[1]
        finally:
            process.kill()
    assert len(json.loads((slots.folder / STARTS).read_text())["starts"]["runtime.daemon"]) == 1


def read_by(path: Path, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> str:
    """SHA-256 of the bundle that the daemon reads with, once it is loaded."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, "the daemon ended"
        try:
            with Client(path) as client:
                sha256 = client.health().bundle_sha256
        except (DaemonError, OSError):
            sha256 = b""
        if any(sha256):
            return sha256.hex()
        time.sleep(0.1)
    raise AssertionError("the daemon was not ready in time")
