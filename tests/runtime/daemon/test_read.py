"""`read`: pictures read by a daemon from the command line, with the classifier's gates of each."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.bundle import Bundle
from runtime.daemon.__main__ import main
from runtime.daemon.commands import read
from runtime.engines.fake import Fault
from tests.runtime.daemon.conftest import Running
from tests.runtime.test_explain import Telling


@pytest.fixture(autouse=True)
def same_bundle(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path | None, sha256: str) -> Bundle:
        assert (path, sha256) == (None, daemon.bundle.sha256)
        return daemon.bundle

    monkeypatch.setattr(read, "open_bundle", opened)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    with SimulatedCamera(SimulatedConfig(seed=3, size=(320, 240), frames_per_eye=4)) as camera:
        pixels = camera.render(0)[0]
    path = tmp_path / "eye.png"
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


def asked(daemon: Running, source: Path, *more: str) -> int:
    return main(["read", str(source), "--socket", str(daemon.path), *more])


def test_a_picture_is_read_by_the_daemon_and_its_gates_here(
    daemon: Running, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.engine.probabilities = (0.4, 0.6)
    monkeypatch.setattr(read, "GATES_ENGINE", Telling())
    assert asked(daemon, picture, "--gates", str(tmp_path / "gates"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], len(said["explanation"]["gates_open"])) == ("REFER", 4)
    assert [path.name for path in (tmp_path / "gates").iterdir()] == ["eye.jpg"]
    assert daemon.service.health().frames == 1  # the daemon read it once


def test_what_of_a_folder_is_not_read_is_told_beside_the_readings(
    daemon: Running, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = picture.parent / "baby"
    folder.mkdir()
    picture = picture.rename(folder / picture.name)
    assert asked(daemon, folder, "--json") == 0
    assert capsys.readouterr().err == ""  # nothing is told of nothing
    for copy in (folder / "OS" / "eye.png", folder / ".eye.png"):
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    (folder / "notes.txt").touch()
    assert asked(daemon, folder, "--json") == 0
    printed, said = capsys.readouterr()
    told = "passed over: 3 entries: 1 folder, 1 hidden picture, 1 .txt; name such a folder to read its pictures"
    assert said == f"runtime.daemon: {told}\n"
    assert [json.loads(line)["frame"]["source"] for line in printed.splitlines()] == ["eye.png"]


@pytest.mark.parametrize("frame_reads", ["otherwise", "as a RETAKE"])
def test_a_picture_that_has_no_gates_says_why_or_needs_none(
    daemon: Running,
    picture: Path,
    tmp_path: Path,
    frame_reads: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    daemon.engine.probabilities = (0.9, 0.1)
    monkeypatch.setattr(read, "GATES_ENGINE", Telling())
    if frame_reads == "as a RETAKE":
        cv2.imwrite(str(picture), np.asarray(cv2.imread(str(picture)), np.uint8) // 40)
    assert asked(daemon, picture, "--gates", str(tmp_path / "gates")) == 0
    said = capsys.readouterr()
    if frame_reads == "otherwise":
        assert "no gates of" in said.err
        assert "other probabilities" in said.err
    else:
        assert "RETAKE too dark" in " ".join(said.out.split())
        assert said.err == ""
    assert list((tmp_path / "gates").iterdir()) == []


def test_no_daemon_is_exit_code_2_and_a_lost_engine_1(
    daemon: Running, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.engine.fault = next(iter(Fault))
    assert asked(daemon, picture) == 1
    assert "NO RESULT" in capsys.readouterr().out
    assert main(["read", str(picture), "--socket", str(tmp_path / "none")]) == 2
