"""The command on live cameras: lost, frozen and stalled ones become readings, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import device.live.source
import runtime.screener
from device.errors import Disconnected
from device.frame import Frame
from device.live import LiveReader, open_source
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.screen import __main__ as command
from runtime.screener import Screener
from tests.device.live.scripted import Hang, Opener, Step
from tests.pictures import retina

Run = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def run(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command on scripted cameras, one after the other, or on a named source; its code and readings."""
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine((0.8, 0.2)))

    def call(*scripts: list[Step] | Exception, source: str = "camera:0") -> tuple[int, list[dict[str, Any]]]:
        if scripts:
            opener = Opener(*scripts)
            monkeypatch.setattr(device.live.source, "open_camera", lambda *_, **__: opener())
        out = tmp_path / "out"
        code = command.main([source, "--bundle", str(bundle.path), "--out", str(out), "--budget-ms", "60000"])
        return code, [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]

    return call


def frame(sequence: int, eye: int | None = None) -> Frame:
    return Frame(retina(sequence if eye is None else eye), sequence, f"fake#{sequence}")


def free_when_called(monkeypatch: pytest.MonkeyPatch, method: str, hang: Hang) -> None:
    """Let the camera go on once the Screener is asked this."""
    original = getattr(Screener, method)

    def call(*arguments: Any) -> Any:
        hang.free.set()
        return original(*arguments)

    monkeypatch.setattr(Screener, method, call)


def outcomes(readings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(r["outcome"], r["reason"]) for r in readings]


def test_a_simulation_with_fps_is_read_live_and_to_its_end(run: Run) -> None:
    code, readings = run(source="sim:fps=25,frames=8,size=128x96")
    sequences = [r["frame"]["sequence"] for r in readings]
    assert code == 0
    assert sequences == sorted(set(sequences))
    assert sequences[-1] <= 7  # its own time goes on: a reader that is late misses the last one, too


def test_only_cameras_that_keep_their_own_time_get_a_thread(tmp_path: Path) -> None:
    for spec, live in (("sim:size=96x72", False), ("sim:size=96x72,fps=30", True)):
        with open_source(spec) as camera:
            assert isinstance(camera, LiveReader) is live


def test_a_camera_that_is_lost_and_comes_back_leaves_a_no_result_between(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unplug, plug_in = Hang(), Hang()
    free_when_called(monkeypatch, "screen", unplug)
    free_when_called(monkeypatch, "unreadable", plug_in)
    code, readings = run(
        [frame(0), unplug, Disconnected("camera 0: unplugged")],
        Disconnected("camera 0: not there"),
        [plug_in, frame(0, 1), None],
    )
    assert code == 0
    kinds = [outcome for outcome, _ in outcomes(readings)]
    assert kinds == ["NO_REFERRAL_FINDINGS", "NO_RESULT", "NO_REFERRAL_FINDINGS"]
    assert readings[1]["reason"] == "camera:0: camera 0: unplugged"
    assert [r["frame"]["sequence"] for r in readings] == [0, 1, 1]
    assert readings[2]["frame"]["source"] == "fake#0~1"
    said = capfd.readouterr().err
    assert "camera RECONNECTING: camera 0: unplugged" in said
    assert "camera STREAMING: frames come" in said


def test_a_frozen_camera_asks_for_a_retake(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze, thaw = Hang(), Hang()
    free_when_called(monkeypatch, "screen", freeze)
    free_when_called(monkeypatch, "unreadable", thaw)
    _, readings = run([frame(0), freeze, frame(1, 0), thaw, frame(2), None])
    assert outcomes(readings)[1] == ("RETAKE", "repeated frame")
    assert readings[1]["quality"]["gradable"] is False
    assert [outcome for outcome, _ in outcomes(readings)] == ["NO_REFERRAL_FINDINGS", "RETAKE", "NO_REFERRAL_FINDINGS"]


def test_a_camera_lost_for_good_ends_the_run_with_what_was_read(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    code, readings = run(*([frame(n), Disconnected("camera 0: unplugged")] for n in range(6)))
    assert code == 1
    assert {"NO_REFERRAL_FINDINGS", "NO_RESULT"} >= {outcome for outcome, _ in outcomes(readings)}
    assert (
        "lost 6 times in 60 s, last: camera 0: unplugged; look at the camera, its cable or network"
        in capfd.readouterr().err
    )
